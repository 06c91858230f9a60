from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from slr_pipeline.data.clip_transform import ClipTransform, Kind
from slr_pipeline.features.flow import to_bytes
from slr_pipeline.models.preparation import clips, rotated
from slr_pipeline.schema import Fidelity

Pictures = NDArray[np.uint8]

FIDELITIES = pytest.mark.parametrize("fidelity", get_args(Fidelity))
KINDS = pytest.mark.parametrize("kind", get_args(Kind))
NO_FLOW = 128

RECIPE = ClipTransform(
    fidelity="corrected",
    kind="color",
    frames=3,
    size=128,
    crop=224,
    flip_probability=0.5,
    rotation_deg=5.0,
    jitter=0.0,
)
STILL = replace(RECIPE, flip_probability=0, rotation_deg=0)
"""Training with a random crop only."""
WHOLE = replace(STILL, crop=256)
"""Training without any change."""


def clip(kind: Kind, frames: int = 3) -> Pictures:
    """Different smooth pictures, blobs of 32 px, so that resizing changes little."""
    shape = (frames, 2, 8, 8) if kind == "flow" else (frames, 8, 8, 3)
    coarse = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    y, x = (2, 3) if kind == "flow" else (1, 2)
    return np.ascontiguousarray(coarse.repeat(32, axis=y).repeat(32, axis=x))


def constant(kind: Kind, value: int, frames: int = 3) -> Pictures:
    shape = (frames, 2, 256, 256) if kind == "flow" else (frames, 256, 256, 3)
    return np.full(shape, value, np.uint8)


def item_of(
    transform: ClipTransform, pictures: Pictures, rng: np.random.Generator | None
) -> NDArray[np.float32]:
    """The input of the model: the transform in the loader, then the preparation on the device."""
    flow = transform.kind == "flow"
    small, change = transform(pictures if flow else pictures[:, None], rng)
    assert small.dtype == np.uint8
    inputs = [torch.from_numpy(small)[None], torch.tensor([change], dtype=torch.float64)]
    (prepared,) = clips(inputs, torch.device("cpu"), flow=flow, fidelity=transform.fidelity)
    return prepared[0].numpy()


def items(transform: ClipTransform, pictures: Pictures, seeds: int) -> list[NDArray[np.float32]]:
    return [item_of(transform, pictures, np.random.default_rng(seed)) for seed in range(seeds)]


# --- both fidelities -----------------------------------------------------------------------------


@FIDELITIES
@KINDS
@pytest.mark.parametrize("size", [1, 7, 128, 224, 300])
def test_shapes_and_ranges(fidelity: Fidelity, kind: Kind, size: int) -> None:
    transform = replace(RECIPE, fidelity=fidelity, kind=kind, size=size, rotation_deg=10)
    pictures = clip(kind)
    before = pictures.copy()
    for rng in (None, np.random.default_rng(0), np.random.default_rng(1)):
        item = item_of(transform, pictures, rng)
        assert item.shape == (2 if kind == "flow" else 3, 3, size, size)
        assert item.dtype == np.float32
        assert item.flags.c_contiguous
        assert np.isfinite(item).all()
        rotates_vectors = rng is not None and (fidelity, kind) == ("corrected", "flow")
        assert np.abs(item).max() <= (1.5 if rotates_vectors else 1.005)
    assert np.array_equal(pictures, before)


@FIDELITIES
@KINDS
def test_evaluation_without_shrinking_keeps_every_pixel(fidelity: Fidelity, kind: Kind) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, clip(kind).shape, dtype=np.uint8)
    item = item_of(replace(RECIPE, fidelity=fidelity, kind=kind, size=224), pictures, None)
    channels_first = pictures.transpose((1, 0, 2, 3) if kind == "flow" else (3, 0, 1, 2)) + 0.0
    zero = 128 if (fidelity, kind) == ("corrected", "flow") else 127.5
    expected = (channels_first[..., 16:240, 16:240] - zero) / 127.5
    np.testing.assert_allclose(item, expected, atol=1e-6)


@FIDELITIES
@KINDS
def test_all_frames_change_alike(fidelity: Fidelity, kind: Kind) -> None:
    still = clip(kind, frames=1).repeat(3, axis=0)
    jitter = 0.4 if (fidelity, kind) == ("corrected", "color") else 0
    for item in items(replace(RECIPE, fidelity=fidelity, kind=kind, jitter=jitter), still, 5):
        assert (item == item[:, :1]).all()


