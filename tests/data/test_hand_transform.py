from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from slr_pipeline.data.hand_transform import PLACES, WINDOWS_PX, HandTransform, published_hands
from slr_pipeline.features.pose_flow import pose_flow
from slr_pipeline.models.preparation import (
    FLIP_53,
    MEAN,
    STD,
    hands,
    jittered,
    jittered_as_pillow,
    mirrored_pose_flow,
)
from slr_pipeline.schema import Change, Fidelity
from slr_pipeline.skeleton import BODY_135, FLIP_133, POSE_FLOW_KEYPOINTS

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]

FIDELITIES = pytest.mark.parametrize("fidelity", get_args(Fidelity))
DEPTH = pytest.mark.parametrize("depth", [False, True], ids=["color", "depth"])
NAMES = [BODY_135[i] for i in POSE_FLOW_KEYPOINTS]
L_WRIST, R_WRIST, NOSE = (NAMES.index(name) for name in ("left_wrist", "right_wrist", "nose"))
LEFT, RIGHT, DEPTH_LEFT, DEPTH_RIGHT = range(4)

VISIBLE = np.zeros((3, 2), bool)

RECIPE = HandTransform(
    fidelity="corrected",
    frames=3,
    stride=2,
    size=64,
    flip_probability=0.5,
    jitter=0.5,
    depth=False,
)
PLAIN = replace(RECIPE, flip_probability=0, jitter=0)
"""Training with a random window only."""


def sample(seed: int = 0) -> tuple[Pictures, Floats, Pictures]:
    """Crops of blobs, pose flow, depth crops."""
    rng = np.random.default_rng(seed)
    crops = rng.integers(0, 256, (3, 2, 8, 8, 3), dtype=np.uint8).repeat(32, 2).repeat(32, 3)
    depth = rng.integers(0, 256, (3, 2, 8, 8), dtype=np.uint8).repeat(32, 2).repeat(32, 3)
    return crops, rng.uniform(0.01, 1, (3, 106)).astype(np.float32), depth


CROPS, POSE, GREY = sample()


def prepared(
    pictures: Sequence[Pictures], pose: Floats, change: Change, fidelity: Fidelity
) -> tuple[Floats, Floats]:
    """The inputs of the model from the arrays of an item."""
    arrays = [torch.from_numpy(array)[None] for array in (*pictures, pose)]
    inputs = [*arrays, torch.tensor([change], dtype=torch.float64)]
    crops, flow = hands(inputs, torch.device("cpu"), fidelity=fidelity)
    return crops[0].numpy(), flow[0].numpy()


def item_of(
    transform: HandTransform,
    rng: np.random.Generator | None,
    crops: Pictures = CROPS,
    grey: Pictures = GREY,
    missing: NDArray[np.bool_] = VISIBLE,
) -> tuple[Floats, Floats]:
    """Pictures and pose flow of an item: in the loader, then on the device."""
    pictures, change = transform(crops, grey if transform.depth else None, missing, rng)
    assert {array.dtype for array in pictures} == {np.dtype(np.uint8)}
    return prepared(pictures, POSE[np.arange(len(crops)) % 3], change, transform.fidelity)


def item(
    transform: HandTransform, seed: int | None = None, **arrays: NDArray[Any]
) -> tuple[Floats, Floats]:
    """`item_of` a seed; None: for evaluation."""
    return item_of(transform, None if seed is None else np.random.default_rng(seed), **arrays)


def normalised(pictures: Pictures) -> Floats:
    """Pictures (frames, S, H, W, 3) as (frames, S, 3, H, W), without any change."""
    return prepared([pictures], POSE[: len(pictures)], Change(), "corrected")[0]


def in_color(grey: Pictures) -> Pictures:
    return np.repeat(grey[..., None], 3, axis=-1)


def as_bytes(pictures: Floats) -> NDArray[np.float64]:
    """Pictures (frames, S, 3, H, W) before normalisation."""
    mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
    return np.asarray((pictures * std + mean) * 255)


def turned(pose: Floats) -> Floats:
    return mirrored_pose_flow(torch.from_numpy(pose)).numpy()


# --- both fidelities -----------------------------------------------------------------------------


