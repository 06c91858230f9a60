"""The sample table of a public data set, or of ELAN's annotations, for `slr init --from`."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from slr_pipeline.cli.splitting import split_clips
from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.messages import first_few
from slr_pipeline.samples.clip_folder import LEAST_CLIPS, OwnClip, find_videos, sample_names
from slr_pipeline.samples.formats import (
    asl_citizen,
    asl_signs,
    autsl,
    elan,
    include,
    lsa64,
    msasl,
    wlasl,
)
from slr_pipeline.samples.formats.listing import Listed, Videos, without_lost_classes
from slr_pipeline.samples.segments import SEGMENT_COLUMNS, Segment, repeated
from slr_pipeline.samples.table import SAMPLE_NAME

if TYPE_CHECKING:
    import pandas as pd

FORMATS: dict[str, ModuleType] = {
    "wlasl": wlasl,
    "msasl": msasl,
    "asl-citizen": asl_citizen,
    "asl-signs": asl_signs,
    "lsa64": lsa64,
    "include": include,
    "autsl": autsl,
    "elan": elan,
}
"""Each has a function `read` of the lists, the videos and a choice, which gives a `Listing`."""

CHOICES = {"wlasl": "top", "msasl": "top", "include": "top", "elan": "tier"}
"""The option that a format has."""


@dataclass(frozen=True)
class DataSet:
    """A table with the columns of a sample table, what to say about it, and its classes.

    `by_signer`: no signer is in two splits. `classes` is empty where their order does not matter.
    `landmarks` is the pattern of the clips below the folder, empty if they are videos.
    """

    table: "pd.DataFrame"
    notes: list[str]
    by_signer: bool
    classes: tuple[str, ...]
    landmarks: str


def read_data_set(arguments: argparse.Namespace, folder: Path) -> DataSet:
    """The samples whose videos are below `folder`. DataError if a split has none."""
    choice = _choice(arguments)
    videos = Videos(folder, find_videos(folder)[0], _rate)
    place = arguments.labels or arguments.folder
    listing = FORMATS[arguments.source].read(place, videos, choice)
    samples, notes = without_lost_classes(listing.samples)
    notes = [*listing.notes, *notes]
    if videos.repeated:
        pairs = [f"{name}: {video}" for name, video in videos.repeated.items()]
        notes.append(f"several videos have these names, one is used: {first_few(pairs)}")
    samples = _without_repeats(samples, notes)
    split = [sample.split for sample in samples]
    if samples and not any(split):
        samples, split = _split(samples, notes)
    for name in SPLITS:
        if name not in split:
            raise DataError(
                "\n".join([f"{folder}: no video of split {name} is there, of {place}", *notes])
            )
    signers = {(sample.signer, own) for sample, own in zip(samples, split, strict=True)}
    labels = {sample.label for sample in samples}
    return DataSet(
        _table(samples, split),
        notes,
        by_signer=len(signers) == len({signer for signer, _ in signers} - {""}),
        classes=tuple(name for name in listing.classes if name in labels),
        landmarks=listing.landmarks,
    )


def _choice(arguments: argparse.Namespace) -> int | str | None:
    """The value of the option of the format. ConfigError for one of another format."""
    own = CHOICES.get(arguments.source)
    for option in ("top", "tier"):
        if option != own and getattr(arguments, option) is not None:
            names = " and ".join(name for name, its in CHOICES.items() if its == option)
            raise ConfigError(f"--{option}: is of {names}; remove it")
    if arguments.top is not None and arguments.top < 2:
        raise ConfigError(f"--top {arguments.top}: expected 2 signs or more")
    return getattr(arguments, own) if own else None


def _table(samples: Sequence[Listed], split: Sequence[str]) -> "pd.DataFrame":
    """The columns of a sample table."""
    import pandas as pd

    rows: dict[str, list[Any]] = {
        "sample": _names(samples),
        "split": [*split],
        "label": [sample.label for sample in samples],
        "signer": [sample.signer for sample in samples],
        "color": [sample.video for sample in samples],
    }
    if any(sample.depth for sample in samples):
        rows["depth"] = [sample.depth for sample in samples]
    if any(sample.segment for sample in samples):
        cells = [sample.segment.cells() if sample.segment else {} for sample in samples]
        rows |= {column: [cell.get(column) for cell in cells] for column in SEGMENT_COLUMNS}
    return pd.DataFrame(rows)


def _rate(path: Path) -> float:
    from slr_pipeline.io.decoding import opened

    with opened(path) as video:
        return video.rate


def _without_repeats(samples: list[Listed], notes: list[str]) -> list[Listed]:
    """The samples without empty segments, and without nearly the same segment of the same sign."""
    empty = {n for n, s in enumerate(samples) if s.segment and _is_empty(s.segment)}
    if empty:
        names = [samples[n].name for n in sorted(empty)]
        notes.append(f"left out, their end is not after their start: {first_few(names)}")
    # By their places, because two files may give the same names.
    kept = {str(n): sample for n, sample in enumerate(samples) if n not in empty}
    used = {sample.video for sample in kept.values() if sample.segment}
    pieces = [
        (place, (s.video, s.label), s.segment or Segment())
        for place, s in kept.items()
        if s.video in used
    ]
    twice = {second for _, second, _ in repeated(pieces)}
    if twice:
        names = sorted(kept[place].name for place in twice)
        notes.append(
            f"left out, nearly the same segment of the same sign as another: {len(twice)} "
            f"({first_few(names)})"
        )
    return [sample for place, sample in kept.items() if place not in twice]


def _is_empty(segment: Segment) -> bool:
    return segment.start_ms >= segment.end_ms


def _split(samples: list[Listed], notes: list[str]) -> tuple[list[Listed], list[str]]:
    """Samples of signs with enough of them, and their split by the rule of `slr init`."""
    counts = Counter(sample.label for sample in samples)
    few = sorted(label for label, count in counts.items() if count < LEAST_CLIPS)
    if few:
        notes.append(f"left out, fewer than {LEAST_CLIPS} samples: {len(few)} ({first_few(few)})")
    kept = [sample for sample in samples if counts[sample.label] >= LEAST_CLIPS]
    if len(set(counts) - set(few)) < 2:
        raise DataError("\n".join(["fewer than two signs have enough samples", *notes]))
    split, warning = split_clips([OwnClip(s.video, s.label, s.signer) for s in kept])
    notes += [f"warning: {warning}"] if warning else []
    return kept, [*split]


def _names(samples: Sequence[Listed]) -> list[str]:
    """The names of the data set if they are valid and differ, else names made of them."""
    names = [sample.name for sample in samples]
    valid = all(SAMPLE_NAME.fullmatch(name) for name in names)
    if valid and len({name.lower() for name in names}) == len(names):
        return names
    return sample_names([f"{name}.mp4" for name in names])
