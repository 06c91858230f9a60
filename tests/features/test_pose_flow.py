"""Pose flow: hand-computed cases, a slow reference implementation, symmetries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from slr_pipeline import skeleton
from slr_pipeline.features.pose_flow import latest_seen, nearest_seen, pose_flow
from slr_pipeline.schema import Fidelity

Floats = NDArray[np.float64]

FIDELITIES: tuple[Fidelity, ...] = ("published", "corrected")
LEFT_WRIST, NECK, TOP = 9, 17, 18


def walk(T: int, V: int = 135, *, seed: int = 7, missing: float = 0.2) -> Floats:
    """(T, V, 3) a moving person in a 512 picture; a share of the keypoints is (0, 0, 0)."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(100, 400, (1, V, 2))
    points = np.ones((T, V, 3))
    points[..., :2] = start + rng.normal(0, 3, (T, V, 2)).cumsum(axis=0)
    points[rng.random((T, V)) < missing] = 0
    return points


def person(T: int) -> Floats:
    """(T, 135, 3) all points at (100, 100) except the head, which is 50 long."""
    points = np.full((T, 135, 3), 100.0)
    points[:, NECK, :2] = (100, 80)
    points[:, TOP, :2] = (100, 30)
    points[..., 2] = 1
    return points


def flow_of(values: NDArray[np.float32], keypoint: int) -> list[list[float]]:
    """(angle / pi, magnitude) of one of the 135 keypoints in every frame."""
    row = skeleton.POSE_FLOW_KEYPOINTS.index(keypoint)
    return [[round(float(v), 6) for v in pair] for pair in values[:, 2 * row : 2 * row + 2]]


def slow_published(points: Floats) -> Floats:
    """The released code step by step: (N, 135, 2) with (0, 0) for missing to (N, 106)."""
    P = points.copy()
    N = len(P)
    for i in range(N):
        for k in range(135):
            if tuple(P[i, k]) == (0, 0):
                best = N + 1
                for j in range(N):
                    if tuple(P[j, k]) != (0, 0) and abs(i - j) < best:
                        best, P[i, k] = abs(i - j), P[j, k]
    for i in range(N):
        P[i] /= np.linalg.norm(P[i, NECK] - P[i, TOP])
    files = []
    for i in range(1, N):
        flow = np.zeros((135, 2))
        for k in range(135):
            if tuple(P[i, k]) != (0, 0) and tuple(P[i - 1, k]) != (0, 0):
                dx, dy = P[i, k] - P[i - 1, k]
                flow[k] = (np.arctan2(dy, dx), np.hypot(dx, dy))
        files.append(flow)
    read = [np.zeros((135, 2))] + [files[min(t, N - 2)] for t in range(1, N)]
    kept = np.delete(np.stack(read), [*range(65, 135), *range(19, 25), *range(11, 17)], axis=1)
    kept[..., 0] /= np.pi
    return kept.reshape(N, 106)


@pytest.mark.parametrize(
    ("fidelity", "expected"),
    [
        ("corrected", [[0, 0], [0, 0.2], [0.5, 0.5], [1, 1]]),
        ("published", [[0, 0], [0.5, 0.5], [1, 1], [1, 1]]),  # one frame early, the last repeated
    ],
)
def test_steps_by_hand(fidelity: Fidelity, expected: list[list[float]]) -> None:
    points = person(4)
    points[1:, LEFT_WRIST, 0] += 10  # right by a fifth of the head between frames 0 and 1
    points[2:, LEFT_WRIST, 1] += 25  # down by half of it between 1 and 2
    points[3:, LEFT_WRIST, 0] -= 50  # left by all of it between 2 and 3
    flow = pose_flow(points, fidelity=fidelity)
    assert flow_of(flow.values, LEFT_WRIST) == expected
    assert np.count_nonzero(flow.values) == np.count_nonzero(expected)  # all else is still
    assert (flow.zero_neck_frames, flow.keypoints_never_seen) == (0, 0)


def test_each_frame_is_divided_by_its_own_head() -> None:
    points = person(2)
    points[1, TOP, :2] = (100, -20)  # the head doubles: (100, 100) goes from (2, 2) to (1, 1)
    values = pose_flow(points, fidelity="corrected").values
    assert flow_of(values, LEFT_WRIST)[1] == [-0.75, round(2**0.5, 6)]


def test_gaps_take_the_nearest_frame_or_in_published_the_latest() -> None:
    seen = np.array([0, 0, 1, 0, 0, 0, 1, 0], dtype=bool)[:, None]
    assert nearest_seen(seen)[:, 0].tolist() == [2, 2, 2, 2, 2, 6, 6, 6]  # ties to the earlier
    assert latest_seen(seen)[:, 0].tolist() == [2, 2, 2, 2, 2, 2, 6, 6]


