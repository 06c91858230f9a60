"""What made an artifact, as it is written into it."""

import importlib.metadata
from typing import Any


def provenance(**facts: Any) -> dict[str, Any]:
    """What made an artifact: package version, given settings and inputs; no clock, no path."""
    return {"package": f"slr_pipeline {importlib.metadata.version('slr_pipeline')}", **facts}
