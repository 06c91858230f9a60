"""Sample tables: which clips there are, their split, label and signer, and their shards."""

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from slr_pipeline.config import (
    SPLITS,
    AutslData,
    AutslLabels,
    Config,
    DataSettings,
    Split,
    TableData,
)
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.schema import DEPTH_FEATURES
from slr_pipeline.stream_settings import ImportedSettings

SAMPLE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
AUTSL_NAME = re.compile(r"^signer(\d+)_sample\d+$")
TABLE_COLUMNS = ("sample", "split", "label", "signer", "color", "depth")
REQUIRED_COLUMNS = ("sample", "split", "label", "color")


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip of one sign by one signer. `label` is None where it is unknown."""

    name: str
    split: Split
    label: int | None
    signer: str | None
    color: str
    depth: str | None


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
    unknown split or label, a path that leaves the data folder, or a split without samples.
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
    return table


def check_streams(config: Config, table: SampleTable) -> None:
    """What the streams need and no config alone can tell; no video is opened.

    Raises DataError when a stream reads a feature made from depth and a sample has no depth video,
    ConfigError when weights to start from are not there.
    """
    without = [sample.name for sample in table.samples if not sample.depth]
    for name, stream in config.streams.items():
        if isinstance(stream, ImportedSettings):
            for split, path in (("val", stream.val), ("test", stream.test)):
                if not os.path.isfile(path):
                    raise ConfigError(
                        f"streams.{name}.{split}: {path} is not there; `slr import-logits SOURCE "
                        f"{path} --split {split} ...` makes it of scores made elsewhere"
                    )
            continue
        deep = [feature for feature in config.stream_features(name) if feature in DEPTH_FEATURES]
        if deep and without:
            raise DataError(
                f"streams.{name}: it reads {deep[0]}, made from depth videos, and "
                f"{len(without)} of {len(table.samples)} samples have none, first {without[0]}; "
                "set data.depth or name them in the table, or leave the stream out"
            )
        if stream.init is not None and not os.path.isfile(stream.init.path):
            raise ConfigError(
                f"streams.{name}.init.path: {stream.init.path} is not there; `slr "
                f"import-checkpoint --model {stream.model} SOURCE {stream.init.path}` makes it of "
                "published weights, see docs/weights.md"
            )


def shards(samples: Iterable[Sample], size: int) -> dict[str, tuple[Sample, ...]]:
    """Samples of one split by shard; each shard holds at most `size`, sorted by name.

    Shards are the leaves of a binary tree over the bits of sha256(name); a leaf is halved when
    it outgrows `size`. So an added sample changes its own shard only, wherever in the table it
    stands. A shard is called by its bits (`0`, `10`, ...), or `all` when there is just one.
    """
    hashed = sorted((hashlib.sha256(s.name.encode()).hexdigest(), s) for s in _by_name(samples))
    leaves: dict[str, tuple[Sample, ...]] = {}
    pending = [("", [(bin(int(digest, 16))[2:].zfill(256), s) for digest, s in hashed])]
    while pending:
        bits, items = pending.pop()
        if len(items) > size:
            depth = len(bits)
            for bit in "01":
                pending.append((bits + bit, [item for item in items if item[0][depth] == bit]))
        elif items:
            leaves[bits or "all"] = tuple(_by_name(sample for _, sample in items))
    return dict(sorted(leaves.items()))


def videos_digest(samples: Iterable[Sample]) -> str:
    """Changes when, and only when, the names or video paths of these samples change."""
    return _digest((s.name, s.color, s.depth or "") for s in samples)


def labels_digest(table: SampleTable, splits: Sequence[Split]) -> str:
    """Changes when, and only when, classes, names or labels of these splits change."""
    rows = [(s.name, s.split, str(s.label)) for s in table.samples if s.split in splits]
    return _digest([table.classes, *sorted(rows)])


def _by_name(samples: Iterable[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda sample: sample.name)


def _digest(rows: Iterable[Sequence[str]]) -> str:
    text = "\n".join("\t".join(row) for row in rows)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load_autsl(data: AutslData) -> SampleTable:
    classes_path = os.path.join(data.root, data.classes)
    classes = tuple(row[1] for _, row in _rows(classes_path, columns=3) if row[0] != "ClassId")
    if not classes:
        raise DataError(f"{classes_path}: no class found; expected lines `ClassId,TR,EN`")
    samples: list[Sample] = []
    for split in SPLITS:
        for where, name, text in _autsl_names(data, split):
            _check_name(name, where)
            match = AUTSL_NAME.match(name)
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
            yield os.path.join(folder, entry), entry.removesuffix("_color.mp4"), None


def _load_table(data: TableData) -> SampleTable:
    rows = list(_table_rows(data.table))
    root = data.root if data.root is not None else os.path.dirname(data.table) or "."
    texts = {row["label"] for _, row in rows if row["label"]}
    classes = _read_classes(data.classes) if data.classes else _classes_of(texts)
    index = {gloss: number for number, gloss in enumerate(classes)}
    samples = []
    for where, row in rows:
        _check_name(row["sample"], where)
        if row["split"] not in SPLITS:
            raise DataError(f"{where}: split {row['split']!r} is none of {', '.join(SPLITS)}")
        split = SPLITS[SPLITS.index(row["split"])]
        if not row["label"] and split != "test":
            raise DataError(f"{where}: sample {row['sample']} of {split} has no label")
        samples.append(
            Sample(
                name=row["sample"],
                split=split,
                label=_gloss_label(row["label"], index, where) if row["label"] else None,
                signer=row["signer"] or None,
                color=_path_under(root, row["color"], where),
                depth=_path_under(root, row["depth"], where) if row["depth"] else None,
            )
        )
    return SampleTable(classes, tuple(samples))


def _table_rows(path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and cells of each row; absent optional columns are empty."""
    lines = _rows(path, columns=None)
    _, header = next(lines, (0, []))
    names = [name.strip() for name in header]
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    unknown = [name for name in names if name not in TABLE_COLUMNS]
    if missing or unknown:
        raise DataError(
            f"{path}: expected a header of {','.join(TABLE_COLUMNS)} (signer and depth optional), "
            f"found {','.join(names)[:100]!r}"
        )
    for line, row in lines:
        if len(row) != len(names):
            raise DataError(f"{path}, line {line}: expected {len(names)} cells, found {len(row)}")
        cells = dict.fromkeys(TABLE_COLUMNS, "")
        cells.update(zip(names, (cell.strip() for cell in row), strict=True))
        yield f"{path}, line {line}", cells