@FIDELITIES
@DEPTH
@pytest.mark.parametrize("size", [1, 33, 224, 256])
def test_shapes_and_ranges(fidelity: Fidelity, depth: bool, size: int) -> None:
    transform = replace(RECIPE, fidelity=fidelity, depth=depth, size=size)
    for rng in (None, np.random.default_rng(0), np.random.default_rng(1)):
        pictures, flow = item_of(transform, rng)
        assert pictures.shape == (3, 4 if depth else 2, 3, size, size)
        assert flow.shape == (3, 106)
        assert pictures.dtype == flow.dtype == np.float32
        assert pictures.flags.c_contiguous
        assert -0.01 < as_bytes(pictures).min() <= as_bytes(pictures).max() < 255.01
    for array, before in zip((CROPS, POSE, GREY), sample(), strict=True):
        assert np.array_equal(array, before)


@FIDELITIES
def test_evaluation_is_the_middle_of_the_crops(fidelity: Fidelity) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (3, 2, 256, 256, 3), dtype=np.uint8)
    grey = rng.integers(0, 256, (3, 2, 256, 256), dtype=np.uint8)
    transform = replace(RECIPE, fidelity=fidelity, depth=True, size=224)
    pictures, flow = item(transform, crops=crops, grey=grey)
    expected = np.concatenate([crops, in_color(grey)], axis=1)[:, :, 16:240, 16:240]
    assert np.array_equal(pictures, normalised(expected))
    assert np.array_equal(flow, POSE)


