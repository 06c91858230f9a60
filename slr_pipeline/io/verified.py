"""Tables of `verify`: one CSV per shard with a row per sample, and quarantine.csv."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import get_type_hints

from slr_pipeline.io.tables import read_table, write_table
from slr_pipeline.samples.videos import Examined


@dataclass(frozen=True)
class Verified:
    """One sample with its video paths (`depth` may be empty).

    `reason` is empty if the videos can be decoded. Otherwise the sample is quarantined, and frames,
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
    write_table(path, [asdict(row) for row in rows], COLUMNS)


def write_known(path: str | Path, rows: Iterable[Examined]) -> None:
    """Write what `verify` remembers of videos: the last of equal rows, in their order."""
    latest: dict[tuple[str, str], Examined] = {}
    for row in rows:
        key = (row.sample, row.files)
        latest.pop(key, None)
        latest[key] = row
    write_table(path, [row._asdict() for row in latest.values()], Examined._fields)


def read_verified(path: str | Path) -> list[Verified]:
    """Read the rows of such a CSV. ArtifactError for a missing, cut or foreign file."""
    table = read_table(path, get_type_hints(Verified))
    return [Verified(*row) for row in table[list(COLUMNS)].itertuples(index=False, name=None)]
