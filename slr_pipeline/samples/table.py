"""Sample tables: the clips of an experiment with their split, label and signer.

Snakemake parses this module in every job: it imports no heavy package.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from slr_pipeline.config.experiment import SPLITS, AutslData, DataSettings, Split, TableData
from slr_pipeline.errors import DataError
from slr_pipeline.samples.csv_rows import csv_rows, csv_table, decode, read_bytes
from slr_pipeline.samples.segments import SEGMENT_COLUMNS, Segment, repeated, segment_of
from slr_pipeline.samples.spelling import date_warnings, one_spelling, quoting, spelling_warnings
from slr_pipeline.text import composed, outline, plain

SAMPLE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
SHA256 = re.compile(r"^[0-9a-f]{64}$")
AUTSL_NAME = re.compile(r"^signer(\d+)_sample\d+$")
REQUIRED_COLUMNS = ("sample", "split", "label", "color")
TABLE_COLUMNS = (
    *("sample", "split", "label", "signer", "color", "depth"),
    *("color_sha256", "depth_sha256", *SEGMENT_COLUMNS),
)
MAX_DIGITS = 5
"""Longest label that is a number: more classes than any language has signs."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip of one sign by one signer. `label` and `signer` are None if unknown.

    The SHA-256 of a video is None if the sample table does not state it. `segment` is the part of
    both videos that is the clip, None if all of them is.
    """

    name: str
    split: Split
    label: int | None
    signer: str | None
    color: str
    depth: str | None
    color_sha256: str | None = None
    depth_sha256: str | None = None
    segment: Segment | None = None


@dataclass(frozen=True)
class SampleTable:
    """All samples in table order, and the classes in label order.

    `warnings` are sentences about what looks like a mistake in the table.
    """

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()

    def split(self, split: Split) -> tuple[Sample, ...]:
        """The samples of one split in table order."""
        return tuple(sample for sample in self.samples if sample.split == split)


def load_samples(data: DataSettings) -> SampleTable:
    """Read and check the sample table; no video is opened.

    Raises DataError with file and line for an unreadable table, a wrong or repeated name, an
    unknown split or label, a path that leaves the data folder, an empty segment, two segments of
    one sign that are nearly the same, a split without samples, fewer than two classes, or a signer
    in two splits of signer-independent data.
    """
    table = _load_autsl(data) if isinstance(data, AutslData) else _load_table(data)
    where = data.root if isinstance(data, AutslData) else data.table
    names = Counter(sample.name for sample in table.samples)
    if len(names) < len(table.samples):
        name = names.most_common(1)[0][0]
        raise DataError(f"{where}: sample {name} appears twice; names must be unique")
    for split in SPLITS:
        if not any(sample.split == split for sample in table.samples):
            raise DataError(f"{where}: split {split} has no samples; each split needs some")
    if len(table.classes) < 2:
        raise DataError(
            f"{where}: expected two classes or more, found {list(table.classes)}; recognition "
            "needs signs to choose from"
        )
    if data.signer_independent:
        _check_signers(where, table)
    return table


def _check_signers(where: str, table: SampleTable) -> None:
    splits: dict[str, set[Split]] = {}
    for sample in table.samples:
        if sample.signer is not None:
            splits.setdefault(sample.signer, set()).add(sample.split)
    shared = [signer for signer in splits if len(splits[signer]) > 1]
    if shared:
        first = " and ".join(split for split in SPLITS if split in splits[shared[0]])
        line = (
            f"{where}: {len(shared)} of {len(splits)} signers are in more than one split, first "
            f"{shared[0][:80]!r} in {first}; give each signer one split, as `slr make-split` does, "
            "or set data.signer_independent to false: accuracy is then not that of new signers"
        )
        alike = [warning for warning in table.warnings if warning.startswith("signers ")]
        raise DataError("\n".join([line, *(f"{where}: {warning}" for warning in alike)]))


def label_of(sample: Sample) -> int:
    """Label of a labelled sample."""
    assert sample.label is not None
    return sample.label


def signer_warnings(table: SampleTable) -> list[str]:
    """A sentence if the accuracy is not that of new signers: splits share signers, or may."""
    unknown = sum(sample.signer is None for sample in table.samples)
    reasons = []
    if unknown:
        which = "all" if unknown == len(table.samples) else f"{unknown} of {len(table.samples)}"
        reasons.append(f"the signers of {which} samples are unknown")
    train, val, test = ({s.signer for s in table.split(split)} - {None} for split in SPLITS)
    for split, own, others, where in (
        ("test", test, train | val, "train or val"),
        ("val", val, train, "train"),
    ):
        if shared := len(own & others):
            reasons.append(f"{shared} of {len(own)} signers of {split} are also in {where}")
    if not reasons:
        return []
    return [f"The accuracy says nothing about new signers: {', and '.join(reasons)}."]


def _rows(path: str, columns: int | None = None) -> Iterator[tuple[int, list[str]]]:
    return csv_rows(path, decode(path, read_bytes(path)), columns=columns)


# --- layout autsl --------------------------------------------------------------------------------


def _load_autsl(data: AutslData) -> SampleTable:
    path = os.path.join(data.root, data.classes)
    rows = _rows(path, columns=3)
    classes = tuple(composed(row[1].strip()) for _, row in rows if row[0] != "ClassId")
    if not classes:
        raise DataError(f"{path}: no class found; expected lines `ClassId,TR,EN`")
    samples = []
    for split in SPLITS:
        for where, name, text in _autsl_names(data, split):
            _check_name(name, where)
            match = AUTSL_NAME.fullmatch(name)
            stem = os.path.join(data.root, split, name)
            samples.append(
                Sample(
                    name=name,
                    split=split,
                    label=None if text is None else _number_label(text, len(classes), where),
                    signer=match.group(1) if match else None,
                    color=f"{stem}_color.mp4",
                    depth=f"{stem}_depth.mp4" if data.depth else None,
                )
            )
    return SampleTable(classes, tuple(samples), spelling_warnings(classes, ()))


def _autsl_names(data: AutslData, split: Split) -> Iterator[tuple[str, str, str | None]]:
    """Place, name and label of each sample of a split, from its label file or else its folder."""
    file = getattr(data.labels, split)
    if file is not None:
        path = os.path.join(data.root, file)
        for line, (name, label) in _rows(path, columns=2):
            yield f"{path}, line {line}", name.strip(), label.strip()
        return
    folder = os.path.join(data.root, split)
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder; expected the videos of split {split}")
    for entry in sorted(os.listdir(folder)):
        if entry.endswith("_color.mp4"):
            yield folder, entry.removesuffix("_color.mp4"), None


# --- layout table --------------------------------------------------------------------------------


def _load_table(data: TableData) -> SampleTable:
    rows = list(_table_rows(data.table))
    root = data.root if data.root is not None else os.path.dirname(data.table) or "."
    glosses = {label for _, (_, _, label, *_) in rows if label}
    signers = {signer for _, (_, _, _, signer, *_) in rows if signer}
    classes = _read_classes(data.classes) if data.classes else _classes_of(glosses, data.table)
    label_of = _label_of(glosses, classes)
    signer_of = one_spelling(signers, outline)
    samples, bad_segments = [], []
    for line, (name, split, label, signer, color, depth, *checksums, start, end) in rows:
        where = f"{data.table}, line {line}"
        _check_name(name, where)
        if split not in SPLITS:
            raise DataError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
        if not label and split != "test":
            raise DataError(f"{where}: sample {name} of {split} has no label")
        if label and label not in label_of:
            raise DataError(f"{where}: {_unknown(label, classes)}")
        color_sha256, depth_sha256 = (_checksum(text, where) for text in checksums)
        segment = None
        try:
            segment = segment_of(start, end)
        except DataError as error:
            bad_segments.append(f"{where}: sample {name}: {error}")
            continue
        samples.append(
            Sample(
                name=name,
                split=SPLITS[SPLITS.index(split)],
                label=label_of[label] if label else None,
                signer=signer_of[signer] if signer else None,
                color=_path_under(root, color, where),
                depth=_path_under(root, depth, where) if depth else None,
                color_sha256=color_sha256,
                depth_sha256=depth_sha256,
                segment=segment,
            )
        )
    if problems := [*bad_segments, *_repeated_segments(data.table, samples)]:
        raise DataError("\n".join(problems))
    dates = date_warnings("sample names", (sample.name for sample in samples))
    warnings = (*spelling_warnings(classes, signers), *dates, *_lost_zeros(samples))
    return SampleTable(classes, tuple(samples), warnings)


def _table_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row in the order of TABLE_COLUMNS; absent columns are empty."""
    text = decode(path, read_bytes(path))
    for line, cells in csv_table(path, text, TABLE_COLUMNS, REQUIRED_COLUMNS):
        texts = (composed(text) if plain(text) else "" for text in cells[2:4])
        yield line, [*cells[:2], *texts, *cells[4:]]


