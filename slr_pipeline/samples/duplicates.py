"""Videos that are several samples: in several splits they leak, of several classes they confuse."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from slr_pipeline.samples.table import Sample, SampleTable

Kind = Literal["equal", "near", "mirrored"]
"""`equal`: the same bytes; `near`: the same pictures, encoded or cut anew; `mirrored`: their mirror
image."""

SHOWN = 4
"""Number of samples to name."""


class Twins(NamedTuple):
    """Two samples with one video, and how much they differ: 0 is not at all."""

    first: str
    second: str
    kind: Kind
    distance: float


class Duplicate(NamedTuple):
    """A row of duplicates.csv: a sample, and the most similar one of its group.

    `label` is the gloss; it and `signer` are empty if unknown. The last three are 1 if the samples
    of the group differ in it.
    """

    group: int
    sample: str
    split: str
    signer: str
    label: str
    twin: str
    kind: str
    distance: float
    crosses_splits: int
    crosses_signers: int
    crosses_labels: int


def equal_twins(sums: Mapping[str, Iterable[str]]) -> Iterator[Twins]:
    """Samples with the same SHA-256 of colour or depth; an empty one is unknown."""
    equal: dict[str, list[str]] = defaultdict(list)
    for sample, own in sums.items():
        for sha256 in set(own) - {""}:
            equal[sha256].append(sample)
    for first, *others in equal.values():
        for other in others:
            yield Twins(first, other, "equal", 0.0)


def duplicates_of(table: SampleTable, twins: Iterable[Twins]) -> list[Duplicate]:
    """Groups of samples that twins connect; groups that cross splits first, else in table order."""
    nearest: dict[str, Twins] = {}
    root: dict[str, str] = {}
    for pair in twins:
        for name in (pair.first, pair.second):
            nearest[name] = min(nearest.get(name, pair), pair, key=lambda own: own.distance)
            root.setdefault(name, name)
        root[_root(root, pair.second)] = _root(root, pair.first)
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in table.samples:
        if sample.name in root:
            groups[_root(root, sample.name)].append(sample)
    # A stable sort: groups are in table order.
    ordered = sorted(groups.values(), key=lambda group: not _differs(s.split for s in group))
    return [
        _duplicate(table, number, sample, nearest[sample.name], group)
        for number, group in enumerate(ordered, start=1)
        for sample in group
    ]


def _root(root: dict[str, str], sample: str) -> str:
    while root[sample] != sample:
        root[sample] = sample = root[root[sample]]
    return sample


def _duplicate(
    table: SampleTable, number: int, sample: Sample, nearest: Twins, group: Sequence[Sample]
) -> Duplicate:
    return Duplicate(
        group=number,
        sample=sample.name,
        split=sample.split,
        signer=sample.signer or "",
        label="" if sample.label is None else table.classes[sample.label],
        twin=nearest.second if nearest.first == sample.name else nearest.first,
        kind=nearest.kind,
        distance=round(nearest.distance, 4),
        crosses_splits=_differs(s.split for s in group),
        crosses_signers=_differs(s.signer for s in group),
        crosses_labels=_differs(s.label for s in group),
    )


def _differs(values: Iterable[object]) -> int:
    """1 if two known values differ, else 0."""
    return int(len(set(values) - {None}) > 1)


def twins_elsewhere(duplicates: Iterable[Duplicate], here: Collection[str]) -> set[str]:
    """The samples of `here` that have a duplicate which is not in `here`."""
    elsewhere = {row.group for row in duplicates if row.sample not in here}
    return {row.sample for row in duplicates if row.sample in here and row.group in elsewhere}


def duplicate_warnings(duplicates: Sequence[Duplicate], *, excluded: bool) -> list[str]:
    """Sentences on duplicates in several splits, and on duplicates of several classes.

    `excluded`: training leaves out copies of samples that are predicted.
    """
    leaks = _groups(row for row in duplicates if row.crosses_splits)
    mixed = _groups(row for row in duplicates if row.crosses_labels)
    sentences = []
    if leaks:
        named = ", ".join(f"{row.sample} ({row.split})" for row in leaks[0][:SHOWN])
        found = f"{_videos(len(leaks))} in several splits under other names"
        sentences.append(
            f"{found}, first {named}; training left out the copies of clips to predict."
            if excluded
            else f"The accuracy is too high: {found}, first {named}; set data.duplicates: exclude."
        )
    if mixed:
        named = ", ".join(f"{row.sample} ({row.label})" for row in mixed[0][:SHOWN] if row.label)
        sentences.append(f"{_videos(len(mixed))} labelled as several classes, first {named}.")
    return sentences


def duplicate_problems(duplicates: Sequence[Duplicate]) -> list[str]:
    """A line for each group that crosses splits or labels."""
    wrong = _groups(row for row in duplicates if row.crosses_splits or row.crosses_labels)
    return [
        ", ".join(f"{row.sample} ({row.split} {row.label} {row.kind})" for row in group[:SHOWN])
        + (f" and {len(group) - SHOWN} more" if len(group) > SHOWN else "")
        for group in wrong
    ]


def _groups(rows: Iterable[Duplicate]) -> list[list[Duplicate]]:
    groups: dict[int, list[Duplicate]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)
    return list(groups.values())


def _videos(count: int) -> str:
    return "1 video is" if count == 1 else f"{count:,} videos are"
