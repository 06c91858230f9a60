"""The shared data that some tests read, where it is at hand."""

import os
import re
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("SLR_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
CASES = Path(os.environ.get("SLR_SHARED_CASES", SHARED.parent / "cases"))

NEEDS_CASES = pytest.mark.skipif(
    not CASES.is_dir(), reason="no reported cases: SLR_SHARED_CASES or ../shared/cases"
)

NEEDS_AUTSL = pytest.mark.skipif(
    not (SHARED / "autsl").is_dir(),
    reason="no AUTSL labels and logits: SLR_SHARED_DATA or ../shared/data has no autsl",
)


def published_keys(model: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the released weights of a model; skips where the list is not here."""
    path = SHARED.parent / "published_keys" / f"{model}.txt"
    if not path.exists():
        pytest.skip(f"{path} is not here (set SLR_SHARED_DATA to the shared data folder)")
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {name: tuple(int(n) for n in re.findall(r"\d+", shape)) for name, shape in rows}
