"""Hands that MediaPipe Holistic loses are found around their wrist; invented ones are dropped."""

from itertools import islice

import numpy as np
import pytest

from benchmarks.hands import NEAR, judged, labelled_frames, rows_of
from slr_pipeline.io.video import read_frames
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.pose.interface import PoseEstimator
from slr_pipeline.pose.mediapipe import HandGraph
from slr_pipeline.pose.second_look import SecondLook, drop_outside, drop_twin, picture_box
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND
from tests.pose.clips import pose_clip
from tests.pose.foreign import DEMO, point
from tests.pose.mediapipes import mediapipe_settings, skip_unless_release
from tests.pose.pictures import truth
from tests.shared_data import SHARED

WLASL = SHARED / "wlasl100/samples.csv"
SAMPLE, FRAME = "signer0_sample1", 12


@pytest.fixture(scope="module")
def second_look() -> SecondLook:
    skip_unless_release("0.10.21")
    from mediapipe.python.solution_base import SolutionBase

    return SecondLook(HandGraph(SolutionBase))


@pytest.fixture(scope="module")
def estimator() -> PoseEstimator:
    return open_estimator(mediapipe_settings("mediapipe"), "cpu")


@pytest.fixture
def frame() -> np.ndarray:
    return next(islice(read_frames(DEMO / f"train/{SAMPLE}_color.mp4"), FRAME, None))


@pytest.fixture
def keypoints() -> np.ndarray:
    """True places; hidden points count as seen, as MediaPipe gives them."""
    keypoints = truth(SAMPLE)[FRAME].astype(np.float32)
    keypoints[:, 2] = 1
    return keypoints


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
@pytest.mark.parametrize("hand", [LEFT_HAND, RIGHT_HAND], ids=["left", "right"])
@pytest.mark.parametrize("presence", [0, 0.1], ids=["missing", "doubtful"])
def test_a_lost_hand_is_found_where_it_is(
    second_look: SecondLook,
    frame: np.ndarray,
    keypoints: np.ndarray,
    hand: range,
    presence: float,
) -> None:
    expected = keypoints.copy()
    keypoints[hand] = (256, 120, presence) if presence else 0
    second_look.correct(frame, keypoints)
    size = np.ptp(expected[hand, :2], axis=0).max()
    away = np.linalg.norm(keypoints[hand, :2] - expected[hand, :2], axis=1)
    assert np.median(away) < 0.15 * size
    assert (keypoints[hand, 2] > 0.5).all()
    others = [i for i in range(133) if i not in hand]
    assert np.array_equal(keypoints[others], expected[others])


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
def test_a_sure_hand_stays_as_it_is(
    second_look: SecondLook, frame: np.ndarray, keypoints: np.ndarray
) -> None:
    keypoints[LEFT_HAND, 2] = 0.5
    keypoints[LEFT_HAND, 0] += 30
    expected = keypoints.copy()
    second_look.correct(frame, keypoints)
    assert np.array_equal(keypoints, expected)


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
def test_the_other_hand_is_not_taken(
    second_look: SecondLook, frame: np.ndarray, keypoints: np.ndarray
) -> None:
    """The arm seems to lie at the other hand, or ends where the signer has no hand."""
    keypoints[LEFT_HAND] = 0
    arm = [[point(f"{side}_{joint}") for joint in ("elbow", "wrist")] for side in ("left", "right")]
    for place in (keypoints[arm[1]], keypoints[[point("left_eye"), point("nose")]]):
        keypoints[arm[0]] = place
        keypoints[arm[0], 2] = 1
        second_look.correct(frame, keypoints)
        assert not keypoints[LEFT_HAND].any()


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
@pytest.mark.parametrize("y", [-300, 511, 900])
@pytest.mark.parametrize("visibility", [0.3, 1.0])
def test_wrists_at_and_beyond_the_rim(
    second_look: SecondLook, frame: np.ndarray, keypoints: np.ndarray, y: int, visibility: float
) -> None:
    keypoints[LEFT_HAND] = 0
    keypoints[point("left_wrist")] = (200, y, visibility)
    second_look.correct(frame, keypoints)
    assert not keypoints[LEFT_HAND].any()


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
@pytest.mark.skipif(not WLASL.is_file(), reason="no wlasl100: SLR_SHARED_DATA or ../shared/data")
@pytest.mark.parametrize("sample", ["28208", "57948", "45262", "05642", "26722"])
def test_hands_of_real_signers(estimator: PoseEstimator, sample: str) -> None:
    """Hands that touch, a hand at the mouth, a blurred one, hands below the picture."""
    ((frame, labels),) = (
        (frame, labels)
        for (name, frame), labels in labelled_frames("tuning").items()
        if name == sample
    )
    (color,) = (row["color"] for row in rows_of(WLASL) if row["sample"] == sample)
    frames = list(islice(read_frames(SHARED / color), frame + 1))
    keypoints = estimator.estimate(pose_clip(frames))[-1]
    verdicts = [verdict for _, verdict in judged(keypoints, labels, NEAR * 256)]
    assert set(verdicts) <= {"found", "absent"}


@pytest.mark.parametrize("grey", [0, 120, 255])
def test_bars_are_not_the_picture(frame: np.ndarray, grey: int) -> None:
    padded = np.pad(frame, ((40, 70), (30, 0), (0, 0)), constant_values=grey)
    assert picture_box(padded) == (30, 40, 542, 552)
    assert picture_box(np.full((5, 7, 3), grey, np.uint8)) == (0, 0, 0, 0)


def test_a_hand_mostly_outside_is_missing(keypoints: np.ndarray) -> None:
    expected = keypoints.copy()
    bottom = int(np.median(keypoints[LEFT_HAND, 1]))
    drop_outside(keypoints, (0, 0, 512, bottom + 3))
    assert np.array_equal(keypoints, expected)
    drop_outside(keypoints, (0, 0, 512, bottom - 3))
    assert not keypoints[LEFT_HAND].any()


@pytest.mark.parametrize(("hand", "other"), [(LEFT_HAND, RIGHT_HAND), (RIGHT_HAND, LEFT_HAND)])
def test_of_two_hands_at_one_place_the_one_at_its_wrist_remains(
    keypoints: np.ndarray, hand: range, other: range
) -> None:
    expected = keypoints.copy()
    drop_twin(keypoints)
    assert np.array_equal(keypoints, expected)
    keypoints[other] = keypoints[hand]
    drop_twin(keypoints)
    assert not keypoints[other].any()
    assert np.array_equal(keypoints[hand], expected[hand])
