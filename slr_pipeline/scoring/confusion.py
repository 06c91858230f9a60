"""Which signs are taken for which. Pure: arrays in, numbers out. N samples, K classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from slr_pipeline.errors import DataError

CONFUSABLE = 0.1
"""Share of two signs' samples that are taken for the other, from which on they are confusable."""


@dataclass(frozen=True)
class Confusion:
    """`count` of the `samples` of class `true` were taken for class `taken_for`."""

    true: int
    taken_for: int
    count: int
    samples: int


@dataclass(frozen=True)
class Cluster:
    """Classes that are confused: of their `samples`, `confused` were taken for another of them."""

    classes: tuple[int, ...]
    samples: int
    confused: int


def confusion_matrix(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """How many samples of each class (row) were taken for each class (column), (K, K).

    `labels`, `predicted` (N,). Raises DataError for unequal lengths or numbers outside 0..K-1.
    """
    if labels.shape != predicted.shape:
        raise DataError(f"{labels.size} labels, but {predicted.size} predictions; expected as many")
    both = np.concatenate([labels, predicted])
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise DataError(f"classes {both.min()} to {both.max()} found, expected 0 to {classes - 1}")
    cell = labels.astype(np.int64) * classes + predicted
    return np.bincount(cell, minlength=classes**2).reshape(classes, classes)


def most_confused(matrix: NDArray[np.int64], n: int = 10) -> list[Confusion]:
    """The n most frequent errors of a confusion matrix (K, K), most samples first.

    Of equal counts the larger share of its class comes first, then the lower classes.
    """
    samples = matrix.sum(axis=1)
    rows = [
        Confusion(true, taken_for, int(matrix[true, taken_for]), int(samples[true]))
        for true, taken_for in np.argwhere(matrix > 0).tolist()
        if true != taken_for
    ]
    rows.sort(key=lambda row: (-row.count, row.samples, row.true, row.taken_for))
    return rows[:n]


def confusable_signs(matrix: NDArray[np.int64], threshold: float = CONFUSABLE) -> list[Cluster]:
    """Clusters of signs that are taken for one another, those with most errors first.

    Two signs i, j are linked where (c_ij + c_ji) / (n_i + n_j) >= `threshold` of the confusion
    matrix c (K, K), n the samples of a class; a cluster is a connected component of two or more.
    So signs may be in one cluster through a third. Raises DataError for a threshold outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise DataError(f"threshold {threshold}: expected a share above 0 and at most 1")
    samples = matrix.sum(axis=1)
    both = matrix + matrix.T
    share = both / np.maximum(samples[:, None] + samples, 1)
    np.fill_diagonal(share, 0)
    _, component = connected_components(share >= threshold, directed=False)
    clusters = []
    for number in np.flatnonzero(np.bincount(component) > 1):
        members = np.flatnonzero(component == number)
        within = matrix[np.ix_(members, members)]
        confused = int(within.sum() - np.trace(within))
        clusters.append(Cluster(tuple(members.tolist()), int(samples[members].sum()), confused))
    return sorted(clusters, key=lambda cluster: (-cluster.confused, cluster.classes))