@FIDELITIES
@KINDS
def test_same_generator_same_item(fidelity: Fidelity, kind: Kind) -> None:
    transform = replace(RECIPE, fidelity=fidelity, kind=kind)
    first, again = (items(transform, clip(kind), 3) for _ in range(2))
    assert np.array_equal(first, again)
    assert len({item.tobytes() for item in first}) == 3


@FIDELITIES
@KINDS
def test_mirroring_twice_is_the_identity(fidelity: Fidelity, kind: Kind) -> None:
    """The mirrored item of mirrored pictures is the item of the pictures."""
    pictures = clip(kind)
    if kind == "flow":
        pictures = np.maximum(pictures, 1)  # every byte has an opposite about 128
        other = pictures[..., ::-1].copy()
        other[:, 0] = 256 - other[:, 0].astype(int)
        if fidelity == "published":  # b / 255 - 0.5 is opposite to 255 - b
            other[:, 0] -= 1
    else:
        other = pictures[:, :, ::-1].copy()
    plain = replace(WHOLE, fidelity=fidelity, kind=kind)
    mirrored = replace(plain, flip_probability=1)
    (expected,) = items(plain, pictures, 1)
    np.testing.assert_allclose(items(mirrored, other, 1)[0], expected, atol=2.01 / 127.5)
    assert np.abs(items(mirrored, pictures, 1)[0] - expected).max() > 0.5


@FIDELITIES
def test_mirrored_flow_by_hand(fidelity: Fidelity) -> None:
    flow = np.zeros((256, 256, 2), np.float32)
    flow[:, :128] = [8, 4]  # the left half moves to the right and down
    transform = replace(WHOLE, fidelity=fidelity, kind="flow", frames=1, size=256)
    (item,) = items(replace(transform, flip_probability=1), to_bytes(flow, 20)[None], 1)
    np.testing.assert_allclose(item[0, 0, :, 128:], -0.4, atol=1.01 / 127.5)
    np.testing.assert_allclose(item[1, 0, :, 128:], 0.2, atol=1.01 / 127.5)
    np.testing.assert_allclose(item[:, 0, :, :128], 0, atol=1.01 / 127.5)


@FIDELITIES
def test_half_of_the_items_are_mirrored(fidelity: Fidelity) -> None:
    pictures = constant("color", 0, frames=1)
    pictures[:, :, :128] = 255
    transform = replace(RECIPE, fidelity=fidelity, frames=1, size=8)
    rng = np.random.default_rng(0)
    left = [bool(item_of(transform, pictures, rng)[0, 0, 4, 0] > 0) for _ in range(1000)]
    assert sum(left) == pytest.approx(500, abs=60)


@FIDELITIES
def test_training_crops_lie_anywhere(fidelity: Fidelity) -> None:
    """The red of a pixel is its row, the green its column."""
    pictures = np.zeros((1, 256, 256, 3), np.uint8)
    pictures[0, ..., 0], pictures[0, ..., 1] = np.arange(256)[:, None], np.arange(256)
    corners = set()
    for item in items(replace(STILL, fidelity=fidelity, frames=1, size=224), pictures, 400):
        top, left = (round(float(value) * 127.5 + 127.5) for value in item[:2, 0, 0, 0])
        corners.add((top, left))
        np.testing.assert_allclose(np.diff(item[0, 0, :, 0]), 1 / 127.5, atol=1e-5)
    for offsets in zip(*corners, strict=True):
        assert set(offsets) == set(range(33))


@FIDELITIES
def test_rotation_is_clockwise_about_the_centre(fidelity: Fidelity) -> None:
    """A dot above the centre moves to the right when the picture rotates clockwise."""
    pictures = constant("color", 0, frames=1)
    pictures[:, 40:56, 120:136] = 255
    transform = replace(WHOLE, fidelity=fidelity, frames=1, rotation_deg=60, size=256)
    angles_deg = []
    for seed, item in enumerate(items(transform, pictures, 30)):
        rows, columns = np.nonzero(item[0, 0] > 0)
        x, y = columns.mean() - 127.5, 127.5 - rows.mean()
        angles_deg.append(np.rad2deg(np.arctan2(x, y)))
        rng = np.random.default_rng(seed)
        rng.random()
        assert angles_deg[-1] == pytest.approx(rng.uniform(-60, 60), abs=0.5)
        assert np.hypot(x, y) == pytest.approx(80, abs=0.5)
    assert min(angles_deg) < 0 < max(angles_deg)


