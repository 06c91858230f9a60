"""The page in a headless Chromium: it loads, fits, sorts and filters."""

import shutil
from collections.abc import Iterator

import pytest

from tests.report.small_run import SIGNS, make_results, rendered

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

SIGNS_TABLE = "Accuracy by sign on test, worst first"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    path = folder / "index.html"
    path.write_text(rendered(make_results(folder))[1], encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as driver:
        # A container lacks the rights for a sandbox.
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_loads_completely_and_fits(
    browser: "playwright.Browser", address: str, width: int, scheme: str
) -> None:
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    ) as shown:
        page = shown.new_page()
        messages: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("dialog", lambda dialog: messages.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        assert messages == []
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        widths = page.evaluate("[...document.images].map(i => i.complete ? i.naturalWidth : 0)")
        assert len(widths) > 10
        assert min(widths) > 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
        paper, ink = page.evaluate(
            "['backgroundColor', 'color'].map(k => getComputedStyle(document.body)[k]"
            ".match(/\\d+/g).reduce((sum, x) => sum + Number(x), 0))"
        )
        assert (paper > ink) == (scheme == "light")


def test_a_table_sorts_by_its_numbers_and_filters(
    browser: "playwright.Browser", address: str
) -> None:
    with browser.new_context() as shown:
        page = shown.new_page()
        page.goto(address)
        area = page.get_by_role("region", name=SIGNS_TABLE)
        rows = area.locator("tbody tr:visible")

        def first(column: int) -> list[str]:
            return rows.evaluate_all(f"rows => rows.map(row => row.cells[{column}].textContent)")

        head = area.get_by_role("columnheader", name="rgb, correct")
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        shares = [float(text.split()[0]) for text in first(2)]
        assert shares == sorted(shares)
        assert shares[0] < 100.0
        head.get_by_role("button").click()
        assert [float(text.split()[0]) for text in first(2)] == sorted(shares, reverse=True)
        area.get_by_role("button", name="sign").click()
        assert head.get_attribute("aria-sort") is None
        assert first(0)[-1] == "sign 9"

        field = page.get_by_label(f"Filter: {SIGNS_TABLE}")
        field.fill("ALERT(1)")
        assert first(0) == [SIGNS[0]]
        field.fill("")
        assert len(first(0)) == len(SIGNS)


def test_a_filter_leaves_the_wrong_answers(browser: "playwright.Browser", address: str) -> None:
    with browser.new_context() as shown:
        page = shown.new_page()
        page.goto(address)
        caption = "Answers of track rgb to the clips of test"
        rows = page.get_by_role("region", name=caption).locator("tbody tr:visible")
        assert rows.count() == 20
        page.get_by_label(f"Filter: {caption}").fill("wrong")
        assert 0 < rows.count() < 20
        assert set(rows.evaluate_all("rows => rows.map(row => row.cells[4].textContent)")) == {
            "wrong"
        }


def test_tables_work_without_scripts(browser: "playwright.Browser", address: str) -> None:
    with browser.new_context(java_script_enabled=False) as shown:
        page = shown.new_page()
        page.goto(address)
        assert page.get_by_role("columnheader", name="rgb, correct").count() == 1
