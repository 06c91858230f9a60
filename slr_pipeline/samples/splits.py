"""Random splits: each signer in one split where possible, each class in all where possible.

Labels and signers in, splits out; no file is opened.
"""

import random
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.experiment import SPLITS, Split
from slr_pipeline.errors import ConfigError, DataError

MAX_FOLDS = 20
"""A split is some of at most this many folds, so its share is accurate to a twentieth."""


def stratified_split(
    labels: Sequence[str], signers: Sequence[str], *, val: float, test: float, seed: int
) -> list[Split]:
    """Split of every sample (N,): shares `val` and `test` of the samples, the rest train.

    scikit-learn's StratifiedGroupKFold assigns signers first to test, then to val. ConfigError for
    shares that leave nothing to train, DataError for too few signers.
    """
    if not (0 < val < 1 and 0 < test < 1 and val + test < 1):
        raise ConfigError(
            f"--val {val:g} --test {test:g}: expected shares above 0 that leave some for train"
        )
    if not 0 <= seed < 2**32:
        raise ConfigError(f"--seed {seed}: expected 0 to {2**32 - 1}")
    label, signer = _numbers(labels), _numbers(signers)
    split = np.full(len(label), "train", dtype="U5")
    rest = np.arange(len(label))
    for name, share, signers_left in (("test", test, 2), ("val", val, 1)):
        wanted = share * len(label) / len(rest)
        chosen = _choose(label[rest], signer[rest], wanted, signers_left, seed)
        split[rest[chosen]] = name
        rest = rest[~chosen]
    return [SPLITS[SPLITS.index(name)] for name in split.tolist()]


def clip_split(
    labels: Sequence[str],
    known: Sequence[Split | None] | None = None,
    /,
    *,
    val: float,
    test: float,
    seed: int,
) -> list[Split]:
    """Split of every clip (N,) at random, for signers that are unknown or too few.

    Of each label, shares `val` and `test` (at least one clip each), the rest train. Clips with a
    `known` split keep it, and the others fill up the shares. ValueError for a label of fewer than
    three clips.
    """
    generator = np.random.default_rng(seed)
    fixed = [None] * len(labels) if known is None else known
    split: list[Split] = [name or "train" for name in fixed]
    for label in sorted({name for name, old in zip(labels, fixed, strict=True) if old is None}):
        clips = [row for row, name in enumerate(labels) if name == label]
        if len(clips) < len(SPLITS):
            raise ValueError(f"{label}: {len(clips)} clips are too few for {len(SPLITS)} splits")
        test_count = max(1, round(test * len(clips)))
        val_count = min(max(1, round(val * len(clips))), len(clips) - test_count - 1)
        old = Counter(fixed[row] for row in clips)
        new = generator.permutation([row for row in clips if fixed[row] is None])
        in_test, in_val = max(0, test_count - old["test"]), max(0, val_count - old["val"])
        for row in new[:in_test]:
            split[row] = "test"
        for row in new[in_test : in_test + in_val]:
            split[row] = "val"
    return split


def deal_signers(
    labels: Sequence[str],
    signers: Sequence[str],
    known: Sequence[Split | None],
    *,
    val: float,
    test: float,
) -> list[Split]:
    """Split of every sample (N,), where some samples have a `known` one.

    A signer with a known split keeps it. The others, those with most samples first, go where most
    samples of their labels are missing from shares `val` and `test`, the rest train.
    """
    split_of = {name: old for name, old in zip(signers, known, strict=True) if old is not None}
    shares = {"train": 1 - val - test, "val": val, "test": test}
    total = Counter(labels)
    count = Counter(
        (split_of[name], label)
        for name, label in zip(signers, labels, strict=True)
        if name in split_of
    )
    own: dict[str, Counter[str]] = {}
    for name, label in zip(signers, labels, strict=True):
        own.setdefault(name, Counter())[label] += 1
    for name in sorted(own.keys() - split_of.keys(), key=lambda name: (-own[name].total(), name)):

        def missing(split: Split, own: Counter[str] = own[name]) -> float:
            return sum(n * (shares[split] * total[x] - count[split, x]) for x, n in own.items())

        split_of[name] = max(SPLITS, key=missing)
        count.update({(split_of[name], label): n for label, n in own[name].items()})
    return [old or split_of[name] for name, old in zip(signers, known, strict=True)]


