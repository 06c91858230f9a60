"""What `verify` found of each video: one CSV a shard, and the quarantine of a run."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.tables import read_table, write_table


@dataclass(frozen=True)
class Verified:
    """One sample with its video paths (`depth` may be empty).

    `reason` is empty when the videos are whole; else the sample is quarantined and frames,
    sizes (pixels) and rate are 0.
    """

    sample: str
    color: str
    depth: str
    reason: str
    frames: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    color_sha256: str = ""
    depth_sha256: str = ""


COLUMNS = tuple(field.name for field in fields(Verified))


def write_verified(path: str | Path, rows: Iterable[Verified]) -> None:
    """Write the rows as CSV with a header."""
    write_table(path, [vars(row) for row in rows], COLUMNS)


def read_verified(path: str | Path) -> list[Verified]:
    """Rows of such a CSV. ArtifactError for a missing, foreign or changed file."""
    try:
        return [
            Verified(
                sample=row["sample"],
                color=row["color"],
                depth=row["depth"],
                reason=row["reason"],
                frames=int(row["frames"]),
                width=int(row["width"]),
                height=int(row["height"]),
                fps=float(row["fps"]),
                color_sha256=row["color_sha256"],
                depth_sha256=row["depth_sha256"],
            )
            for row in read_table(path)
        ]
    except (KeyError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not a verify table ({error}); delete it and run again"
        ) from error
