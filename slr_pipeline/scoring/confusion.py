"""Which signs are confused with which. Pure: arrays in, tables out. K classes.

The confusion matrix c (K, K) counts the samples of each class (row) by predicted class (column).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

CONFUSABLE = 0.1
"""Two signs are confusable if at least this share of their samples is mistaken for the other."""


def confusion_matrix(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], K: int
) -> NDArray[np.int64]:
    """Count the samples by class and predicted class, both (N,)."""
    return np.bincount(K * labels + predicted, minlength=K * K).reshape(K, K)


def most_confused(matrix: NDArray[np.int64], n: int = 10) -> pd.DataFrame:
    """Rank the n most frequent errors of a confusion matrix (K, K).

    Columns: `sign` and `taken_for` (class numbers), `count` of such errors, `samples` of the sign.
    Errors of equal count are ranked by their share of the samples, then by class number.
    """
    sign, taken_for = np.nonzero(matrix - np.diag(np.diag(matrix)))
    errors = pd.DataFrame(
        {
            "sign": sign,
            "taken_for": taken_for,
            "count": matrix[sign, taken_for],
            "samples": matrix.sum(axis=1)[sign],
        }
    )
    order = ["count", "samples", "sign", "taken_for"]
    return errors.sort_values(order, ascending=[False, True, True, True]).head(n)


def confusable_signs(matrix: NDArray[np.int64], threshold: float = CONFUSABLE) -> list[list[int]]:
    """Clusters of classes that are mistaken for each other, those with most errors first.

    Signs i and j are linked if (c_ij + c_ji) / (n_i + n_j) >= `threshold`, with n samples of a
    class. A cluster is a connected component of at least two signs, so a third sign can connect two
    others.
    """
    samples = matrix.sum(axis=1)
    both = matrix + matrix.T
    share = both / np.maximum(samples[:, None] + samples, 1)
    np.fill_diagonal(share, 0)
    _, component = connected_components(share >= threshold, directed=False)
    clusters = [np.flatnonzero(component == c) for c in range(component.max() + 1)]
    errors = matrix - np.diag(np.diag(matrix))
    ranked = sorted(
        (-int(errors[np.ix_(members, members)].sum()), members.tolist())
        for members in clusters
        if len(members) > 1
    )
    return [members for _, members in ranked]
