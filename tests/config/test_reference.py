"""The generated documents are those of the code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slr_pipeline.config.reference import (
    config_markdown,
    config_schema,
    field_docstrings,
    subclasses,
    weights_markdown,
)
from slr_pipeline.config.section import Section

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


def test_every_key_has_a_description() -> None:
    missing = [
        f"{section.__name__}.{key}"
        for section in subclasses(Section)
        for key, field in section.model_fields.items()
        if not (field.description or field_docstrings(section).get(key))
    ]
    assert missing == []