def _rows(path: str, columns: int | None) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every non-empty line; byte order mark and CRLF are accepted."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if not row:
                    continue
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
    classes = tuple(",".join(row).strip() for _, row in _rows(path, columns=None))
    doubled = sorted({gloss for gloss in classes if classes.count(gloss) > 1})
    if doubled or not classes:
        raise DataError(
            f"{path}: expected unique glosses, one a line; doubled: {doubled or 'none'}"
        )
    return classes


def _classes_of(texts: set[str]) -> tuple[str, ...]:
    """Numbers name the classes 0..largest; glosses are sorted."""
    if texts and all(text.isascii() and text.isdigit() for text in texts):
        return tuple(str(number) for number in range(max(map(int, texts)) + 1))
    return tuple(sorted(texts))


def _number_label(text: str, classes: int, where: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < classes):
        raise DataError(f"{where}: label {text!r} is not a number in 0..{classes - 1}")
    return int(text)


def _gloss_label(text: str, index: dict[str, int], where: str) -> int:
    if text not in index:
        known = ", ".join(list(index)[:10]) + (", ..." if len(index) > 10 else "")
        raise DataError(f"{where}: label {text!r} is not a class (known: {known})")
    return index[text]


def _check_name(name: str, where: str) -> None:
    if not SAMPLE_NAME.match(name):
        raise DataError(
            f"{where}: sample name {name[:140]!r} must be 1 to 128 letters, digits, '.', '_' or "
            "'-', and begin with a letter or digit"
        )


def _path_under(root: str, path: str, where: str) -> str:
    joined = os.path.normpath(os.path.join(root, path))
    inside = os.path.join(os.path.abspath(root), "")
    if not os.path.abspath(joined).startswith(inside):
        raise DataError(f"{where}: path {path!r} leaves the data folder {root!r}")
    return joined
