import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slr_pipeline.data import clips

LENGTHS = [1, 2, 15, 16, 17, 149, 150, 151, 1000]


def test_looped_by_hand() -> None:
    assert clips.looped(3, 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert clips.looped(5, 3).tolist() == [0, 1, 2]


def test_resampled_by_hand() -> None:
    assert clips.resampled(6, 3).tolist() == [1, 3, 5]
    assert clips.resampled(2, 4).tolist() == [0, 0, 1, 1]
    assert clips.resampled(9, 1).tolist() == [4]


@pytest.mark.parametrize("T", LENGTHS)
def test_looped_keeps_the_order_and_restarts_only_at_the_end(T: int) -> None:
    index = clips.looped(T, 150)
    assert index.shape == (150,)
    assert index[0] == 0
    step = np.diff(index)
    assert ((step == 1) | ((step == 1 - T) & (index[:-1] == T - 1))).all()


@pytest.mark.parametrize("T", LENGTHS)
def test_resampled_is_even_and_covers_the_clip(T: int) -> None:
    index = clips.resampled(T, 150)
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
    if length > T:
        with pytest.raises(ValueError, match=f"{length} frames does not fit in {T}"):
            clips.random_window(T, length, np.random.default_rng(seed))
        return
    index = clips.random_window(T, length, np.random.default_rng(seed))
    assert index.tolist() == list(range(index[0], index[0] + length))
    assert index[0] >= 0
    assert index[-1] < T


def test_every_window_occurs() -> None:
    rng = np.random.default_rng(0)
    starts = {int(clips.random_window(6, 4, rng)[0]) for _ in range(100)}
    assert starts == {0, 1, 2}


@pytest.mark.parametrize("T", [0, -1])
def test_clips_without_frames_are_refused(T: int) -> None:
    for function in (clips.looped, clips.resampled):
        with pytest.raises(ValueError, match="at least one frame"):
            function(T, 150)
    with pytest.raises(ValueError, match="at least one frame"):
        clips.random_window(T, 1, np.random.default_rng(0))


def test_asking_for_no_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0"):
        clips.looped(10, 0)
