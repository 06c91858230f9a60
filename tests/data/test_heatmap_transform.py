from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from slr_pipeline.data.heatmap_transform import HeatmapTransform, augmented_frames
from slr_pipeline.features.heatmaps import HEATMAP_KEYPOINTS, draw_heatmaps, from_bytes
from slr_pipeline.models.preparation import FLIP_33, heatmaps
from slr_pipeline.schema import Change
from slr_pipeline.skeleton import FLIP_133, KEYPOINTS_133

NAMES = [KEYPOINTS_133[i] for i in HEATMAP_KEYPOINTS]
ALL = list(range(60))
TRANSFORM = HeatmapTransform(frames=60, flip_probability=0.5)


def clip(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (60, 33, 24, 24), dtype=np.uint8)


def prepared(maps: NDArray[np.uint8], change: Change) -> NDArray[np.float32]:
    """The input of the model from the arrays of an item."""
    inputs = [torch.from_numpy(maps)[None], torch.tensor([change], dtype=torch.float64)]
    return heatmaps(inputs, torch.device("cpu"))[0][0].numpy()


def item_of(
    transform: HeatmapTransform, maps: NDArray[np.uint8], rng: np.random.Generator | None
) -> NDArray[np.float32]:
    """The transform in the loader, then the preparation on the device."""
    return prepared(*transform(maps, rng))


def mirrored(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.rint(255 * prepared(maps, Change(mirrored=True))).astype(np.uint8)


def rng_of_case(case: int, skip: int = 0) -> np.random.Generator:
    """A generator whose first draw out of 13 is `case`; `skip` picks another such generator."""
    seeds = (s for s in range(10_000) if np.random.default_rng(s).integers(13) == case)
    for _ in range(skip):
        next(seeds)
    return np.random.default_rng(next(seeds))


# --- frames --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [0, 1, 2, 4, 5, 6, 7, 12])
def test_most_cases_keep_all_frames(case: int) -> None:
    assert augmented_frames(rng_of_case(case)).tolist() == ALL


@pytest.mark.parametrize("case", [8, 9, 10, 11])
def test_some_frames_repeat_instead_of_others(case: int) -> None:
    for skip in range(20):
        frames = augmented_frames(rng_of_case(case, skip)).tolist()
        assert frames == sorted(frames)
        times = Counter(frames)
        assert 31 <= len(times) <= 59
        assert set(times.values()) == {1, 2}


def test_few_frames_repeat_several_times() -> None:
    for skip in range(50):
        frames = augmented_frames(rng_of_case(3, skip)).tolist()
        assert frames == sorted(frames)
        times = Counter(frames)
        assert 15 <= len(times) <= 29
        assert set(times.values()) <= {60 // len(times), 60 // len(times) + 1}


def test_proportions() -> None:
    rng = np.random.default_rng(0)
    kept = np.array([len(set(augmented_frames(rng).tolist())) for _ in range(13_000)])
    assert (kept == 60).sum() == pytest.approx(8000, abs=250)
    more, fewer = kept[(kept > 30) & (kept < 60)], kept[kept <= 30]
    assert len(more) == pytest.approx(4000, abs=250)
    assert len(fewer) == pytest.approx(1000, abs=150)
    assert set(more.tolist()) == set(range(31, 60))
    assert set(fewer.tolist()) == set(range(15, 30))
    assert more.mean() == pytest.approx(45, abs=0.7)
    assert fewer.mean() == pytest.approx(22, abs=0.7)


# --- mirroring -----------------------------------------------------------------------------------


def test_flip_exchanges_left_and_right_by_name() -> None:
    swap = {"left": "right", "right": "left"}
    for name, other in zip(NAMES, (NAMES[i] for i in FLIP_33), strict=True):
        side, _, rest = name.partition("_")
        if side in swap:
            assert other == f"{swap[side]}_{rest}"
    # Nose, corners of the mouth, upper and lower inner lip.
    assert FLIP_33[:5] == (0, 2, 1, 3, 4)
    assert sorted(FLIP_33) == list(range(33))


def test_mirrored_by_hand() -> None:
    maps = np.zeros((60, 33, 24, 24), np.uint8)
    left, right = NAMES.index("left_wrist"), NAMES.index("right_wrist")
    maps[7, left, 3, 5] = 200
    assert np.argwhere(mirrored(maps)).tolist() == [[7, right, 3, 18]]


def test_mirrored_maps_are_the_maps_of_the_mirrored_person() -> None:
    """Within a cell: pooling 3 cells with stride 2 is not symmetric."""
    rng = np.random.default_rng(3)
    keypoints = rng.random((60, 133, 3)) * [511, 511, 1]
    other = keypoints[:, FLIP_133]
    other[..., 0] = 511 - other[..., 0]
    maps, expected = (
        draw_heatmaps(points, width=512, height=512, sigma=3, fidelity="corrected")
        for points in (keypoints, other)
    )

    def centres(maps: NDArray[np.uint8]) -> NDArray[np.float64]:
        weights = maps.astype(np.float64).sum(axis=2)
        return (weights * np.arange(24)).sum(axis=-1) / np.maximum(weights.sum(axis=-1), 1)

    inside = (np.abs(keypoints[:, HEATMAP_KEYPOINTS, 0] - 256) < 150) & (
        keypoints[:, HEATMAP_KEYPOINTS, 2] > 0.2
    )
    swapped = mirrored(maps)
    distance = np.abs(centres(swapped) - centres(expected))[inside[:, FLIP_33]]
    assert distance.max() < 1
    only_flipped = maps[..., ::-1]
    assert np.abs(centres(only_flipped) - centres(expected))[inside[:, FLIP_33]].max() > 5


# --- the transform -------------------------------------------------------------------------------


def test_without_generator_the_maps_are_as_stored() -> None:
    maps = clip()
    item = item_of(replace(TRANSFORM, flip_probability=1), maps, None)
    assert item.dtype == np.float32
    assert np.array_equal(item, from_bytes(maps))
    assert item.min() == 0
    assert item.max() == 1


@pytest.mark.parametrize("case", [0, 3, 8])
def test_items_are_the_drawn_frames_mirrored_or_not(case: int) -> None:
    maps = clip()
    before = maps.copy()
    frames = maps[augmented_frames(rng_of_case(case))]
    for probability, expected in ((0.0, frames), (1.0, mirrored(frames))):
        transform = replace(TRANSFORM, flip_probability=probability)
        item = item_of(transform, maps, rng_of_case(case))
        assert np.array_equal(item, from_bytes(expected))
        assert torch.from_numpy(item).is_contiguous()
    assert np.array_equal(maps, before)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), frames=st.sampled_from([1, 2, 20, 59, 60]))
