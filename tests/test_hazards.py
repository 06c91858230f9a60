"""The tests that docs/hazards.md names are there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/hazards.md"


def test_each_named_test_is_there() -> None:
    page = PAGE.read_text()
    named: set[tuple[str, str]] = set()
    file = ""
    for found, test in re.findall(r"`([\w/]*(?:\.py)?)::(\w+)`", page):
        file = found or file
        named.add((file, test))
    assert len(named) > 40
    for file, test in named:
        tree = ast.parse((TESTS / file).read_text())
        assert test in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, file


def test_each_row_names_a_test_or_numbers() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    without = [row for row in rows if "::" not in row and "RESULTS.md" not in row]
    assert all("hazard" in row for row in without), without
