"""Every row of docs/reference/hazards.md names a test that exists."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/reference/hazards.md"


def problems(page: str, tests: Path) -> list[str]:
    """The rows without a test or a link to RESULTS.md, and the named tests that do not exist.

    A name without a file belongs to the file named before it.
    """
    wrong = []
    defined: set[str] = set()
    for row in re.findall(r"^\| (?!hazard).*$", page, re.MULTILINE):
        named = re.findall(r"`([\w/]+\.py|)::(\w+)`", row.split(" | ")[-1])
        if not named and "RESULTS.md" not in row:
            wrong.append(f"no test: {row}")
        for file, test in named:
            if file:
                path = tests / file
                tree = ast.parse(path.read_text() if path.is_file() else "")
                defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            if test not in defined:
                wrong.append(f"no such test: {file}::{test}")
    return wrong


def test_each_row_names_a_test_that_exists() -> None:
    page = PAGE.read_text()
    assert page.count("\n| hazard |") == len(re.findall(r"^## (?!No longer)", page, re.MULTILINE))
    assert problems(page, TESTS) == []


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("`a.py::test_a`, `::test_b`", None),
        ("[RESULTS.md](../RESULTS.md)", None),
        ("a.py", "no test"),
        ("`a.py::test_c`", "no such test: a.py::test_c"),
        ("`a.py::test_a`, `::test_c`", "no such test: ::test_c"),
        ("`b.py::test_a`", "no such test: b.py::test_a"),
    ],
)
def test_a_wrong_row_is_reported(tmp_path: Path, cell: str, problem: str | None) -> None:
    (tmp_path / "a.py").write_text("def test_a(): ...\ndef test_b(): ...\n")
    wrong = problems(f"| hazard | promise | test |\n|---|---|---|\n| x | y | {cell} |\n", tmp_path)
    assert [line[: len(problem or "")] for line in wrong] == ([problem] if problem else [])
