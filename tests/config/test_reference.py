"""The generated documents are those of the code."""

import json
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


def test_every_key_has_a_description() -> None:
    schema = json.loads(config_schema())
    sections = {"Config": schema, **schema["$defs"]}
    keys = [(name, *key) for name, part in sections.items() for key in part["properties"].items()]
    assert len(keys) > 150
    assert [(name, key) for name, key, value in keys if not value.get("description")] == []
