"""Confusions by hand."""

import numpy as np
import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.scoring.confusion import (
    Cluster,
    Confusion,
    confusable_signs,
    confusion_matrix,
    most_confused,
)

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2, 3, 3])
PREDICTED = np.array([0, 1, 1, 0, 1, 0, 2, 3, 3, 3])
MATRIX = confusion_matrix(LABELS, PREDICTED, classes=5)


def test_matrix() -> None:
    assert MATRIX.tolist() == [
        [2, 2, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 2, 0],
        [0, 0, 0, 0, 0],
    ]


def test_most_confused_first() -> None:
    rows = most_confused(MATRIX)
    assert rows == [Confusion(0, 1, 2, 4), Confusion(1, 0, 1, 2), Confusion(2, 3, 1, 2)]
    assert most_confused(MATRIX, 1) == rows[:1]


def test_clusters_above_a_threshold() -> None:
    # 0 and 1: three of six; 2 and 3: one of four. Class 4 has no samples and is in none.
    both = [Cluster((0, 1), 6, 3), Cluster((2, 3), 4, 1)]
    assert confusable_signs(MATRIX, 0.25) == both
    assert confusable_signs(MATRIX, 0.26) == both[:1]
    assert confusable_signs(MATRIX, 0.5) == both[:1]
    assert confusable_signs(MATRIX, 0.51) == []


def test_a_third_sign_joins_two() -> None:
    matrix = np.array([[4, 0, 2], [0, 4, 0], [0, 2, 4]])
    assert confusable_signs(matrix, 0.1) == [Cluster((0, 1, 2), 16, 4)]


def test_all_right_has_no_confusion() -> None:
    matrix = confusion_matrix(LABELS, LABELS, 4)
    assert most_confused(matrix) == []
    assert confusable_signs(matrix) == []


def test_refusals() -> None:
    with pytest.raises(DataError, match="10 labels, but 9 predictions"):
        confusion_matrix(LABELS, PREDICTED[1:], 5)
    with pytest.raises(DataError, match="classes 0 to 3 found, expected 0 to 2"):
        confusion_matrix(LABELS, PREDICTED, 3)
    with pytest.raises(DataError, match="threshold 0: expected a share"):
        confusable_signs(MATRIX, 0)
