"""Sample tables: which clips there are, their split, label and signer, and their shards."""

import csv
import hashlib
import os
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from slr_pipeline.config.estimators import files_of
from slr_pipeline.config.experiment import (
    SPLITS,
    AutslData,
    AutslLabels,
    Config,
    DataSettings,
    Split,
    TableData,
)
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.config.weights import configured_weights, missing_problem
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.schema import DEPTH_FEATURES

SAMPLE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
SHA256 = re.compile(r"^[0-9a-f]{64}$")
AUTSL_NAME = re.compile(r"^signer(\d+)_sample\d+$")
TABLE_COLUMNS = (
    *("sample", "split", "label", "signer", "color", "depth"),
    *("color_sha256", "depth_sha256"),
)
REQUIRED_COLUMNS = ("sample", "split", "label", "color")
CONTROL = frozenset(map(chr, (*range(32), *range(127, 160), 0x2028, 0x2029)))
"""Characters that end a line or steer a terminal."""
MOST_DIGITS = 5
"""Of a label that is a number: more classes than any language has signs."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip of one sign by one signer. `label` is None where it is unknown.

    The SHA-256 of a video is None where the sample table does not say what it must be.
    """

    name: str
    split: Split
    label: int | None
    signer: str | None
    color: str
    depth: str | None
    color_sha256: str | None = None
    depth_sha256: str | None = None


@dataclass(frozen=True)
class SampleTable:
    """All samples in table order, and the classes in label order."""

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]

    def split(self, split: Split) -> tuple[Sample, ...]:
        """The samples of one split in table order."""
        return tuple(sample for sample in self.samples if sample.split == split)


def load_samples(data: DataSettings) -> SampleTable:
    """Read and check the sample table; no video is opened.

    Raises DataError with file and line for an unreadable table, a wrong or doubled name, an
    unknown split or label, a path that leaves the data folder, a split without samples, fewer
    than two classes, or a signer in two splits where data is to be signer-independent.
    """
    table = _load_autsl(data) if isinstance(data, AutslData) else _load_table(data)
    where = data.root if isinstance(data, AutslData) else data.table
    seen: set[str] = set()
    for sample in table.samples:
        if sample.name in seen:
            raise DataError(f"{where}: sample {sample.name} stands twice; names must be unique")
        seen.add(sample.name)
    for split in SPLITS:
        if not any(sample.split == split for sample in table.samples):
            raise DataError(f"{where}: split {split} has no samples; each split needs some")
    if len(table.classes) < 2:
        raise DataError(
            f"{where}: expected two classes or more, found {list(table.classes)}; there is nothing "
            "to tell apart"
        )
    if data.signer_independent:
        _check_signers(where, table)
    return table


def _check_signers(where: str, table: SampleTable) -> None:
    found: dict[str, set[Split]] = {}
    for sample in table.samples:
        if sample.signer is not None:
            found.setdefault(sample.signer, set()).add(sample.split)
    shared = [signer for signer, splits in found.items() if len(splits) > 1]
    if shared:
        first = " and ".join(split for split in SPLITS if split in found[shared[0]])
        raise DataError(
            f"{where}: {len(shared)} of {len(found)} signers stand in more than one split, first "
            f"{shared[0][:80]!r} in {first}; give each signer one split, as `slr make-split` does, "
            "or set data.signer_independent false: accuracy is then not that of new signers"
        )


def check_streams(config: Config, table: SampleTable) -> None:
    """What the streams need and no config alone can tell; no video is opened.

    Raises DataError when a stream is to learn a class of which train has no sample, and when it
    reads a feature made from depth and a sample has no depth video,
    ConfigError when weights to start from, those of an estimator, or imported logits are not there,
    and when train has too few signers for its folds.
    """
    if config.folds:
        _check_folds(config.folds, table)
    if any(stream.model != "imported" for stream in config.streams.values()):
        _check_classes(table)
    without = [sample.name for sample in table.samples if not sample.depth]
    for name, stream in config.streams.items():
        if isinstance(stream, ImportedSettings):
            _check_imported(name, stream)
            continue
        deep = [feature for feature in config.stream_features(name) if feature in DEPTH_FEATURES]
        if deep and without:
            raise DataError(
                f"streams.{name}: it reads {deep[0]}, made from depth videos, and "
                f"{len(without)} of {len(table.samples)} samples have none, first {without[0]}; "
                "set data.depth or name them in the table, or leave the stream out"
            )
    _check_weights(config)


def _check_classes(table: SampleTable) -> None:
    learnt = {sample.label for sample in table.split("train")}
    missing = [name for label, name in enumerate(table.classes) if label not in learnt]
    if missing:
        names = ", ".join(repr(name[:80]) for name in missing[:10])
        raise DataError(
            f"{len(missing)} of {len(table.classes)} classes have no sample in train and cannot be "
            f"learnt: {names}{', ...' if len(missing) > 10 else ''}; add samples, or take them out "
            "of the table and the class list"
        )


