"""Late fusion by hand-computed cases."""

from dataclasses import replace

import numpy as np
import pytest

from slr_pipeline.ensemble import class_prior, fuse
from slr_pipeline.errors import DataError
from slr_pipeline.io.logits import Logits

PRIOR = np.array([0.5, 0.25, 0.25])
JOINT = Logits(
    samples=("a", "b", "c"),
    values=np.array([[4, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32),
    answered=np.array([True, True, False]),
    classes=("x", "y", "z"),
    protocol="strict",
)
BONE = replace(
    JOINT,
    samples=("c", "b", "a"),
    values=np.array([[0, 0, 0], [0, 0, 0], [0, 8, 0]], np.float32),
    answered=np.array([False, False, True]),
)


def test_weighted_mean_joined_by_name() -> None:
    fused = fuse({"joint": JOINT, "bone": BONE}, {"joint": 3.0, "bone": 1.0}, "cab", PRIOR)
    np.testing.assert_allclose(fused.scores[1], [3.0, 2.0, 0.0])  # a: (3*4, 1*8, 0) / 4
    np.testing.assert_allclose(fused.scores[2], [0.0, 1.0, 0.0])  # b: the joint stream alone
    np.testing.assert_allclose(fused.scores[0], np.log(PRIOR))  # c: nobody answered
    assert fused.answers.tolist() == [0, 2, 1]


def test_one_stream_of_any_weight_is_itself() -> None:
    fused = fuse({"joint": JOINT}, {"joint": 0.3}, "abc", PRIOR)
    np.testing.assert_allclose(fused.scores[:2], JOINT.values[:2])


@pytest.mark.parametrize(
    ("bone", "line"),
    [
        (replace(BONE, samples=("c", "b", "d")), r"1 missing \['a'\], 1 extra \['d'\]"),
        (replace(BONE, classes=("x", "z", "y")), "classes are not the 3 of the table or those"),
        (replace(BONE, protocol="challenge"), "made by protocol challenge, stream joint by strict"),
    ],
)
def test_streams_that_do_not_belong_together(bone: Logits, line: str) -> None:
    with pytest.raises(DataError, match=f"^stream bone.*{line}"):
        fuse({"joint": JOINT, "bone": bone}, {"joint": 1.0, "bone": 1.0}, "abc", PRIOR)


def test_class_prior_counts_labels_and_never_is_zero() -> None:
    np.testing.assert_allclose(class_prior([0, 0, 2], 3), [3 / 6, 1 / 6, 2 / 6])
