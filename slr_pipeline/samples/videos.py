"""Which videos have changed since `verify` examined them, by size and modification time.

`verify` remembers what it found in `results/videos/{split}/{shard}.csv`. Snakemake parses this
module in every job: it imports no heavy package.
"""

import csv
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from slr_pipeline.samples.shards import digest_of
from slr_pipeline.samples.table import Sample
from slr_pipeline.schema import Fidelity

VERSION = 3
"""Raise it when `verify` judges or measures a video in another way: all are examined again."""

FAST_FPS = 45
"""From this rate on, `corrected` features skip frames."""

FEW = 8
"""Copies per shard that are hashed while the run is planned; of more, `verify` hashes each."""


class Examined(NamedTuple):
    """A sample as `verify` found it; `frames` is 0 if it was quarantined.

    `files` is the identity of its videos then (`files_of`); the rest is as in the verify table.
    """

    sample: str
    color: str
    depth: str
    files: str
    frames: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    color_sha256: str = ""
    depth_sha256: str = ""
    times_ms: str = ""
    perceptual_hash: str = ""


Known = Mapping[str, Sequence[Examined]]
"""What `verify` remembers of each sample, the latest last."""


@dataclass(frozen=True)
class Comparison:
    """The videos of samples now, and what is known of those that have not changed, by sample.

    Attributes:
        files: identity of the videos now.
        unchanged: same size and time as when they were examined.
        copies: same size but another time: probably the same content.
    """

    files: dict[str, str]
    unchanged: dict[str, Examined]
    copies: dict[str, Examined]


def files_of(sample: Sample) -> str:
    """Identity of a sample's videos: size, time and readability, and the required SHA-256.

    Words with a letter each: `v`ersion; of each video `b`ytes, `m`odification time in ns,
    `p`ermission to read, `s`ha256; and the `t`imes of a segment.
    """
    words = [f"v{VERSION}", *_words(sample.color, sample.color_sha256)]
    if sample.depth:
        words += _words(sample.depth, sample.depth_sha256)
    if sample.segment:
        words.append(f"t{sample.segment.start_ms}-{sample.segment.end_ms}")
    return " ".join(words)


