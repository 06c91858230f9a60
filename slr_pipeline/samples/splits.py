"""Splits for tables that have none: each signer in one split, each class in all where it can be.

Arrays and text in, arrays and text out; no file is opened.
"""

import csv
import io
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from slr_pipeline.config.experiment import SPLITS, Split
from slr_pipeline.errors import DataError
from slr_pipeline.samples.table import SAMPLE_NAME, TABLE_COLUMNS, composed

FINEST = 20
"""Most folds of which a split takes some, as a share of a twentieth is the least one asks for."""

NEEDED = ("sample", "label", "signer", "color")


@dataclass(frozen=True)
class PlainTable:
    """A sample table as its cells; `rows` (N) have every name of `columns`."""

    where: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]

    def column(self, name: str) -> list[str]:
        """The cells (N) of a column, empty where the table has none."""
        return [row.get(name, "") for row in self.rows]


def parse_table(where: str, data: bytes) -> PlainTable:
    """Read a sample table whose split may be missing; byte order mark and CRLF are accepted.

    DataError with the line for another header, a short line, a wrong or doubled name, and a row
    without signer.
    """
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text; save it as a UTF-8 CSV") from error
    except csv.Error as error:
        raise DataError(f"{where}: not a CSV ({error}); save it as one") from error
    columns = tuple(lines[0][1]) if lines else ()
    unlike = set(columns) - set(TABLE_COLUMNS) or set(NEEDED) - set(columns)
    if unlike or len(set(columns)) != len(columns) or len(lines) < 2:
        raise DataError(
            f"{where}: expected a header of {','.join(TABLE_COLUMNS)} (split and depth optional) "
            f"and rows, found {','.join(columns)[:100]!a} and {max(len(lines) - 1, 0)} rows"
        )
    seen: set[str] = set()
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            raise DataError(
                f"{where}, line {line}: expected {len(columns)} cells, found {len(cells)}"
            )
        row = _row(columns, cells)
        if not SAMPLE_NAME.fullmatch(row["sample"]) or row["sample"] in seen:
            raise DataError(
                f"{where}, line {line}: sample name {row['sample'][:140]!a} stands twice or "
                "is not 1 to 128 letters, digits, '.', '_' or '-'; give each sample its own"
            )
        if not row["signer"]:
            raise DataError(
                f"{where}, line {line}: sample {row['sample']} has no signer; name one, so that no "
                "signer stands in two splits"
            )
        seen.add(row["sample"])
    rows = tuple(_row(columns, cells) for _, cells in lines[1:])
    return PlainTable(where, columns, rows)