@pytest.mark.parametrize(("T", "missing"), [(2, 0.0), (3, 0.3), (17, 0.5), (30, 0.9)])
def test_published_is_the_released_code(T: int, missing: float) -> None:
    points = walk(T, seed=T, missing=missing)[..., :2]
    points[0, [NECK, TOP]] = [[250, 200], [255, 120]]
    points[:, 40] = 0  # never seen
    expected = slow_published(points)
    flow = pose_flow(points, fidelity="published")
    np.testing.assert_allclose(flow.values, expected, rtol=1e-6, atol=1e-6)
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_keypoints_never_seen_are_zero_and_counted(fidelity: Fidelity) -> None:
    points = walk(20, missing=0)
    points[:, [30, 50, 80]] = 0  # the face point 80 is not among the 53
    flow = pose_flow(points, fidelity=fidelity)
    assert flow.keypoints_never_seen == 2
    assert flow_of(flow.values, 30) == [[0, 0]] * 20
    assert np.all(flow.values[1:, 1::2].sum(axis=1) > 0)
    nobody = pose_flow(np.zeros((5, 133, 3), dtype=np.float32), fidelity=fidelity)
    assert not nobody.values.any()
    assert (nobody.zero_neck_frames, nobody.keypoints_never_seen) == (5, 53)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_frames_without_a_head_length_are_zero_and_counted(fidelity: Fidelity) -> None:
    points = walk(10, missing=0)
    points[4, TOP] = points[4, NECK]
    flow = pose_flow(points, fidelity=fidelity)
    empty = [t for t in range(10) if not flow.values[t].any()]
    assert empty == ([0, 3, 4] if fidelity == "published" else [0, 4, 5])
    assert (flow.zero_neck_frames, flow.keypoints_never_seen) == (1, 0)
    for end in (NECK, TOP):
        points = walk(10, missing=0)
        points[:, end] = 0
        flow = pose_flow(points, fidelity=fidelity)
        assert not flow.values.any()
        assert (flow.zero_neck_frames, flow.keypoints_never_seen) == (10, 1)


def test_score_0_means_missing_and_without_scores_the_corner_does() -> None:
    points = walk(6, missing=0)
    points[3, LEFT_WRIST, 2] = 0  # its position must not count
    bare = points[..., :2].copy()
    bare[3, LEFT_WRIST] = 0
    for fidelity in FIDELITIES:
        scored = pose_flow(points, fidelity=fidelity).values
        assert np.array_equal(scored, pose_flow(bare, fidelity=fidelity).values)
    corrected = pose_flow(bare, fidelity="corrected").values
    assert np.abs(flow_of(corrected, LEFT_WRIST)[3]).sum() > 0  # the head still changes


def test_only_published_takes_a_keypoint_at_the_corner_as_missing() -> None:
    points = person(3)
    points[1, LEFT_WRIST, :2] = 0  # from (2, 2) heads to the corner and back
    published = pose_flow(points, fidelity="published").values
    assert flow_of(published, LEFT_WRIST) == [[0, 0]] * 3
    corrected = pose_flow(points, fidelity="corrected").values
    there_and_back = [[-0.75, round(8**0.5, 6)], [0.25, round(8**0.5, 6)]]
    assert flow_of(corrected, LEFT_WRIST) == [[0, 0], *there_and_back]


def test_the_133_map_by_name_and_ears_and_shoulders_give_the_head() -> None:
    points = np.zeros((2, 133, 3))
    points[..., 2] = 1
    points[:, skeleton.EARS, 1] = 100
    points[:, skeleton.SHOULDERS, 1] = 200  # upper neck at 150, head top at 30: 120 px
    points[1, 111] = (60, 0, 1)  # tip of the left little finger goes right by half a head
    flow = pose_flow(points, fidelity="corrected")
    tip = skeleton.BODY_135.index("left_pinky_finger4")
    assert flow_of(flow.values, tip) == [[0, 0], [0, 0.5]]
    assert np.count_nonzero(flow.values) == 1
    points[1, 3] = 0  # without one ear the head comes from the other frame
    assert flow_of(pose_flow(points, fidelity="corrected").values, tip) == [[0, 0], [0, 0.5]]
    points[:, 3] = 0
    assert pose_flow(points, fidelity="corrected").zero_neck_frames == 2


@given(seed=st.integers(0, 10**6), T=st.integers(3, 12))
def test_with_everything_seen_published_is_corrected_one_frame_early(seed: int, T: int) -> None:
    points = walk(T, seed=seed, missing=0)
    published = pose_flow(points, fidelity="published").values
    corrected = pose_flow(points, fidelity="corrected").values
    assert np.array_equal(published[1:-1], corrected[2:])
    assert np.array_equal(published[-1], corrected[-1])


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("T", [0, 1, 2, 150])
def test_any_length_gives_finite_numbers(fidelity: Fidelity, T: int) -> None:
    for missing in (0.0, 0.5, 0.99):
        flow = pose_flow(walk(T, 133, missing=missing), fidelity=fidelity)
        assert flow.values.shape == (T, 106)
        assert flow.values.dtype == np.float32
        assert np.isfinite(flow.values).all()
        assert np.abs(flow.values[:, 0::2]).max(initial=0) <= 1
        assert not flow.values[:1].any()
    for shape in ((0, 135, 3), (0, 135, 2)):
        assert pose_flow(np.zeros(shape), fidelity=fidelity).values.shape == (0, 106)


@pytest.mark.parametrize("shape", [(4, 133, 2), (4, 27, 3), (133, 3)])
def test_other_layouts_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="keypoints must be"):
        pose_flow(np.zeros(shape), fidelity="corrected")


@pytest.mark.parametrize(
    ("V", "fidelity", "angles", "magnitudes"),
    [
        (133, "published", -7484.8744, 2211.0400),
        (133, "corrected", -8818.6455, 2282.0065),
        (135, "published", -6506.6965, 3673.2437),
        (135, "corrected", -8634.9325, 3564.0439),
    ],
)
def test_golden_numbers(V: int, fidelity: Fidelity, angles: float, magnitudes: float) -> None:
    points = walk(40, V)
    if V == 133:  # a plausible head
        points[:, [*skeleton.EARS, *skeleton.SHOULDERS], 1] *= [0.5, 0.5, 1.5, 1.5]
    else:
        points[:, [NECK, TOP], 1] *= [1.5, 0.5]
    values = pose_flow(points, fidelity=fidelity).values.astype(np.float64)
    weights = np.arange(40 * 53).reshape(40, 53) % 97  # so that order counts
    assert (weights * values[:, 0::2]).sum() == pytest.approx(angles, rel=1e-5)
    assert (weights * values[:, 1::2]).sum() == pytest.approx(magnitudes, rel=1e-5)