def _words(path: str, sha256: str | None) -> list[str]:
    try:
        found = os.stat(path)
    except OSError:
        return ["b-", "m-", "p-", f"s{sha256 or ''}"]
    # The bits, not os.access: a second request per video would double the time on a network disk.
    readable = found.st_mode & (stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    return [f"b{found.st_size}", f"m{found.st_mtime_ns}", f"p{readable:o}", f"s{sha256 or ''}"]


def read_known(*paths: str) -> dict[str, list[Examined]]:
    """Rows of these tables by sample, later tables last. A missing or damaged table is ignored."""
    known: dict[str, list[Examined]] = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8", newline="") as file:
                rows = [_row(cells) for cells in csv.DictReader(file)]
        except (OSError, ValueError, TypeError, KeyError, csv.Error):
            continue
        for row in rows:
            known.setdefault(row.sample, []).append(row)
    return known


def _row(cells: Mapping[str, str]) -> Examined:
    kinds = Examined.__annotations__
    return Examined(**{name: kinds[name](cells[name]) for name in Examined._fields})


def compare(samples: Sequence[Sample], known: Known) -> Comparison:
    """Compare size and time of the videos with what is known of them.

    If videos have only been removed, none has changed: their features may be used without them.
    """
    compared = Comparison({}, {}, {})
    removed = {}
    for sample in samples:
        files = compared.files[sample.name] = files_of(sample)
        rows = known.get(sample.name, ())
        if (row := _unchanged(rows, files)) is not None:
            compared.unchanged[sample.name] = row
        elif (row := _removed(rows, files, sample)) is not None:
            removed[sample.name] = row
        elif (row := _copied(rows, files)) is not None:
            compared.copies[sample.name] = row
    if len(compared.unchanged) + len(removed) == len(samples):
        compared.unchanged.update(removed)
        compared.files.update((name, row.files) for name, row in removed.items())
    return compared


def _unchanged(rows: Sequence[Examined], files: str) -> Examined | None:
    if _is_missing(files):
        rows = rows[-1:]  # an earlier absence says nothing about this one
    for row in reversed(rows):
        # Permission matters only to a video that failed.
        if _same(row.files, files, "vbmst" if row.frames else "vbmspt"):
            return row
    return None


def _removed(rows: Sequence[Examined], files: str, sample: Sample) -> Examined | None:
    if not rows or not rows[-1].frames or not _is_missing(files):
        return None
    last = rows[-1]
    paths = (last.color, last.depth) == (sample.color, sample.depth or "")
    return last if paths and _same(last.files, files, "vbmst", absent=True) else None


def _copied(rows: Sequence[Examined], files: str) -> Examined | None:
    good = (row for row in reversed(rows) if row.frames)
    return next((row for row in good if _same(row.files, files, "vbst")), None)


def _is_missing(files: str) -> bool:
    return "b-" in files.split()


def _same(then: str, now: str, letters: str, *, absent: bool = False) -> bool:
    """Whether the words with these letters are equal; `absent` accepts videos that are gone."""
    if then == now:
        return True
    old, new = ([word for word in files.split() if word[0] in letters] for files in (then, now))
    return len(old) == len(new) and all(
        a == b or (absent and b[1:] == "-") for a, b in zip(old, new, strict=True)
    )


def same_content(sample: Sample, row: Examined) -> bool:
    """Whether the videos of a sample have the SHA-256 of the row, by reading them."""
    videos = [(sample.color, row.color_sha256)]
    if sample.depth:
        videos.append((sample.depth, row.depth_sha256))
    try:
        for path, sha256 in videos:
            if _sha256(path, os.stat(path).st_mtime_ns) != sha256:
                return False
    except OSError:
        return False
    return True


@cache
def _sha256(path: str, modified: int) -> str:
    """SHA-256 of a file that many segments may share."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mark_stop(path: str) -> None:
    """Count a stop of the run because of quarantined samples of this table."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.stops", "a", encoding="ascii") as file:
        file.write("\n")


def _stops(path: str) -> int:
    try:
        return os.path.getsize(f"{path}.stops")
    except OSError:
        return 0


def digests(
    samples: Sequence[Sample], path: str, seconds: int, fidelity: Fidelity = "corrected"
) -> tuple[str, str]:
    """What must change for `verify` to run on a shard again, and for its features to be remade.

    The first follows the files, and the stops that they caused. The second follows their content,
    which is that of the known rows where videos are the same: a copied or moved video remakes no
    feature. `path` is the table of what is known of the shard; `seconds` is the time limit that a
    quarantined video may have exceeded. The `fidelity` says which frames of a fast video and of one
    with a variable rate are used.
    """
    compared = compare(samples, read_known(path))
    files, same = compared.files, dict(compared.unchanged)
    for sample in samples:
        row = compared.copies.get(sample.name)
        if row and (len(compared.copies) > FEW or same_content(sample, row)):
            same[sample.name] = row
    lines = ["\t".join((s.name, s.color, s.depth or "", files[s.name])) for s in samples]
    return (
        digest_of([*lines, f"{_stops(path)} stops"]),
        digest_of(
            _content(s.name, files[s.name], same.get(s.name), seconds, fidelity) for s in samples
        ),
    )


def _content(name: str, files: str, row: Examined | None, seconds: int, fidelity: Fidelity) -> str:
    if row is None:
        return f"{name}\t{files}"
    if not row.frames:
        return f"{name}\tquarantined\t{seconds}"
    facts = (row.frames, row.width, row.height, row.fps, row.color_sha256, row.depth_sha256)
    by_time = (row.times_ms, fidelity) if row.times_ms or row.fps >= FAST_FPS else ()
    segment = (word for word in files.split() if word.startswith("t"))
    return "\t".join((name, *map(str, facts), *by_time, *segment))