def _check_weights(config: Config) -> None:
    for weights in configured_weights(config):
        problem = missing_problem(weights)
        if problem is not None:
            raise ConfigError(problem)
    own = files_of(config.features.keypoints).get("config")
    if own is not None and not os.path.isfile(own):
        raise ConfigError(
            f"features.keypoints.config: {own} is not there; mend the path, or name a config of "
            "MMPose's wheel"
        )


def _check_imported(name: str, stream: ImportedSettings) -> None:
    files = (
        ("val", "val", stream.val),
        ("test", "test", stream.test),
        ("out_of_fold", "train", stream.out_of_fold),
    )
    for key, split, path in files:
        if path is not None and not os.path.isfile(path):
            raise ConfigError(
                f"streams.{name}.{key}: {path} is not there; `slr import-logits SOURCE {path} "
                f"--split {split} ...` makes it of scores made elsewhere"
            )


def _check_folds(folds: int, table: SampleTable) -> None:
    samples = table.split("train")
    signers = {sample.signer for sample in samples}
    if None in signers:
        first = next(sample.name for sample in samples if sample.signer is None)
        raise ConfigError(
            f"folds: {folds} needs the signer of each sample of train, {first} has none; name "
            "them, or set folds null to fit on val"
        )
    if len(signers) < folds:
        raise ConfigError(
            f"folds: {folds} needs as many signers in train, found {len(signers)}; set folds to "
            f"{len(signers)} or fewer, or null to fit on val"
        )


def shards(samples: Iterable[Sample], size: int) -> dict[str, tuple[Sample, ...]]:
    """Samples of one split by shard; each shard holds at most `size`, sorted by name.

    Shards are the leaves of a binary tree over the bits of sha256(name); a leaf is halved when
    it outgrows `size`. So an added sample changes its own shard only, wherever in the table it
    stands. A shard is called by its bits (`0`, `10`, ...), or `all` when there is just one.
    """
    digest = itemgetter(0)
    # Sorted by digest, a leaf is a run of them: a million names are looked at once and not copied.
    hashed = sorted(((hashlib.sha256(s.name.encode()).digest(), s) for s in samples), key=digest)
    leaves: dict[str, tuple[Sample, ...]] = {}
    pending = [("", 0, len(hashed))]
    while pending:
        bits, start, stop = pending.pop()
        if stop - start > size:
            middle = bisect_left(hashed, _first_digest(bits + "1"), start, stop, key=digest)
            pending += [(bits + "0", start, middle), (bits + "1", middle, stop)]
        elif stop > start:
            leaf = (sample for _, sample in hashed[start:stop])
            leaves[bits or "all"] = tuple(sorted(leaf, key=lambda sample: sample.name))
    return dict(sorted(leaves.items()))


def _first_digest(bits: str) -> bytes:
    """The least SHA-256 that begins with these bits."""
    return int(bits.ljust(256, "0"), 2).to_bytes(32, "big")


def videos_digest(samples: Iterable[Sample]) -> str:
    """Changes when, and only when, the names, video paths or checksums of these samples change."""
    return _digest("\t".join((s.name, s.color, s.depth or "", *_sums(s))) for s in samples)


def _sums(sample: Sample) -> tuple[str, ...]:
    sums = (sample.color_sha256 or "", sample.depth_sha256 or "")
    return sums if any(sums) else ()


def labels_digest(table: SampleTable, splits: Sequence[Split]) -> str:
    """Changes when, and only when, classes, names or labels of these splits change."""
    rows = (f"{s.name}\t{s.split}\t{s.label}" for s in table.samples if s.split in splits)
    return _digest(["\t".join(table.classes), *sorted(rows)])


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _load_autsl(data: AutslData) -> SampleTable:
    classes_path = os.path.join(data.root, data.classes)
    rows = _rows(classes_path, columns=3)
    classes = tuple(composed(row[1].strip()) for _, row in rows if row[0] != "ClassId")
    if not classes:
        raise DataError(f"{classes_path}: no class found; expected lines `ClassId,TR,EN`")
    samples: list[Sample] = []
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
    return SampleTable(classes, tuple(samples))


def _autsl_names(data: AutslData, split: Split) -> Iterator[tuple[str, str, str | None]]:
    """Place, name and label text of one split, from its label file or else from its folder."""
    labels: AutslLabels = data.labels
    file = getattr(labels, split)
    if file is not None:
        path = os.path.join(data.root, file)
        for line, row in _rows(path, columns=2):
            yield f"{path}, line {line}", row[0].strip(), row[1].strip()
        return
    folder = os.path.join(data.root, split)
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder; expected the videos of split {split}")
    for entry in sorted(os.listdir(folder)):
        if entry.endswith("_color.mp4"):
            yield folder, entry.removesuffix("_color.mp4"), None