def _read_classes(path: str) -> tuple[str, ...]:
    classes = tuple(composed(",".join(row)) for _, row in _rows(path))
    counts = Counter(map(plain, classes))
    repeated = sorted(gloss for gloss, count in counts.items() if count > 1)[:10]
    if repeated or not classes:
        raise DataError(
            f"{path}: expected unique glosses, one per line; repeated: {repeated or 'none'}"
        )
    return classes


def _classes_of(labels: set[str], where: str) -> tuple[str, ...]:
    """The classes of a table without a class list: numbers 0..largest, or the sorted glosses."""
    if labels and all(label.isascii() and label.isdigit() for label in labels):
        longest = max(labels, key=len)
        if len(longest) > MAX_DIGITS:
            raise DataError(
                f"{where}: label {longest[:20]!r} would be one of more than "
                f"{10**MAX_DIGITS} classes; number them from 0"
            )
        return tuple(str(number) for number in range(max(map(int, labels)) + 1))
    return tuple(sorted(set(one_spelling(labels).values())))


def _label_of(glosses: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """The label of each gloss that is a class, in any spelling that is surely the same."""
    index = {plain(gloss): number for number, gloss in enumerate(classes)}
    labels = {}
    for gloss in glosses:
        text = plain(gloss)
        if text not in index and text.isascii() and text.isdigit():
            text = text.lstrip("0") or "0"
        if text in index:
            labels[gloss] = index[text]
    return labels


def _unknown(label: str, classes: Sequence[str]) -> str:
    for gloss in classes:
        if outline(gloss) == outline(label):
            quote = quoting([gloss, label])
            return f"label {quote(label)} is not a class, but {quote(gloss)} is; use one spelling"
    known = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    return f"label {label[:80]!r} is not a class (known: {known})"


def _repeated_segments(where: str, samples: Sequence[Sample]) -> Iterator[str]:
    """A line for each two samples of a sign that are nearly the same part of a recording."""
    used = {sample.color for sample in samples if sample.segment}
    pieces = (
        (sample.name, (sample.color, sample.label), sample.segment or Segment())
        for sample in samples
        if sample.color in used and sample.label is not None
    )
    for first, second, share in repeated(pieces):
        yield (
            f"{where}: samples {first} and {second} have the same label and {share:.0%} of the "
            "shorter segment in common; correct start_s and end_s, or remove one"
        )


def _lost_zeros(samples: Sequence[Sample]) -> list[str]:
    """A warning for numbers as names whose videos have the same numbers after zeros."""
    lost = [
        (sample.name, video)
        for sample in samples
        if sample.name.isdigit()
        and (video := os.path.basename(sample.color)).startswith("0")
        and re.match(f"{sample.name}(?!\\d)", video.lstrip("0"))
    ]
    if not lost:
        return []
    name, video = lost[0]
    return [
        f"{len(lost)} samples have the number of their video without its leading zeros, first "
        f"{name} of {video}: spreadsheets remove these zeros; if a template or other results have "
        "the zeros, format the column as text and enter the names again"
    ]


# --- cells ---------------------------------------------------------------------------------------


def _number_label(text: str, classes: int, where: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and int(text) < classes:
        return int(text)
    raise DataError(
        f"{where}: label {text[:80]!r} is not a number in 0..{classes - 1}; labels count from 0"
    )


def _checksum(text: str, where: str) -> str | None:
    if text and not SHA256.fullmatch(text.lower()):
        raise DataError(f"{where}: {text[:80]!r} is not a SHA-256 of 64 hexadecimal digits")
    return text.lower() or None


def _check_name(name: str, where: str) -> None:
    if not SAMPLE_NAME.fullmatch(name):
        raise DataError(
            f"{where}: sample name {name[:140]!r} must be 1 to 128 letters, digits, '.', '_' or "
            "'-', and begin with a letter or digit"
        )


def _path_under(root: str, path: str, where: str) -> str:
    joined = os.path.normpath(os.path.join(root, path))
    if ".." not in path and not path.startswith("/") and path.strip("./"):
        return joined  # certainly inside; the full check takes ten times as long
    inside = os.path.join(os.path.abspath(root), "")
    if not os.path.abspath(joined).startswith(inside):
        raise DataError(f"{where}: path {path!r} leaves the data folder {root!r}")
    return joined