def test_index_is_a_random_clip_or_a_view() -> None:
    transform = replace(RECIPE, frames=32)
    assert {int(transform.index(33, np.random.default_rng(s))[0]) for s in range(20)} == {0, 1}
    assert transform.index(60, None).tolist() == list(range(14, 46))
    assert transform.index(60, None, 4, 5).tolist() == list(range(28, 60))
    assert replace(transform, fidelity="published").index(33, None, 3, 5)[0] == 0
    assert transform.index(33, None, 3, 5)[0] == 1


# --- published -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mirrored", [False, True])
def test_published_fills_flow_with_the_fastest_movement(mirrored: bool) -> None:
    rotating = replace(
        RECIPE, fidelity="published", kind="flow", rotation_deg=45, flip_probability=mirrored
    )
    most_filled = min(items(rotating, constant("flow", NO_FLOW), 5), key=np.mean)
    # Mirroring comes after normalisation, so it also negates the fill.
    x = 1 if mirrored else -1
    assert np.isclose(most_filled[0], x).any()
    assert np.isclose(most_filled[1], -1).any()
    assert not np.isclose(most_filled[0], -x).any()


def test_published_does_not_rotate_vectors() -> None:
    pictures = constant("flow", NO_FLOW)
    pictures[:, 0] = 255
    rotating = replace(STILL, fidelity="published", kind="flow", rotation_deg=20)
    for item in items(rotating, pictures, 5):
        np.testing.assert_allclose(item[:, 0, 64, 64], [1, 128 / 127.5 - 1], atol=1e-5)


def test_published_rotates_to_the_nearest_pixel() -> None:
    """Without resizing, rotation adds no new values but the fill."""
    pictures = clip("color")
    (item,) = items(replace(WHOLE, fidelity="published", size=256, rotation_deg=10), pictures, 1)
    values = np.rint(item * 127.5 + 127.5).astype(int)
    assert set(np.unique(values)) <= {0, *np.unique(pictures).tolist()}


@pytest.mark.parametrize("mirrored", [False, True])
def test_published_rotates_before_it_crops(mirrored: bool) -> None:
    """So the centre of the picture, not of the crop, does not move; mirroring comes first."""
    pictures = constant("color", 0, frames=1)
    pictures[:, 124:132, 124:132] = 255
    transform = replace(
        RECIPE, fidelity="published", frames=1, size=224, rotation_deg=45, flip_probability=mirrored
    )
    for seed, item in enumerate(items(transform, pictures, 5)):
        rng = np.random.default_rng(seed)
        rng.random()
        rng.uniform(-45, 45)
        top, left = rng.integers(0, 33, 2)
        rows, columns = np.nonzero(item[0, 0] > 0)
        assert rows.mean() == pytest.approx(127.5 - top, abs=0.6)
        assert columns.mean() == pytest.approx(127.5 - left, abs=0.6)


@pytest.mark.parametrize("size", [64, 128, 224, 300])
def test_published_resizes_as_pillow_does(size: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3)).astype(np.uint8)
    item = item_of(replace(WHOLE, fidelity="published", frames=1, size=size), pictures, None)
    resized = Image.fromarray(pictures[0]).resize((size, size), Image.Resampling.BILINEAR)
    difference = item[:, 0].transpose(1, 2, 0) - (np.asarray(resized) / 127.5 - 1)
    assert np.abs(difference).max() < 1.01 / 127.5


# --- corrected -----------------------------------------------------------------------------------


def test_no_movement_stays_no_movement() -> None:
    transform = replace(RECIPE, kind="flow", rotation_deg=45)
    assert (to_bytes(np.zeros((2, 2, 2), np.float32), 20) == NO_FLOW).all()
    pictures = constant("flow", NO_FLOW)
    for item in (*items(transform, pictures, 10), item_of(transform, pictures, None)):
        assert (item == 0).all()


