"""Provenance that each artifact records."""

import importlib.metadata
from typing import Any


def provenance(**facts: Any) -> dict[str, Any]:
    """Package version plus the given settings and inputs; no clock, no path."""
    return {"package": f"slr_pipeline {importlib.metadata.version('slr_pipeline')}", **facts}