def _row(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    row = dict(zip(columns, cells, strict=True))
    return {**row, "label": composed(row["label"]), "signer": composed(row["signer"])}


def stratified_split(table: PlainTable, *, val: float, test: float, seed: int) -> list[Split]:
    """Split of every row: shares `val` and `test` of the samples, the rest train.

    Signers are dealt by scikit-learn's StratifiedGroupKFold, first for test, then for val; a
    split that is there is ignored. DataError for shares that leave nothing to train, a row without
    label, and too few signers.
    """
    if not (0 < val < 1 and 0 < test < 1 and val + test < 1):
        raise DataError(
            f"--val {val:g} --test {test:g}: expected shares above 0 that leave some for train"
        )
    if not 0 <= seed < 2**32:
        raise DataError(f"--seed {seed}: expected 0 to {2**32 - 1}")
    labels, signers = _labels(table, range(len(table.rows))), _numbers(table.column("signer"))
    split = np.full(len(labels), "train", dtype="U5")
    rest = np.arange(len(labels))
    shares: tuple[tuple[Split, float, int], ...] = (("test", test, 2), ("val", val, 1))
    for name, share, left in shares:
        wanted = share * len(labels) / len(rest)
        taken = _deal(table.where, labels[rest], signers[rest], wanted, left, seed)
        split[rest[taken]] = name
        rest = rest[~taken]
    return [SPLITS[SPLITS.index(name)] for name in split.tolist()]


def clip_split(labels: Sequence[str], *, val: float, test: float, seed: int) -> list[Split]:
    """Split of every clip (N,), for signers that are unknown or too few to be kept apart.

    The clips of each label are dealt at random: shares `val` and `test`, at least one, the rest
    train. ValueError for a label of fewer than three clips.
    """
    generator = np.random.default_rng(seed)
    split: list[Split] = ["train"] * len(labels)
    for label in sorted(set(labels)):
        clips = generator.permutation([place for place, own in enumerate(labels) if own == label])
        if len(clips) < len(SPLITS):
            raise ValueError(f"{label}: {len(clips)} clips are too few for {len(SPLITS)} splits")
        tested = max(1, round(test * len(clips)))
        picking = min(max(1, round(val * len(clips))), len(clips) - tested - 1)
        for place in clips[:tested]:
            split[place] = "test"
        for place in clips[tested : tested + picking]:
            split[place] = "val"
    return split


def signer_folds(
    labels: Sequence[int | None], signers: Sequence[str], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold (N,) in 1..folds of each sample, by scikit-learn's StratifiedGroupKFold.

    All samples of a signer are of one fold. A sample without a label counts as of one more class.
    ValueError for fewer signers than folds.
    """
    number = np.asarray([-1 if label is None else label for label in labels])
    group = _numbers(signers)
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about rare classes: training tells what a fold misses
        number = np.zeros(len(number)) if _all_rare(number, folds) else number
        dealt = [fold for _, fold in dealer.split(np.zeros((len(number), 1)), number, group)]
    found = np.zeros(len(number), np.int64)
    for fold, rows in enumerate(dealt, start=1):
        found[rows] = fold
    return found


def decoster_dev_split(table: PlainTable) -> list[Split]:
    """De Coster's development split: val is fold 0 of 5 of `decoster_folds`, the rest train.

    Rows of split test stay there and are not dealt, as the rule divides what is there to train.
    """
    dealt = [row for row, split in enumerate(table.column("split")) if split != "test"]
    labels, signers = _labels(table, dealt), _numbers(table.column("signer"))[dealt]
    _enough(table.where, len(set(signers.tolist())), 5)
    folds = decoster_folds(labels, signers, folds=5, seed=42)
    split: list[Split] = ["test"] * len(table.rows)
    for row, fold in zip(dealt, folds.tolist(), strict=True):
        split[row] = "val" if fold == 0 else "train"
    return split


def decoster_folds(
    labels: NDArray[Any], signers: NDArray[Any], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold (N,) of each sample by the stratified group k-fold recipe De Coster et al. (2021) use.

    Signers, in the order they appear, are shuffled by Python's generator and sorted by descending
    standard deviation of their counts of the classes. Each goes to the fold with which the share
    of a class varies least across folds, as the mean over classes of the standard deviation.
    """
    classes, number = np.unique(labels, return_inverse=True)
    order = list(dict.fromkeys(signers.tolist()))
    counts = {
        signer: np.bincount(number[signers == signer], minlength=len(classes)) for signer in order
    }
    total = np.bincount(number)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda signer: -float(np.std(counts[signer])))
    held = np.zeros((folds, len(classes)))
    fold_of: dict[Any, int] = {}
    for signer in order:
        spreads = []
        for fold in range(folds):
            trial = held.copy()
            trial[fold] += counts[signer]
            spreads.append(np.mean(np.std(trial / total, axis=0)))
        best = int(np.argmin(spreads))
        fold_of[signer] = best
        held[best] += counts[signer]
    return np.asarray([fold_of[signer] for signer in signers.tolist()], dtype=np.int64)


def table_text(table: PlainTable, split: Sequence[Split]) -> str:
    """The table as CSV with its split, LF, rows in their order."""
    columns = [name for name in TABLE_COLUMNS if name in {*table.columns, "split"}]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row, name in zip(table.rows, split, strict=True):
        writer.writerow([{**row, "split": name}[column] for column in columns])
    return out.getvalue()


def describe_split(table: PlainTable, split: Sequence[Split]) -> dict[str, dict[str, Any]]:
    """Of each split the number of samples, the signers, and the classes it has no sample of."""
    labels, signers = table.column("label"), table.column("signer")
    every = {label for label in labels if label}
    found: dict[str, dict[str, Any]] = {}
    for name in SPLITS:
        rows = [row for row, at in enumerate(split) if at == name]
        found[name] = {
            "samples": len(rows),
            "signers": sorted({signers[row] for row in rows}),
            "missing_classes": sorted(every - {labels[row] for row in rows}),
        }
    return found


def _labels(table: PlainTable, rows: Sequence[int]) -> NDArray[np.int64]:
    labels = table.column("label")
    without = [table.rows[row]["sample"] for row in rows if not labels[row]]
    if without:
        raise DataError(
            f"{table.where}: {len(without)} samples have no label, first {without[0]}; a split "
            "that is stratified needs all"
        )
    return _numbers([labels[row] for row in rows])


def _numbers(texts: Sequence[str]) -> NDArray[np.int64]:
    """The places (N,) of texts among the sorted ones."""
    place = {text: number for number, text in enumerate(sorted(set(texts)))}
    return np.asarray([place[text] for text in texts], dtype=np.int64)


def _deal(
    where: str,
    labels: NDArray[np.int64],
    signers: NDArray[np.int64],
    share: float,
    left: int,
    seed: int,
) -> NDArray[np.bool_]:
    """Which samples (N,) make up a share; at least `left` signers are not among them.

    Some of a number of folds are taken, each of which has a signer. The seed decides between
    signers whose classes are spread alike, and no more than that.
    """
    there = len(set(signers.tolist()))
    _enough(where, there, left + 1)
    parts = [
        (some, folds)
        for folds in range(left + 1, min(there, FINEST) + 1)
        for some in range(1, folds - left + 1)
    ]
    some, folds = min(parts, key=lambda part: (abs(part[0] / part[1] - share), part[1]))
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about rare classes: what a split misses is told
        number = np.zeros(len(labels)) if _all_rare(labels, folds) else labels
        dealt = [fold for _, fold in dealer.split(np.zeros((len(labels), 1)), number, signers)]

    def unlike(fold: NDArray[np.int64]) -> float:
        """How far samples and signers are from their share: one busy signer may be a fold."""
        people = len(set(signers[fold].tolist()))
        return abs(len(fold) / len(labels) - 1 / folds) + abs(people / there - 1 / folds)

    taken = np.zeros(len(labels), np.bool_)
    for fold in sorted(dealt, key=unlike)[:some]:
        taken[fold] = True
    return taken


def _all_rare(labels: NDArray[np.int64], folds: int) -> bool:
    """Whether no class can be in every fold, which scikit-learn refuses."""
    return int(np.unique(labels, return_counts=True)[1].max()) < folds


def _enough(where: str, there: int, needed: int) -> None:
    if there < needed:
        raise DataError(
            f"{where}: {there} signers are left to deal, {needed} are needed, as no signer may "
            "stand in two splits; add signers"
        )