def _load_table(data: TableData) -> SampleTable:
    rows = list(_table_rows(data.table))
    root = data.root if data.root is not None else os.path.dirname(data.table) or "."
    texts = {cells[2] for _, cells in rows if cells[2]}
    classes = _read_classes(data.classes) if data.classes else _classes_of(texts, data.table)
    index = {gloss: number for number, gloss in enumerate(classes)}
    samples = []
    for line, (name, split_text, label, signer, color, depth, *sums) in rows:
        where = f"{data.table}, line {line}"
        _check_name(name, where)
        if split_text not in SPLITS:
            raise DataError(f"{where}: split {split_text!r} is none of {', '.join(SPLITS)}")
        split = SPLITS[SPLITS.index(split_text)]
        color_sha256, depth_sha256 = (_checksum(text, where) if text else None for text in sums)
        if not label and split != "test":
            raise DataError(f"{where}: sample {name} of {split} has no label")
        samples.append(
            Sample(
                name=name,
                split=split,
                label=_gloss_label(label, index, where) if label else None,
                signer=signer or None,
                color=_path_under(root, color, where),
                depth=_path_under(root, depth, where) if depth else None,
                color_sha256=color_sha256,
                depth_sha256=depth_sha256,
            )
        )
    return SampleTable(classes, tuple(samples))


def _table_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row in the order of TABLE_COLUMNS; absent optional ones are empty."""
    lines = _rows(path, columns=None)
    _, header = next(lines, (0, []))
    names = [name.strip() for name in header]
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    unknown = [name for name in names if name not in TABLE_COLUMNS]
    if missing or unknown or len(set(names)) < len(names):
        raise DataError(
            f"{path}: expected a header of {','.join(TABLE_COLUMNS)} (needed: "
            f"{','.join(REQUIRED_COLUMNS)}), found {','.join(names)[:100]!r}"
        )
    # A column that is not there is read from an empty cell behind the row.
    places = [names.index(name) if name in names else len(names) for name in TABLE_COLUMNS]
    for line, row in lines:
        if len(row) != len(names):
            raise DataError(f"{path}, line {line}: expected {len(names)} cells, found {len(row)}")
        row.append("")
        name, split, label, signer, *rest = (row[place].strip() for place in places)
        yield line, [name, split, composed(label), composed(signer), *rest]


def _rows(path: str, columns: int | None) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line but blank ones; byte order mark and CRLF are accepted."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                text = "".join(cell.strip() for cell in row)
                if not text:
                    continue
                if not CONTROL.isdisjoint(text):
                    raise DataError(
                        f"{path}, line {reader.line_num}: a control character in "
                        f"{','.join(row)[:60]!r}; take it out"
                    )
                if columns is not None and len(row) != columns:
                    raise DataError(
                        f"{path}, line {reader.line_num}: expected {columns} cells, "
                        f"found {len(row)}: {','.join(row)[:60]!r}"
                    )
                yield reader.line_num, row
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); does it exist?") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it as a UTF-8 CSV") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV ({error})") from error


def _read_classes(path: str) -> tuple[str, ...]:
    classes = tuple(composed(",".join(row).strip()) for _, row in _rows(path, columns=None))
    doubled = sorted(gloss for gloss, times in Counter(classes).items() if times > 1)[:10]
    if doubled or not classes:
        raise DataError(
            f"{path}: expected unique glosses, one a line; doubled: {doubled or 'none'}"
        )
    return classes


def _classes_of(texts: set[str], where: str) -> tuple[str, ...]:
    """Numbers name the classes 0..largest; glosses are sorted."""
    if texts and all(text.isascii() and text.isdigit() for text in texts):
        longest = max(texts, key=len)
        if len(longest) > MOST_DIGITS:
            raise DataError(
                f"{where}: label {longest[:20]!r} would be one of more than "
                f"{10**MOST_DIGITS} classes; number them from 0"
            )
        return tuple(str(number) for number in range(max(map(int, texts)) + 1))
    return tuple(sorted(texts))


def composed(text: str) -> str:
    """The text in Unicode's normal form C: what looks the same is one class, and one signer."""
    return unicodedata.normalize("NFC", text)


def _number_label(text: str, classes: int, where: str) -> int:
    known = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    if not (known and int(text) < classes):
        raise DataError(f"{where}: label {text[:80]!r} is not a number in 0..{classes - 1}")
    return int(text)


def _gloss_label(text: str, index: dict[str, int], where: str) -> int:
    if text not in index:
        known = ", ".join(list(index)[:10]) + (", ..." if len(index) > 10 else "")
        raise DataError(f"{where}: label {text[:80]!r} is not a class (known: {known})")
    return index[text]


def _checksum(text: str, where: str) -> str:
    if not SHA256.fullmatch(text.lower()):
        raise DataError(f"{where}: {text[:80]!r} is not a SHA-256 of 64 hexadecimal digits")
    return text.lower()


def _check_name(name: str, where: str) -> None:
    if not SAMPLE_NAME.fullmatch(name):
        raise DataError(
            f"{where}: sample name {name[:140]!r} must be 1 to 128 letters, digits, '.', '_' or "
            "'-', and begin with a letter or digit"
        )


def _path_under(root: str, path: str, where: str) -> str:
    joined = os.path.normpath(os.path.join(root, path))
    if ".." not in path and not path.startswith("/") and path.strip("./"):
        return joined  # surely inside; the rest takes ten times as long
    inside = os.path.join(os.path.abspath(root), "")
    if not os.path.abspath(joined).startswith(inside):
        raise DataError(f"{where}: path {path!r} leaves the data folder {root!r}")
    return joined