def test_normalised_by_hand() -> None:
    picture = np.array([0, 255, 51], np.uint8).reshape(1, 1, 1, 1, 3)
    expected = [-0.485 / 0.229, (1 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(normalised(picture).ravel(), expected, rtol=1e-6)


@FIDELITIES
def test_all_pictures_change_alike(fidelity: Fidelity) -> None:
    still = np.repeat(CROPS[:1, :1], 2, axis=1).repeat(3, axis=0)
    for seed in range(10):
        pictures, _ = item(replace(RECIPE, fidelity=fidelity), seed, crops=still)
        assert (pictures == pictures[:1, :1]).all()


@FIDELITIES
@DEPTH
def test_same_generator_same_item(fidelity: Fidelity, depth: bool) -> None:
    transform = replace(RECIPE, fidelity=fidelity, depth=depth)
    first, again = ([item(transform, seed) for seed in range(3)] for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert all(map(np.array_equal, one, other))
    assert len({pictures.tobytes() for pictures, _ in first}) == 3


@FIDELITIES
def test_jitter_is_that_of_a_picture(fidelity: Fidelity) -> None:
    plain = replace(PLAIN, fidelity=fidelity)
    all_factors = set()
    for seed in range(10):
        before, after = (
            as_bytes(item(transform, seed)[0]) for transform in (plain, replace(plain, jitter=0.5))
        )
        rng = np.random.default_rng(seed)
        rng.integers(4 if fidelity == "published" else 10)
        rng.integers(13)
        rng.random()
        factors = tuple(rng.uniform(0.5, 1.5, 3).tolist())
        all_factors.add(factors)
        for index in np.ndindex(3, 2):
            picture = torch.from_numpy(np.rint(before[index]).astype(np.float32))
            expected = (jittered_as_pillow if fidelity == "published" else jittered)(
                picture, factors
            )
            np.testing.assert_allclose(after[index], expected, atol=0.01)
    assert len(all_factors) == 10


@FIDELITIES
def test_half_of_the_items_are_mirrored(fidelity: Fidelity) -> None:
    crops = np.zeros_like(CROPS)
    crops[:, :, :, 128:] = 200
    transform = replace(RECIPE, fidelity=fidelity, size=8, jitter=0)
    rng = np.random.default_rng(0)
    left = [bool(item_of(transform, rng, crops)[0][0, 0, 0, 4, 0] > 0) for _ in range(500)]
    assert sum(left) == pytest.approx(250, abs=45)


@pytest.mark.parametrize(("fidelity", "start"), [("published", 11), ("corrected", 14)])
def test_index_is_strided(fidelity: Fidelity, start: int) -> None:
    index = replace(RECIPE, fidelity=fidelity, frames=16).index(60)
    assert index.tolist() == list(range(start, start + 32, 2))


# --- windows -------------------------------------------------------------------------------------


def test_windows_by_hand() -> None:
    assert [*WINDOWS_PX] == [
        *((256, 256), (256, 215), (215, 256), (215, 215), (215, 181)),
        *((181, 215), (181, 181), (181, 152), (152, 181), (152, 152)),
    ]
    assert len(set(PLACES)) == 13


def windows_of_items(fidelity: Fidelity) -> set[tuple[int, int, int, int]]:
    """Top, bottom, left and right of the visible part of 600 items."""
    transform = replace(PLAIN, fidelity=fidelity, frames=1, size=256)
    crops = np.zeros((1, 2, 256, 256, 3), np.uint8)
    crops[..., 0], crops[..., 1] = np.arange(256)[:, None], np.arange(256)
    windows = set()
    for seed in range(600):
        pictures, _ = item(transform, seed, crops=crops, missing=VISIBLE[:1])
        rows, columns, _ = as_bytes(pictures)[0, 0]
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        windows.add((round(top), round(bottom), round(left), round(right)))
    return windows


def test_published_windows_are_cut_at_the_border() -> None:
    """Only the first four sizes occur, at offsets of 0 to 32 px."""
    assert windows_of_items("published") == {
        (8 * row, min(8 * row + height, 256) - 1, 8 * column, min(8 * column + width, 256) - 1)
        for height, width in WINDOWS_PX[:4]
        for row, column in PLACES
    }


def test_corrected_windows_lie_in_the_crop() -> None:
    windows = windows_of_items("corrected")
    sizes = {(bottom - top + 1, right - left + 1) for top, bottom, left, right in windows}
    assert sizes == set(WINDOWS_PX)
    smallest = {
        (top, left)
        for top, bottom, left, right in windows
        if bottom - top == right - left == WINDOWS_PX[-1][0] - 1
    }
    assert smallest == {(26 * row, 26 * column) for row, column in PLACES}


@DEPTH
@pytest.mark.parametrize("size", [32, 64, 76])
def test_crops_of_half_their_size_show_the_same(size: int, depth: bool) -> None:
    """But for a pixel by which a window of odd numbers moves."""
    transform = replace(PLAIN, size=size, depth=depth)
    assert transform.halves
    assert not replace(transform, size=77).halves
    assert not replace(transform, fidelity="published").halves
    y, x = np.mgrid[:256, :256].astype(np.uint8)
    crops = np.broadcast_to(np.stack([y, x, x], -1), CROPS.shape)
    grey = np.broadcast_to(x, GREY.shape)
    half = crops[:, :, ::2, ::2], grey[:, :, ::2, ::2]
    for seed in range(10):
        whole, halved = (
            transform(*given, VISIBLE, np.random.default_rng(seed))[0]
            for given in ((crops, grey), half)
        )
        for one, other in zip(whole, halved, strict=True):
            np.testing.assert_allclose(other.astype(int), one, rtol=0, atol=3)


@pytest.mark.parametrize(("fidelity", "darkest"), [("published", {0, 200}), ("corrected", {200})])
def test_published_pads_depth_where_it_cuts_color(fidelity: Fidelity, darkest: set[int]) -> None:
    """So the two no longer show the same part."""
    crops, grey = np.full_like(CROPS, 200), np.full_like(GREY, 200)
    transform = replace(PLAIN, fidelity=fidelity, depth=True, size=256)
    minima = set()
    for seed in range(30):
        values = as_bytes(item(transform, seed, crops=crops, grey=grey)[0])
        np.testing.assert_allclose(values[:, :2], 200, atol=0.01)
        np.testing.assert_allclose(values[..., 0, 0], 200, atol=0.01)  # never above or left
        minima.add(round(values[:, 2:].min()))
    assert minima == darkest


@pytest.mark.parametrize(
    ("fidelity", "size", "method"),
    [
        ("published", 64, cv2.INTER_LINEAR),
        ("published", 240, cv2.INTER_LINEAR),
        ("corrected", 64, cv2.INTER_AREA),
        ("corrected", 240, cv2.INTER_LINEAR),
    ],
)
def test_resizing_of_evaluation(fidelity: Fidelity, size: int, method: int) -> None:
    crops = np.random.default_rng(0).integers(0, 256, CROPS.shape, dtype=np.uint8)
    pictures, _ = item(replace(RECIPE, fidelity=fidelity, size=size), crops=crops)
    expected = cv2.resize(crops[1, 0, 16:240, 16:240], (size, size), interpolation=method)
    np.testing.assert_allclose(as_bytes(pictures)[1, 0].transpose(1, 2, 0), expected, atol=0.01)


# --- mirroring -----------------------------------------------------------------------------------


@DEPTH
@FIDELITIES
def test_only_corrected_mirrors_the_person(fidelity: Fidelity, depth: bool) -> None:
    plain = replace(RECIPE, fidelity=fidelity, depth=depth, flip_probability=0)
    pictures, pose = item(plain, 5)
    mirrored, mirrored_pose = item(replace(plain, flip_probability=1), 5)
    if fidelity == "published":
        assert np.array_equal(mirrored, pictures[..., ::-1])
        assert np.array_equal(mirrored_pose, pose)
    else:
        order = [RIGHT, LEFT, DEPTH_RIGHT, DEPTH_LEFT] if depth else [RIGHT, LEFT]
        assert np.array_equal(mirrored, pictures[:, order, :, :, ::-1])
        assert np.array_equal(mirrored_pose, turned(pose))


def test_flip_exchanges_left_and_right_by_name() -> None:
    swap = {"left": "right", "right": "left"}
    for name, other in zip(NAMES, (NAMES[i] for i in FLIP_53), strict=True):
        side, _, rest = name.partition("_")
        assert other == (f"{swap[side]}_{rest}" if side in swap else name)
    assert [NAMES[i] for i, j in enumerate(FLIP_53) if i == j] == ["nose", "upper_neck", "head_top"]


def test_mirrored_pose_flow_by_hand() -> None:
    pose = np.zeros((1, 106), np.float32)
    pose[0, 2 * L_WRIST : 2 * L_WRIST + 2] = 0.25, 2  # right and down
    pose[0, 2 * NOSE : 2 * NOSE + 2] = -0.25, 3  # right and up
    expected = np.zeros((1, 106), np.float32)  # zeros: without movement the angle stays 0
    expected[0, 2 * R_WRIST : 2 * R_WRIST + 2] = 0.75, 2
    expected[0, 2 * NOSE : 2 * NOSE + 2] = -0.75, 3
    np.testing.assert_allclose(turned(pose), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("angle", "expected"), [(0, 1), (1, 0), (-1, 0), (0.5, 0.5), (-0.5, -0.5), (1e-9, 1)]
)
def test_mirrored_angles_by_hand(angle: float, expected: float) -> None:
    pose = np.ones((1, 106), np.float32)
    pose[:, 0::2] = angle
    np.testing.assert_allclose(turned(pose)[:, 0::2], expected, atol=1e-7)


@FIDELITIES
def test_mirrored_pose_flow_is_that_of_the_mirrored_person(fidelity: Fidelity) -> None:
    rng = np.random.default_rng(0)
    person = rng.uniform(1, 511, (20, 133, 3))
    person[rng.random((20, 133)) < 0.1] = 0
    # Ears and shoulders are still, so the head has a constant length: pose flow divides positions
    # by it, and only then is 512 - x a plain reflection.
    person[:, 3:7, :2] = [[280, 100], [220, 100], [330, 250], [170, 250]]
    person[:, 3:7, 2] = 1
    other = person[:, FLIP_133]
    other[..., 0] = np.where(other[..., 2] > 0, 512 - other[..., 0], 0)
    mirrored = turned(pose_flow(person, fidelity=fidelity).values)
    expected = pose_flow(other, fidelity=fidelity).values

    def steps(pose: Floats) -> Floats:
        angles, lengths = np.pi * pose[:, 0::2], pose[:, 1::2]
        return np.stack([lengths * np.cos(angles), lengths * np.sin(angles)])

    assert (mirrored[:, 1::2] > 0).any(axis=0).sum() > 45
    np.testing.assert_allclose(steps(mirrored), steps(expected), atol=1e-3)


# --- missing hands -------------------------------------------------------------------------------

# Frame t has the value 10 t + 1 on the left and 10 t + 2 on the right; depth adds 100.
VALUES = (10 * np.arange(5)[:, None] + [1, 2]).astype(np.uint8)[..., None, None]
DEPTH_CROPS = np.broadcast_to(VALUES + 100, (5, 2, 256, 256))
COLOR_CROPS = in_color(np.broadcast_to(VALUES, (5, 2, 256, 256)))


@pytest.mark.parametrize(
    ("missing", "slots"),
    [
        ({}, {}),
        # The slot after a missing hand copies the missing one, which shows the whole frame.
        ({LEFT: [1]}, {LEFT: [1, 11, 11, 31, 41], DEPTH_LEFT: [101, 111, 11, 131, 141]}),
        # Without a right hand, colour and depth swap.
        ({RIGHT: [1]}, {RIGHT: [2, 112, 112, 32, 42], DEPTH_RIGHT: [102, 12, 12, 132, 142]}),
        # Slot 2 copies 1, which is missing, too; slot 3 copies 4.
        ({LEFT: [1, 2]}, {LEFT: [1, 11, 11, 41, 41], DEPTH_LEFT: [101, 111, 11, 41, 141]}),
    ],
)
@DEPTH
def test_published_slots_by_hand(
    missing: dict[int, list[int]], slots: dict[int, list[int]], depth: bool
) -> None:
    """By function and by item."""
    flags = np.zeros((5, 2), bool)
    for hand, frames in missing.items():
        flags[frames, hand] = True
    expected = (10 * np.arange(5)[:, None] + [1, 2, 101, 102])[:, : 4 if depth else 2]
    for slot, shown in slots.items():
        if depth or slot == LEFT:
            expected[:, slot] = shown
        elif slot == RIGHT:  # without depth there is nothing to swap
            expected[:, slot] = [value % 100 for value in shown]
    grey = DEPTH_CROPS if depth else None
    placed = published_hands(COLOR_CROPS, flags, grey)
    values = [[int(source[place].flat[0]) for source, place in frame] for frame in placed]
    assert values == expected.tolist()
    transform = replace(RECIPE, fidelity="published", frames=5, size=4, depth=depth)
    pictures, _ = item(transform, crops=COLOR_CROPS, grey=DEPTH_CROPS, missing=flags)
    np.testing.assert_allclose(as_bytes(pictures)[..., 0, 0, 0], expected, atol=0.01)


@DEPTH
def test_corrected_ignores_missing_flags(depth: bool) -> None:
    """Its stored crops are already those of the nearest frame, or black."""
    transform = replace(RECIPE, depth=depth)
    pictures = [item(transform, 0, missing=flags)[0] for flags in (VISIBLE, ~VISIBLE)]
    assert np.array_equal(*pictures)
    for seed in range(5):
        black = item(RECIPE, seed, crops=np.zeros_like(CROPS), missing=~VISIBLE)[0]
        np.testing.assert_allclose(as_bytes(black), 0, atol=0.01)


# --- depth ---------------------------------------------------------------------------------------


def test_depth_shows_the_same_window_as_color() -> None:
    """Equal pictures in colour and in depth stay equal without jitter."""
    transform = replace(RECIPE, depth=True, jitter=0)
    for seed in range(10):
        pictures, _ = item(transform, seed, crops=in_color(GREY))
        assert np.array_equal(pictures[:, :2], pictures[:, 2:])


@pytest.mark.parametrize(("fidelity", "jittered_hands"), [("published", 4), ("corrected", 2)])
def test_only_published_jitters_depth(fidelity: Fidelity, jittered_hands: int) -> None:
    plain = replace(RECIPE, fidelity=fidelity, depth=True, jitter=0)
    for seed in range(10):
        before, after = (
            item(transform, seed, crops=in_color(GREY))[0]
            for transform in (plain, replace(plain, jitter=0.5))
        )
        changed = [bool((before[:, hand] != after[:, hand]).any()) for hand in range(4)]
        assert changed == [hand < jittered_hands for hand in range(4)]
