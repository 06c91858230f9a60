"""Heat-maps and SSTCN's frames: hand-computed cases and torch's max-pools."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from slr_pipeline.features.heatmaps import (
    HEATMAP_KEYPOINTS,
    draw_heatmaps,
    from_bytes,
    gaussian_heatmaps,
    pool_network_heatmaps,
    sixty_frames,
    to_bytes,
)
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import KEYPOINTS_133

FIDELITIES: tuple[Fidelity, ...] = ("published", "corrected")


def people(T: int, *, width: int = 512, height: int = 512) -> NDArray[np.float64]:
    """(T, 133, 3) random points in the picture, a fifth of them missing."""
    rng = np.random.default_rng(5)
    points = rng.random((T, 133, 3)) * [width - 1, height - 1, 1]
    points[rng.random((T, 133)) < 0.2] = 0
    return points


def pooled(maps: NDArray[np.floating]) -> NDArray[np.floating]:
    """Two max-pools of torch."""
    tensor = torch.from_numpy(maps)
    for _ in range(2):
        tensor = torch.nn.functional.max_pool2d(tensor, kernel_size=3, stride=2, padding=1)
    return tensor.numpy()


def slow_sixty(L: int) -> list[int]:
    """The released rule, frame by frame."""
    if L == 60:
        return list(range(60))
    if L > 60:
        q = L // (L - 60)
        return [i for i in range(L) if not (i % q == 0 and i < L - L % (L - 60))]
    d = 60 - 60 // L * L
    frames = []
    for i in range(L):
        frames += [i] * (60 // L)
        if d > 0:
            q = L // d
            if i % q == 0 and i < L - 60 % (60 - L) and q < 60:
                frames.append(i)
    return frames + [L - 1] * (60 - len(frames))


def test_keypoints_are_the_published_ones() -> None:
    left = (91, 93, 95, 96, 99, 100, 103, 104, 107, 108, 111)
    right = (112, 114, 116, 117, 120, 121, 124, 125, 128, 129, 132)
    assert (0, 71, 77, 85, 89, 5, 6, 7, 8, 9, 10, *left, *right) == HEATMAP_KEYPOINTS
    assert KEYPOINTS_133[93] == "left_thumb2"


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (1, [0] * 60),
        (53, sorted([*range(53), *range(0, 49, 7)])),
        (59, [0, *range(59)]),
        (60, list(range(60))),
        (90, [i for i in range(90) if i % 3]),
        (150, list(range(90, 150))),
    ],
)
def test_published_frames(frames: int, expected: list[int]) -> None:
    assert sixty_frames(frames, fidelity="published").tolist() == expected


def test_published_frames_follow_the_released_rule() -> None:
    for frames in range(1, 2001):
        chosen = sixty_frames(frames, fidelity="published").tolist()
        assert chosen == slow_sixty(frames) == sorted(chosen)
        assert len(chosen) == 60


def test_corrected_frames_are_even() -> None:
    for frames in (1, 2, 7, 59, 60, 61, 120, 149, 1000):
        expected = np.floor((np.arange(60) + 0.5) * frames / 60)
        assert np.array_equal(sixty_frames(frames, fidelity="corrected"), expected)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_clip_without_frames_is_refused(fidelity: Fidelity) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        sixty_frames(0, fidelity=fidelity)


def test_a_keypoint_at_the_centre_of_a_cell_peaks_with_its_score() -> None:
    points = np.zeros((1, 133, 3))
    pixel = (50 + 0.5) * 512 / 96 - 0.5  # the centre of cell 50 of 96
    points[0, 0] = (pixel, (18 + 0.5) * 512 / 96 - 0.5, 0.75)
    maps = gaussian_heatmaps(points, width=512, height=512, sigma=3, fidelity="corrected")
    assert maps.shape == (1, 33, 24, 24)
    assert maps.dtype == np.float32
    nose = maps[0, 0]
    # Cell i of 24 is the maximum of the cells 4 i - 3 to 4 i + 3 of 96.
    peaks = np.argwhere(nose == nose.max()).tolist()
    assert peaks == [[4, 12], [4, 13], [5, 12], [5, 13]]
    assert nose.max() == pytest.approx(0.75)
    # The nearest cell that cell 14 covers is 53: one standard deviation away.
    assert nose[4, 14] == pytest.approx(0.75 * np.exp(-0.5))
    assert not maps[0, 1:].any()


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1280, 720), (240, 320), (513, 511)])
@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_pooling_profiles_equals_pooling_maps(
    width: int, height: int, fidelity: Fidelity, sigma: float
) -> None:
    points = people(3, width=width, height=height)
    chosen = points[:, HEATMAP_KEYPOINTS]
    longer = max(width, height)
    wide, high = (
        (96, 96) if fidelity == "published" else (96 * width / longer, 96 * height / longer)
    )
    x = (chosen[..., 0] + 0.5) * wide / width - 0.5 + (96 - wide) / 2
    y = (chosen[..., 1] + 0.5) * high / height - 0.5 + (96 - high) / 2
    rows, columns = np.indices((96, 96))
    squares = (columns - x[..., None, None]) ** 2 + (rows - y[..., None, None]) ** 2
    full = chosen[..., 2, None, None] * np.exp(-squares / (2 * sigma**2))
    maps = gaussian_heatmaps(points, width=width, height=height, sigma=sigma, fidelity=fidelity)
    np.testing.assert_allclose(maps, pooled(full), atol=1e-6)
    none = gaussian_heatmaps(points[:0], width=width, height=height, fidelity=fidelity)
    assert none.shape == (0, 33, 24, 24)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 5))
def test_maps_stay_between_zero_and_one(x: float, y: float, score: float) -> None:
    points = np.zeros((1, 133, 3))
    points[0, 10] = (x, y, score)
    for fidelity in FIDELITIES:
        maps = gaussian_heatmaps(points, width=320, height=240, fidelity=fidelity)
        assert np.isfinite(maps).all()
        assert maps.min() >= 0
        assert maps.max() <= min(score, 1) + 1e-6


def test_network_maps_are_selected_and_pooled() -> None:
    maps = np.random.default_rng(1).normal(size=(2, 133, 96, 96)).astype(np.float32)
    maps[:, 0] -= 100  # all negative: the border must not count as zero
    before = maps.copy()
    expected = pooled(maps)[:, list(HEATMAP_KEYPOINTS)]
    assert np.array_equal(pool_network_heatmaps(maps), expected)
    assert np.array_equal(maps, before)
    assert pool_network_heatmaps(maps[:0]).shape == (0, 33, 24, 24)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_the_feature_of_a_clip_is_sixty_maps_in_bytes(fidelity: Fidelity) -> None:
    points = people(150, width=320, height=240)
    drawn = draw_heatmaps(points, width=320, height=240, sigma=2.0, fidelity=fidelity)
    assert drawn.shape == (60, 33, 24, 24)
    every = gaussian_heatmaps(points, width=320, height=240, sigma=2.0, fidelity=fidelity)
    expected = every[sixty_frames(150, fidelity=fidelity)]
    assert np.abs(from_bytes(drawn) - expected).max() <= 1 / 510 + 1e-6


def test_bytes_lose_half_a_step_at_most() -> None:
    maps = np.linspace(-0.1, 1.1, 24 * 24 * 33, dtype=np.float32).reshape(1, 33, 24, 24)
    values = to_bytes(maps)
    assert (values.dtype, values.min(), values.max()) == (np.uint8, 0, 255)
    assert from_bytes(values).dtype == np.float32
    assert np.abs(from_bytes(values) - np.clip(maps, 0, 1)).max() <= 1 / 510 + 1e-6
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_bytes(from_bytes(every)), every)


@pytest.mark.parametrize(
    ("fidelity", "total", "squares", "weighted"),
    [
        ("published", 1149.47989, 562.85847, 55174.60987),
        ("corrected", 1191.91973, 579.56060, 56666.69705),
    ],
)
def test_golden_numbers(fidelity: Fidelity, total: float, squares: float, weighted: float) -> None:
    points = people(8, width=640, height=360)
    maps = gaussian_heatmaps(points, width=640, height=360, fidelity=fidelity).astype(np.float64)
    assert maps.sum() == pytest.approx(total, rel=1e-5)
    assert (maps**2).sum() == pytest.approx(squares, rel=1e-5)
    places = np.arange(maps.size).reshape(maps.shape) % 97
    assert (maps * places).sum() == pytest.approx(weighted, rel=1e-5)