def test_same_generator_same_item(seed: int, frames: int) -> None:
    transform, maps = replace(TRANSFORM, frames=frames), clip()
    first, again = (item_of(transform, maps, np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == (frames, 33, 24, 24)
    assert np.array_equal(first, again)


def test_half_of_the_items_are_mirrored() -> None:
    maps = np.zeros((60, 33, 24, 24), np.uint8)
    maps[..., :12] = 255
    transform, rng = replace(TRANSFORM, frames=1), np.random.default_rng(0)
    left = [bool(item_of(transform, maps, rng)[0, 0, 0, 0]) for _ in range(1000)]
    assert sum(left) == pytest.approx(500, abs=60)


def test_fewer_frames_are_spread_over_the_clip() -> None:
    maps = np.zeros((60, 33, 24, 24), np.uint8) + np.arange(60, dtype=np.uint8)[:, None, None, None]
    item = item_of(replace(TRANSFORM, frames=6), maps, None)
    assert np.rint(item[:, 0, 0, 0] * 255).tolist() == [5, 15, 25, 35, 45, 55]


@pytest.mark.parametrize("T", [0, 1, 59, 61])
def test_clips_of_other_lengths_are_refused(T: int) -> None:
    with pytest.raises(ValueError, match=f"60 frames, found {T}"):
        TRANSFORM(np.zeros((T, 33, 24, 24), np.uint8), None)
