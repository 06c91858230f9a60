"""The generated documents are those of the code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slr_pipeline.config.reference import config_markdown, config_schema, weights_markdown

DOCS = Path(__file__).parents[2] / "docs/reference"


@pytest.mark.parametrize(
    ("name", "generate"),
    [
        ("config.md", config_markdown),
        ("config.schema.json", config_schema),
        ("weights.md", weights_markdown),
    ],
)
def test_a_page_is_generated(name: str, generate: Callable[[], str]) -> None:
    assert (DOCS / name).read_text() == generate(), "run `make docs`"