def signer_folds(
    labels: Sequence[int | None], signers: Sequence[str], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold (N,) in 1..folds of each sample, by scikit-learn's StratifiedGroupKFold.

    All samples of a signer are in one fold, and no fold is empty. Samples without a label count as
    one more class. ValueError for fewer signers than folds.
    """
    label = np.asarray([-1 if label is None else label for label in labels])
    fold_of = np.zeros(len(label), np.int64)
    for fold, rows in enumerate(_folds(label, _numbers(signers), folds, seed), start=1):
        fold_of[rows] = fold
    return fold_of


def decoster_dev_split(
    labels: Sequence[str], signers: Sequence[str], splits: Sequence[str]
) -> list[Split]:
    """De Coster's development split: val is fold 0 of 5 of `decoster_folds`, the rest train.

    Rows of split test stay in test, because the rule divides the samples to train on.
    """
    rows = [row for row, split in enumerate(splits) if split != "test"]
    label, signer = _numbers([labels[row] for row in rows]), _numbers(signers)[rows]
    _check_count(len(set(signer.tolist())), 5)
    split: list[Split] = ["test"] * len(splits)
    for row, fold in zip(rows, decoster_folds(label, signer, folds=5, seed=42), strict=True):
        split[row] = "val" if fold == 0 else "train"
    return split


def decoster_folds(
    labels: NDArray[Any], signers: NDArray[Any], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold (N,) of each sample, by the stratified group k-fold of De Coster et al. (2021).

    Signers, in order of appearance, are shuffled by Python's generator and sorted by descending
    standard deviation of their class counts. Each goes to the fold with which the share of a class
    varies least across folds: mean over classes of the standard deviation.
    """
    classes, number = np.unique(labels, return_inverse=True)
    order = list(dict.fromkeys(signers.tolist()))
    counts = {
        signer: np.bincount(number[signers == signer], minlength=len(classes)) for signer in order
    }
    total = np.bincount(number)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda signer: -float(np.std(counts[signer])))
    assigned = np.zeros((folds, len(classes)))
    fold_of: dict[Any, int] = {}
    for signer in order:
        spreads = []
        for fold in range(folds):
            trial = assigned.copy()
            trial[fold] += counts[signer]
            spreads.append(np.mean(np.std(trial / total, axis=0)))
        fold_of[signer] = int(np.argmin(spreads))
        assigned[fold_of[signer]] += counts[signer]
    return np.asarray([fold_of[signer] for signer in signers.tolist()], dtype=np.int64)


def _numbers(texts: Sequence[str]) -> NDArray[np.int64]:
    """The index (N,) of each text among the sorted distinct ones."""
    index = {text: number for number, text in enumerate(sorted(set(texts)))}
    return np.asarray([index[text] for text in texts], dtype=np.int64)


def _choose(
    labels: NDArray[np.int64],
    signers: NDArray[np.int64],
    share: float,
    signers_left: int,
    seed: int,
) -> NDArray[np.bool_]:
    """Which samples (N,) make up a share, as some of a number of folds.

    At least `signers_left` signers are not chosen. The seed only decides between signers whose
    classes are distributed alike.
    """
    people = len(set(signers.tolist()))
    _check_count(people, signers_left + 1)
    fractions = [
        (chosen, folds)
        for folds in range(signers_left + 1, min(people, MAX_FOLDS) + 1)
        for chosen in range(1, folds - signers_left + 1)
    ]
    count, folds = min(fractions, key=lambda part: (abs(part[0] / part[1] - share), part[1]))

    def deviation(rows: NDArray[np.int64]) -> float:
        """Distance of a fold from an equal share of samples and signers."""
        own = len(set(signers[rows].tolist()))
        return abs(len(rows) / len(labels) - 1 / folds) + abs(own / people - 1 / folds)

    chosen = np.zeros(len(labels), np.bool_)
    for rows in sorted(_folds(labels, signers, folds, seed), key=deviation)[:count]:
        chosen[rows] = True
    return chosen


def _folds(
    labels: NDArray[Any], signers: NDArray[np.int64], folds: int, seed: int
) -> list[NDArray[np.int64]]:
    """The rows of each fold, at least one, stratified by label where a class is in every fold."""
    # Late: few runs have folds, and every training imports this module.
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415

    if np.unique(labels, return_counts=True)[1].max() < folds:  # scikit-learn refuses this
        labels = np.zeros(len(labels))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about rare classes: callers report missing classes
        found = [rows for _, rows in splitter.split(np.zeros((len(labels), 1)), labels, signers)]
    # Few signers with few samples each may leave a fold without any.
    for fold, rows in enumerate(found):
        if not len(rows):
            several = [other for other, own in enumerate(found) if len(set(signers[own])) > 1]
            giver = max(several, key=lambda other: len(found[other]))
            names, counts = np.unique(signers[found[giver]], return_counts=True)
            given = signers[found[giver]] == names[counts.argmin()]
            found[fold], found[giver] = found[giver][given], found[giver][~given]
    return found


def _check_count(signers: int, needed: int) -> None:
    if signers < needed:
        raise DataError(
            f"{signers} signers are left to divide, {needed} are needed, because each signer is in "
            "one split only; add signers"
        )
