from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from slr_pipeline.data import frame_indices
from slr_pipeline.schema import Fidelity

LENGTHS = [1, 2, 149, 150, 151, 1000]
FIDELITIES = pytest.mark.parametrize("fidelity", ["published", "corrected"])


def test_looped_by_hand() -> None:
    assert frame_indices.looped(3, 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert frame_indices.looped(5, 3).tolist() == [0, 1, 2]


def test_resampled_by_hand() -> None:
    assert frame_indices.resampled(6, 3).tolist() == [1, 3, 5]
    assert frame_indices.resampled(2, 4).tolist() == [0, 0, 1, 1]
    assert frame_indices.resampled(9, 1).tolist() == [4]


@pytest.mark.parametrize("T", LENGTHS)
def test_resampled_is_even_and_covers_the_clip(T: int) -> None:
    index = frame_indices.resampled(T, 150)
    assert index.shape == (150,)
    assert (index >= 0).all()
    assert (index < T).all()
    steps = np.diff(index)
    assert steps.max() - steps.min() <= 1
    assert abs(int(index[0]) - (T - 1 - int(index[-1]))) <= 1  # as far from either end
    if T <= 150:
        assert set(index.tolist()) == set(range(T))


@given(
    T=st.integers(1, 1000),
    length=st.integers(1, 1000),
    seed=st.integers(0, 2**32 - 1),
)
def test_windows_lie_inside_the_clip(T: int, length: int, seed: int) -> None:
    length = min(length, T)
    index = frame_indices.random_window(T, length, np.random.default_rng(seed))
    assert index.tolist() == list(range(index[0], index[0] + length))
    assert index[0] >= 0
    assert index[-1] < T


def test_every_window_occurs() -> None:
    rng = np.random.default_rng(0)
    starts = {int(frame_indices.random_window(6, 4, rng)[0]) for _ in range(100)}
    assert starts == {0, 1, 2}


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("T", [0, -1])
@pytest.mark.parametrize(
    "indices_of",
    [
        lambda T: frame_indices.looped(T, 150),
        lambda T: frame_indices.resampled(T, 150),
        lambda T: frame_indices.random_window(T, 1, RNG),
        lambda T: frame_indices.random_clip(T, 32, RNG),
        lambda T: frame_indices.test_clip(T, 32, 0, 5, "corrected"),
        lambda T: frame_indices.strided(T, 16, 2, "published"),
    ],
)
def test_clips_without_frames_are_refused(
    indices_of: Callable[[int], NDArray[np.int64]], T: int
) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        indices_of(T)


# --- clips of consecutive frames -----------------------------------------------------------------

VIDEOS = [1, 2, 15, 16, 17, 31, 32, 33, 60, 1000]


@pytest.mark.parametrize("T", VIDEOS)
def test_random_clips_are_windows_or_loops(T: int) -> None:
    rng = np.random.default_rng(T)
    for _ in range(20):
        index = frame_indices.random_clip(T, 32, rng)
        if T <= 32:
            assert index.tolist() == frame_indices.looped(T, 32).tolist()
        else:
            assert index.tolist() == list(range(index[0], index[0] + 32))
            assert 0 <= index[0] <= T - 32


def test_random_clips_start_anywhere() -> None:
    rng = np.random.default_rng(0)
    starts = [int(frame_indices.random_clip(35, 32, rng)[0]) for _ in range(400)]
    assert set(starts) == {0, 1, 2, 3}
    assert min(starts.count(start) for start in range(4)) > 70


@pytest.mark.parametrize(
    ("T", "published", "corrected"),
    [
        (33, [0, 0, 0, 0, 0], [0, 0, 0, 1, 1]),
        (39, [0, 1, 2, 3, 4], [0, 2, 4, 5, 7]),
        (60, [0, 7, 14, 21, 28], [0, 7, 14, 21, 28]),
        (151, [0, 29, 58, 87, 116], [0, 30, 60, 89, 119]),
    ],
)
def test_five_clips_by_hand(T: int, published: list[int], corrected: list[int]) -> None:
    for fidelity, starts in (("published", published), ("corrected", corrected)):
        views = [frame_indices.test_clip(T, 32, view, 5, fidelity) for view in range(5)]
        assert [int(view[0]) for view in views] == starts


def test_a_speed_sees_the_middle_or_holds_the_ends() -> None:
    assert frame_indices.resampled(100, 4, 0.5).tolist() == [31, 43, 56, 68]
    assert frame_indices.resampled(100, 4, 2.0).tolist() == [0, 25, 75, 99]
    assert frame_indices.resampled(1, 3, 1.5).tolist() == [0, 0, 0]


@FIDELITIES
@pytest.mark.parametrize("views", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("T", VIDEOS)
def test_test_clips_are_spread_over_the_video(T: int, views: int, fidelity: Fidelity) -> None:
    spread = [frame_indices.test_clip(T, 32, view, views, fidelity) for view in range(views)]
    for index in spread:
        assert index.shape == (32,)
        assert index.dtype == np.int64
        assert 0 <= index.min() <= index.max() < T
        if T <= 32:
            assert index.tolist() == frame_indices.looped(T, 32).tolist()
        else:
            assert index.tolist() == list(range(index[0], index[0] + 32))
    if T > 32 and views > 1:
        assert spread[0][0] == 0
        behind = T - 1 - spread[-1][-1]
        assert 0 <= behind <= (views - 2 if fidelity == "published" else 0)


@FIDELITIES
def test_a_single_test_clip_is_the_middle(fidelity: Fidelity) -> None:
    assert frame_indices.test_clip(43, 32, 0, 1, fidelity)[0] == 5


# --- every second frame --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("T", "expected"),
    [
        (60, list(range(11, 42, 2))),
        (20, [*range(1, 20, 2), *[19] * 6]),
        (16, [*range(0, 16, 2), *[14] * 8]),
        (2, [0] * 16),
    ],
)
def test_published_stride_by_hand(T: int, expected: list[int]) -> None:
    assert frame_indices.strided(T, 16, 2, "published").tolist() == expected


@pytest.mark.parametrize(
    ("T", "expected"),
    [
        (60, list(range(14, 45, 2))),
        (33, list(range(1, 32, 2))),
        (32, list(range(0, 31, 2))),
        (31, list(range(0, 31, 2))),
        (17, [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16]),
        (2, [0] * 8 + [1] * 8),
    ],
)
def test_corrected_stride_by_hand(T: int, expected: list[int]) -> None:
    assert frame_indices.strided(T, 16, 2, "corrected").tolist() == expected


@FIDELITIES
@pytest.mark.parametrize("T", VIDEOS)
def test_strided_frames_are_in_range_and_in_order(T: int, fidelity: Fidelity) -> None:
    index = frame_indices.strided(T, 16, 2, fidelity)
    assert index.shape == (16,)
    assert index.dtype == np.int64
    assert 0 <= index[0] <= index[-1] < T
    steps = np.diff(index)
    assert steps.min() >= 0
    assert steps.max() <= 2
    if T >= 31 and fidelity == "corrected":
        assert set(steps.tolist()) == {2}
        assert 0 <= (T - 1 - int(index[-1])) - int(index[0]) <= 1  # as far from either end
    if 16 <= T < 31 and fidelity == "corrected":
        assert steps.min() == 1  # no frame repeats