@pytest.mark.parametrize(
    ("angle_rad", "expected"),
    [(0, [1, 0]), (np.pi / 2, [0, 1]), (-np.pi / 2, [0, -1]), (np.pi, [-1, 0])],
)
def test_rotated_by_hand(angle_rad: float, expected: list[int]) -> None:
    right = torch.tensor([1.0, 0.0])
    np.testing.assert_allclose(rotated(right, angle_rad), expected, atol=1e-6)  # y points down


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("field", ["outwards", "around"])
def test_radial_flow_does_not_change_and_circular_flow_reverses_in_the_mirror(
    field: str, mirrored: bool
) -> None:
    """Both fields about the centre are invariant under rotation."""
    y, x = np.mgrid[:256, :256] - 127.5
    vectors = np.stack([x, y] if field == "outwards" else [-y, x], axis=-1) / 128 * 10  # bound 20
    transform = replace(
        WHOLE, kind="flow", frames=1, rotation_deg=180, flip_probability=float(mirrored)
    )
    small_y, small_x = (np.mgrid[:128, :128] - 63.5) / 64 / 2
    inside = np.hypot(small_x, small_y) < 0.45
    sign = -1 if mirrored else 1
    expected = (small_x, small_y) if field == "outwards" else (-sign * small_y, sign * small_x)
    for item in items(transform, to_bytes(vectors.astype(np.float32), 20)[None], 5):
        for channel in (0, 1):
            np.testing.assert_allclose(
                item[channel, 0][inside], expected[channel][inside], atol=0.015
            )


@pytest.mark.parametrize("kind", ["color", "hha"])
def test_the_border_is_black(kind: Kind) -> None:
    rotating = replace(WHOLE, kind=kind, rotation_deg=45)
    (item,) = items(rotating, constant(kind, 255), 1)
    assert (item[:, :, 0, 0] == -1).all()
    assert (item[:, :, 64, 64] == 1).all()


@KINDS
def test_mirroring_comes_last(kind: Kind) -> None:
    """So an item and its mirrored twin are exact mirror images."""
    plain = replace(RECIPE, kind=kind, flip_probability=0)
    item = item_of(plain, clip(kind), np.random.default_rng(1))
    mirrored = item_of(replace(plain, flip_probability=1), clip(kind), np.random.default_rng(1))
    if kind == "flow":
        mirrored[0] *= -1
    assert np.array_equal(mirrored[..., ::-1], item)


@pytest.mark.parametrize("size", [32, 64, 100, 128, 200])
def test_shrinking_keeps_the_mean(size: int) -> None:
    """A fine pattern does not alias into a coarse one."""
    pictures = constant("color", 0, frames=1)
    pictures[:, ::2] = 255
    item = item_of(replace(RECIPE, frames=1, size=size), pictures, None)
    assert item.mean() == pytest.approx(0, abs=0.02)
    if size <= 112:
        assert np.abs(item).max() < 0.35


def ramp() -> Pictures:
    """The red of a pixel is its row, the green its column."""
    y, x = np.mgrid[:256, :256].astype(np.uint8)
    return np.stack([y, x, np.full_like(x, 128)], axis=-1)[None]


@pytest.mark.parametrize("size", [48, 64, 112])
def test_pictures_of_half_their_size_show_the_same(size: int) -> None:
    transform = replace(RECIPE, frames=1, size=size)
    assert transform.halves
    pictures = ramp()
    half = cv2.resize(pictures[0], (128, 128), interpolation=cv2.INTER_AREA)[None]
    same = {"rtol": 0, "atol": 4.01 / 127.5}
    np.testing.assert_allclose(
        item_of(transform, half, None), item_of(transform, pictures, None), **same
    )
    for whole, halved in zip(items(transform, pictures, 5), items(transform, half, 5), strict=True):
        inside = np.maximum(np.abs(whole[2]), np.abs(halved[2])) < 0.01  # away from the border
        np.testing.assert_allclose(halved[:, inside], whole[:, inside], **same)


@FIDELITIES
def test_only_pictures_that_shrink_to_a_half_are_halved(fidelity: Fidelity) -> None:
    halves = {s: replace(RECIPE, fidelity=fidelity, size=s).halves for s in (1, 112, 113, 224)}
    corrected = fidelity == "corrected"
    assert halves == {1: corrected, 112: corrected, 113: False, 224: False}


@FIDELITIES
def test_chroma_is_interpolated_for_pictures_that_hardly_shrink(fidelity: Fidelity) -> None:
    repeats = {
        s: replace(RECIPE, fidelity=fidelity, size=s).repeats_chroma for s in (128, 149, 150, 224)
    }
    corrected = fidelity == "corrected"
    assert repeats == {128: corrected, 149: corrected, 150: False, 224: False}


# --- jitter --------------------------------------------------------------------------------------


def test_jitter_of_an_item_stays_within_its_bounds() -> None:
    transform = replace(WHOLE, frames=1, size=8, jitter=0.4)
    levels = [
        float(item[0, 0, 0, 0] * 127.5 + 127.5)
        for item in items(transform, constant("color", 100, frames=1), 200)
    ]
    assert 59 <= min(levels) < 65  # 100 x 0.6
    assert 135 < max(levels) <= 140.1
