"""Links and anchors in the documentation work, and the modules it names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("config", "demo", "docs", "requirements")
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")),
]


def links(text: str) -> list[str]:
    """The targets of links and images outside code."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings as code hosts build them: words joined by hyphens."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """The links of a page to a missing file or anchor."""
    dead = []
    for link in links(page.read_text()):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if re.match(r"https?:|mailto:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    assert dead_links(page) == []


def test_a_dead_link_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` (c)\n[1](#a-b-c) [2](#d) [3](page.md) [4](gone.md) `[5](code.md)`\n")
    assert dead_links(page) == ["#d", "gone.md"]


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs/index.md"
    listed = {(index.parent / link).resolve() for link in links(index.read_text())}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - listed == {index}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_modules_exist(page: Path) -> None:
    folders = [ROOT, ROOT / "slr_pipeline", ROOT / "workflow", ROOT / "tests", ROOT / "demo"]
    rooms = "|".join(path.name for path in (ROOT / "slr_pipeline").iterdir() if path.is_dir())
    named = set(re.findall(r"`([\w/]+/\w+\.(?:py|smk))[`:]", page.read_text()))
    if page.name in ("architecture.md", "adding.md"):
        named |= {f"{name}.py" for name in re.findall(rf"`((?:{rooms})/\w+)[.`]", page.read_text())}
    missing = [
        name
        for name in named
        if not name.endswith("/x.py")  # a new module in a recipe
        and not any(
            (folder / name).is_file() or (folder / name.removesuffix(".py")).is_dir()
            for folder in folders
        )
    ]
    assert missing == []
