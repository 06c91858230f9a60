"""What the lists of a public data set say about its videos, and which of these are there."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.errors import DataError
from slr_pipeline.samples.clip_folder import VIDEO_SUFFIXES
from slr_pipeline.samples.csv_rows import decode, read_bytes
from slr_pipeline.samples.segments import Segment
from slr_pipeline.text import composed

SHOWN = 10
"""Classes to name."""


@dataclass(frozen=True)
class Listed:
    """A sample of a data set. `split` is empty if the data set has none, `signer` if unknown.

    `video` is the path below the folder of the videos, empty if it is not there.
    """

    name: str
    split: str
    label: str
    signer: str
    video: str
    depth: str = ""
    segment: Segment | None = None


@dataclass
class Listing:
    """The samples of a data set in its order, and sentences about how they were read.

    `classes` are its classes in the order of their numbers, where others use these numbers.
    `landmarks` is the pattern of the clips, with {sample}, if they are files of landmarks.
    """

    samples: list[Listed]
    notes: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    landmarks: str = ""


class Videos:
    """The videos below a folder, found by the ends of their paths.

    `rate_of` gives the frame rate of a video by its path.
    """

    def __init__(
        self, folder: Path, paths: Iterable[str], rate_of: Callable[[Path], float]
    ) -> None:
        self.folder = folder
        self.paths = list(paths)
        self.repeated: dict[str, str] = {}
        """Names that several videos have, and the video that is used."""
        self._rate_of = rate_of
        self._by_stem: dict[str, list[tuple[str, ...]]] = {}
        for path in self.paths:
            parts = _parts(path)
            self._by_stem.setdefault(parts[-1], []).append((*parts, path))

    def find(self, name: str) -> str:
        """The video whose path ends in `name`, with or without its ending; empty if none is."""
        wanted = _parts(name)
        fitting = [
            path
            for *parts, path in self._by_stem.get(wanted[-1], ())
            if tuple(parts[-len(wanted) :]) == wanted
        ]
        if len(fitting) > 1:
            self.repeated[name] = fitting[0]
        return fitting[0] if fitting else ""

    def rate(self, video: str) -> float:
        """Frames per second of a video as its header states them."""
        return self._rate_of(self.folder / video)


def _parts(path: str) -> tuple[str, ...]:
    pure = PurePosixPath(composed(path.replace("\\", "/")))
    stem = pure.stem if pure.suffix.lower() in VIDEO_SUFFIXES else pure.name
    return (*pure.parts[:-1], stem)


def find_lists(place: Path, patterns: Sequence[str]) -> list[Path]:
    """The file `place`, or the files in this folder or its sub-folders with one of the patterns.

    DataError if there is none.
    """
    if place.is_file():
        return [place]
    found = sorted({path for pattern in patterns for path in place.rglob(pattern)})
    if not found:
        raise DataError(
            f"{place}: no {' or '.join(patterns)} in it or below it; give the lists of the data "
            "set with --labels"
        )
    return found


def read_json(path: Path) -> Any:
    """The content of a JSON file. DataError for anything else."""
    try:
        return json.loads(decode(str(path), read_bytes(str(path))))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); download it again") from error


def text_of(entry: Mapping[str, Any], key: str, where: str) -> str:
    """A value of a list as text. DataError without it."""
    value = entry.get(key) if isinstance(entry, Mapping) else None
    if value is None or isinstance(value, (list, dict)):
        raise DataError(f"{where}: no {key!r} in {str(entry)[:80]}; download the list again")
    return composed(str(value))


def without_lost_classes(samples: Sequence[Listed]) -> tuple[list[Listed], list[str]]:
    """The samples with a video, of classes with one in train; and lines about the others.

    Samples without a split keep every class.
    """
    found = [sample for sample in samples if sample.video]
    lines = list(_missing(samples, len(found)))
    if not any(sample.split for sample in found):
        return found, lines
    trained = {sample.label for sample in found if sample.split == "train"}
    lost = Counter(sample.label for sample in samples if sample.label not in trained)
    kept = [sample for sample in found if sample.label in trained]
    if lost:
        lines.append(
            f"left out: {len(lost)} of {len({sample.label for sample in samples})} classes have no "
            f"video in train ({_named(lost)}), and with them {len(found) - len(kept)} videos"
        )
    return kept, lines


def _missing(samples: Sequence[Listed], found: int) -> Iterator[str]:
    missing = [sample for sample in samples if not sample.video]
    if not missing:
        return
    by_split = Counter(sample.split for sample in missing)
    splits = ", ".join(f"{name} {by_split[name]}" for name in SPLITS if by_split[name])
    classes = Counter(sample.label for sample in missing)
    yield (
        f"missing: {len(missing)} of {len(samples)} videos{splits and f' ({splits})'}, of "
        f"{len(classes)} classes: {_named(classes)}"
    )


def _named(counts: Counter[str]) -> str:
    named = ", ".join(f"{name} {count}" for name, count in counts.most_common(SHOWN))
    return f"{named}, ..." if len(counts) > SHOWN else named
