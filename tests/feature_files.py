"""Writes the feature files that tests read."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slr_pipeline.io.feature_writer import NewClip, create_feature_file
from slr_pipeline.io.jpeg import JPEG, Jpeg


def write_feature(
    path: str | Path,
    feature: str,
    clips: Iterable[NewClip],
    attributes: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    jpeg: Jpeg = JPEG["corrected"],
) -> None:
    """Write a feature file of these clips."""
    with create_feature_file(path, feature, attributes or {}, provenance or {}, jpeg) as writer:
        for clip in clips:
            writer.add(clip)
