"""The generated documents are those of the code."""

from pathlib import Path

from slr_pipeline.config.reference import config_markdown, config_schema, weights_markdown

DOCS = Path(__file__).parents[2] / "docs/reference"


def test_config_md_is_generated() -> None:
    assert (DOCS / "config.md").read_text() == config_markdown(), "run `make docs`"


def test_config_schema_is_generated() -> None:
    assert (DOCS / "config.schema.json").read_text() == config_schema(), "run `make docs`"


def test_weights_md_is_generated() -> None:
    assert (DOCS / "weights.md").read_text() == weights_markdown(), "run `make docs`"
