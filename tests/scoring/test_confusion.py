"""Confused signs: known answers."""

import numpy as np
from sklearn.metrics import confusion_matrix

from slr_pipeline.scoring.confusion import confusable_signs, most_confused

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2, 3, 3])
PREDICTED = np.array([0, 1, 1, 0, 1, 0, 2, 3, 3, 3])
MATRIX = confusion_matrix(LABELS, PREDICTED, labels=range(5))


def test_most_confused_first() -> None:
    errors = most_confused(MATRIX)
    assert errors.columns.tolist() == ["sign", "taken_for", "count", "samples"]
    assert errors.to_numpy().tolist() == [[0, 1, 2, 4], [1, 0, 1, 2], [2, 3, 1, 2]]
    assert most_confused(MATRIX, 1).equals(errors[:1])


def test_clusters_above_a_threshold() -> None:
    # 0 and 1: three of six; 2 and 3: one of four. Class 4 has no samples and is in no cluster.
    both = [[0, 1], [2, 3]]
    assert confusable_signs(MATRIX, 0.25) == both
    assert confusable_signs(MATRIX, 0.26) == both[:1]
    assert confusable_signs(MATRIX, 0.5) == both[:1]
    assert confusable_signs(MATRIX, 0.51) == []


def test_a_third_sign_connects_two() -> None:
    matrix = np.array([[4, 0, 2], [0, 4, 0], [0, 2, 4]])
    assert confusable_signs(matrix, 0.1) == [[0, 1, 2]]


def test_all_right_has_no_confusion() -> None:
    matrix = confusion_matrix(LABELS, LABELS)
    assert most_confused(matrix).empty
    assert confusable_signs(matrix) == []
