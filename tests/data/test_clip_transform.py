from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from slr_pipeline.data.clip_transform import Kind, Picture, PictureTransform, jittered, turned
from slr_pipeline.features.flow import to_bytes
from slr_pipeline.schema import Fidelity

FIDELITIES = pytest.mark.parametrize("fidelity", ["published", "corrected"])
KINDS = pytest.mark.parametrize("kind", get_args(Kind))
AT_REST = 128


def clip(kind: Kind, frames: int = 3, seed: int = 0) -> Picture:
    """Different smooth pictures, blobs of 32 px, so that resizing changes little."""
    rng = np.random.default_rng(seed)
    shape = (frames, 2, 8, 8) if kind == "flow" else (frames, 8, 8, 3)
    coarse = rng.integers(0, 256, shape, dtype=np.uint8)
    y, x = (2, 3) if kind == "flow" else (1, 2)
    return np.ascontiguousarray(coarse.repeat(32, axis=y).repeat(32, axis=x))


def constant(kind: Kind, value: int, frames: int = 2) -> Picture:
    shape = (frames, 2, 256, 256) if kind == "flow" else (frames, 256, 256, 3)
    return np.full(shape, value, np.uint8)


def calm(fidelity: Fidelity, kind: Kind, frames: int = 3) -> PictureTransform:
    """Training without any change but a crop that leaves nothing to choose."""
    return PictureTransform(
        fidelity, kind, frames=frames, crop=256, flip_probability=0, rotation_deg=0
    )


def rng_mirrored(mirrored: bool, skip: int = 0) -> np.random.Generator:
    """A generator whose first number is below a half or not, after `skip` others like it."""
    seeds = [s for s in range(100) if (np.random.default_rng(s).random() < 0.5) == mirrored]
    return np.random.default_rng(seeds[skip])


# --- both fidelities -----------------------------------------------------------------------------


@FIDELITIES
@KINDS
@pytest.mark.parametrize("size", [1, 7, 64, 128, 224, 300])
def test_shapes_and_ranges(fidelity: Fidelity, kind: Kind, size: int) -> None:
    transform = PictureTransform(fidelity, kind, frames=3, size=size, rotation_deg=10)
    pictures = clip(kind)
    before = pictures.copy()
    channels = 2 if kind == "flow" else 3
    for rng in (None, np.random.default_rng(0), np.random.default_rng(1)):
        item = transform(pictures, rng)
        assert item.shape == (channels, 3, size, size)
        assert item.dtype == np.float32
        assert item.flags.c_contiguous
        assert np.isfinite(item).all()
        turns = rng is not None and (fidelity, kind) == ("corrected", "flow")
        assert np.abs(item).max() <= (1.5 if turns else 1.005)
    assert np.array_equal(pictures, before)


@FIDELITIES
@pytest.mark.parametrize("kind", ["color", "hha"])
def test_values_by_hand(fidelity: Fidelity, kind: Kind) -> None:
    transform = PictureTransform(fidelity, kind, frames=2)
    for value, expected in ((0, -1), (255, 1), (51, -0.6)):
        np.testing.assert_allclose(transform(constant(kind, value), None), expected, atol=1e-6)


def test_flow_values_by_hand() -> None:
    for value in (0, 128, 255):
        pictures = constant("flow", value)
        published = PictureTransform("published", "flow", frames=2)(pictures, None)
        np.testing.assert_allclose(published, value / 127.5 - 1, atol=1e-6)
        corrected = PictureTransform("corrected", "flow", frames=2)(pictures, None)
        np.testing.assert_allclose(corrected, (value - 128) / 127.5, atol=1e-6)


@FIDELITIES
@KINDS
def test_evaluation_sees_the_middle(fidelity: Fidelity, kind: Kind) -> None:
    """The outer 16 px are not seen, if not as neighbours of what is."""
    pictures = constant(kind, 255)
    y, x = (2, 3) if kind == "flow" else (1, 2)
    middle = tuple(slice(15, 241) if axis in (y, x) else slice(None) for axis in range(4))
    pictures[middle] = 100
    for size in (64, 100, 224):
        item = PictureTransform(fidelity, kind, frames=2, size=size)(pictures, None)
        assert np.unique(item).size == 1


@FIDELITIES
@KINDS
def test_without_shrinking_evaluation_shows_the_very_pixels(fidelity: Fidelity, kind: Kind) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, clip(kind).shape, dtype=np.uint8)
    item = PictureTransform(fidelity, kind, frames=3, size=224)(pictures, None)
    channels_first = pictures.transpose((1, 0, 2, 3) if kind == "flow" else (3, 0, 1, 2)) + 0.0
    rest = 128 if (fidelity, kind) == ("corrected", "flow") else 127.5
    expected = (channels_first[..., 16:240, 16:240] - rest) / 127.5
    np.testing.assert_allclose(item, expected, atol=1e-6)


@FIDELITIES
@KINDS
def test_all_frames_change_alike(fidelity: Fidelity, kind: Kind) -> None:
    still = clip(kind, frames=1).repeat(5, axis=0)
    jitter = 0.4 if (fidelity, kind) == ("corrected", "color") else 0
    transform = PictureTransform(fidelity, kind, frames=5, jitter=jitter)
    for seed in range(5):
        item = transform(still, np.random.default_rng(seed))
        assert (item == item[:, :1]).all()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    fidelity=st.sampled_from(get_args(Fidelity)),
    kind=st.sampled_from(get_args(Kind)),
)
def test_same_generator_same_item(seed: int, fidelity: Fidelity, kind: Kind) -> None:
    transform, pictures = PictureTransform(fidelity, kind, frames=3), clip(kind)
    first, again = (transform(pictures, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, transform(pictures, np.random.default_rng(seed + 1)))


@FIDELITIES
@KINDS
def test_mirroring_twice_is_the_identity(fidelity: Fidelity, kind: Kind) -> None:
    """The mirrored item of mirrored pictures is the item of the pictures."""
    pictures = clip(kind)
    if kind == "flow":
        # Bytes 1 to 255, so that every one has its opposite, 128 being at rest.
        pictures = np.maximum(pictures, 1)
        other = pictures[..., ::-1].copy()
        other[:, 0] = 256 - other[:, 0].astype(int)
        if fidelity == "published":  # b / 255 - 0.5 is opposite to 255 - b
            other[:, 0] -= 1
    else:
        other = pictures[:, :, ::-1].copy()
    plain = calm(fidelity, kind)
    mirrored = replace(plain, flip_probability=1)
    expected = plain(pictures, np.random.default_rng(0))
    np.testing.assert_allclose(
        mirrored(other, np.random.default_rng(0)), expected, atol=2.01 / 127.5
    )
    assert np.abs(mirrored(pictures, np.random.default_rng(0)) - expected).max() > 0.5


@FIDELITIES
def test_mirrored_flow_by_hand(fidelity: Fidelity) -> None:
    flow = np.zeros((256, 256, 2), np.float32)
    flow[:, :128] = [8, 4]  # the left half moves to the right and down
    transform = replace(calm(fidelity, "flow", frames=1), flip_probability=1, size=256)
    item = transform(to_bytes(flow, 20)[None], np.random.default_rng(0))
    np.testing.assert_allclose(item[0, 0, :, 128:], -0.4, atol=1.01 / 127.5)
    np.testing.assert_allclose(item[1, 0, :, 128:], 0.2, atol=1.01 / 127.5)
    np.testing.assert_allclose(item[:, 0, :, :128], 0, atol=1.01 / 127.5)


@FIDELITIES
def test_half_of_the_items_are_mirrored(fidelity: Fidelity) -> None:
    pictures = constant("color", 0, frames=1)
    pictures[:, :, :128] = 255
    transform = PictureTransform(fidelity, "color", frames=1, size=8)
    rng = np.random.default_rng(0)
    left = [bool(transform(pictures, rng)[0, 0, 4, 0] > 0) for _ in range(1000)]
    assert sum(left) == pytest.approx(500, abs=60)


@FIDELITIES
def test_training_crops_lie_anywhere(fidelity: Fidelity) -> None:
    """Where the middle of a cross is seen tells where the crop is."""
    ramp = np.arange(256, dtype=np.uint8)
    pictures = np.zeros((1, 256, 256, 3), np.uint8)
    pictures[0, ..., 0], pictures[0, ..., 1] = ramp[:, None], ramp[None]
    transform = PictureTransform(
        fidelity, "color", frames=1, size=224, flip_probability=0, rotation_deg=0
    )
    corners = set()
    for seed in range(400):
        item = transform(pictures, np.random.default_rng(seed))
        top, left = (round(float(value) * 127.5 + 127.5) for value in item[:2, 0, 0, 0])
        corners.add((top, left))
        steps = np.diff(item[0, 0, :, 0])
        np.testing.assert_allclose(steps, 1 / 127.5, atol=1e-5)
    for offsets in zip(*corners, strict=True):
        assert set(offsets) == set(range(33))


@FIDELITIES
def test_turning_is_clockwise_and_back(fidelity: Fidelity) -> None:
    """A dot above the middle goes to the right when the picture turns clockwise."""
    pictures = constant("color", 0, frames=1)
    pictures[:, 40:56, 120:136] = 255
    transform = replace(calm(fidelity, "color", frames=1), rotation_deg=60, size=256)
    places = []
    for seed in range(30):
        item = transform(pictures, np.random.default_rng(seed))[0, 0] + 1
        rows, columns = np.nonzero(item > 1)
        angle_rad = np.arctan2(columns.mean() - 127.5, 127.5 - rows.mean())
        rng = np.random.default_rng(seed)
        rng.random()
        assert np.rad2deg(angle_rad) == pytest.approx(rng.uniform(-60, 60), abs=0.5)
        places.append(angle_rad)
        assert np.hypot(columns.mean() - 127.5, rows.mean() - 127.5) == pytest.approx(80, abs=0.5)
    assert min(places) < 0 < max(places)


@FIDELITIES
@KINDS
def test_pictures_of_other_shapes_are_refused(fidelity: Fidelity, kind: Kind) -> None:
    transform = PictureTransform(fidelity, kind, frames=3)
    other: Kind = "color" if kind == "flow" else "flow"
    for pictures in (clip(kind)[:2], clip(other), clip(kind)[:, :, :128]):
        with pytest.raises(ValueError, match="expected pictures"):
            transform(pictures, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 257}, "crop must be 1 to 256, found 257"),
        ({"crop": 0}, "crop must be 1 to 256, found 0"),
        ({"frames": 0}, "frames and size"),
        ({"size": 0}, "frames and size"),
        ({"jitter": -0.1}, "jitter must be 0 to 1"),
        ({"jitter": 1.1}, "jitter must be 0 to 1"),
        ({"jitter": 0.1, "kind": "hha"}, "corrected hha"),
        ({"jitter": 0.1, "kind": "flow"}, "corrected flow"),
        ({"jitter": 0.1, "fidelity": "published"}, "published color"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PictureTransform(**settings)  # type: ignore[arg-type]


@FIDELITIES
@pytest.mark.parametrize("T", [1, 2, 31, 32, 33, 60, 151])
def test_index(fidelity: Fidelity, T: int) -> None:
    transform = PictureTransform(fidelity)
    for index in (
        transform.index(T, np.random.default_rng(0)),
        transform.index(T, None),
        transform.index(T, None, 4, 5),
    ):
        assert index.shape == (32,)
        assert 0 <= index.min() <= index.max() < T
    if T == 60:
        assert transform.index(T, None)[0] == 14
        assert transform.index(T, None, 4, 5)[0] == 28


# --- published -----------------------------------------------------------------------------------


def test_published_flow_is_filled_with_the_fastest_movement() -> None:
    turning = PictureTransform("published", "flow", frames=2, rotation_deg=45)
    pictures = constant("flow", AT_REST)
    for mirrored in (False, True):
        items = [turning(pictures, rng_mirrored(mirrored, skip)) for skip in range(5)]
        fill = min(items, key=lambda item: item.mean())
        # Mirrored after normalisation: so is the fill, which then goes to the right.
        assert np.isclose(fill[0], 1 if mirrored else -1).any()
        assert np.isclose(fill[1], -1).any()
        assert not np.isclose(fill[0], -1 if mirrored else 1).any()


def test_published_vectors_are_not_turned() -> None:
    turning = PictureTransform("published", "flow", frames=2, rotation_deg=20, flip_probability=0)
    pictures = constant("flow", AT_REST)
    pictures[:, 0] = 255
    for seed in range(5):
        item = turning(pictures, np.random.default_rng(seed))
        np.testing.assert_allclose(item[:, 0, 64, 64], [1, 128 / 127.5 - 1], atol=1e-5)


def test_published_turns_to_the_nearest_pixel() -> None:
    """No new values come up, as long as nothing is resized."""
    turning = replace(calm("published", "color"), size=256, rotation_deg=10)
    pictures = clip("color")
    item = turning(pictures, np.random.default_rng(0))
    values = np.rint(item * 127.5 + 127.5).astype(int)
    assert set(np.unique(values)) <= {0, *np.unique(pictures).tolist()}


def test_published_turns_before_it_crops() -> None:
    """So a picture's centre, and not the crop's, stays where it is; and it mirrors before both."""
    pictures = constant("color", 0, frames=1)
    pictures[:, 124:132, 124:132] = 255
    turning = PictureTransform("published", frames=1, size=224, rotation_deg=45)
    for mirrored in (False, True):
        for skip in range(5):
            item = turning(pictures, rng_mirrored(mirrored, skip))
            rng = rng_mirrored(mirrored, skip)
            rng.random()
            rng.uniform(-45, 45)
            top, left = rng.integers(0, 33, 2)
            rows, columns = np.nonzero(item[0, 0] > 0)
            assert rows.mean() == pytest.approx(127.5 - top, abs=0.6)
            assert columns.mean() == pytest.approx(127.5 - left, abs=0.6)


@pytest.mark.parametrize("size", [128, 64, 224, 300])
def test_published_resizes_as_pillow_does(size: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3)).astype(np.uint8)
    item = replace(calm("published", "color", frames=1), size=size)(pictures, None)
    resize = {"size": (size, size), "resample": Image.Resampling.BILINEAR}
    expected = np.asarray(Image.fromarray(pictures[0]).resize(**resize))
    assert np.abs(item[:, 0].transpose(1, 2, 0) - (expected / 127.5 - 1)).max() < 1.01 / 127.5


# --- corrected -----------------------------------------------------------------------------------


def test_rest_stays_rest() -> None:
    transform = PictureTransform("corrected", "flow", frames=2, rotation_deg=45)
    pictures = constant("flow", AT_REST)
    assert (to_bytes(np.zeros((2, 2, 2), np.float32), 20) == AT_REST).all()
    for seed in range(10):
        assert (transform(pictures, np.random.default_rng(seed)) == 0).all()
    assert (transform(pictures, None) == 0).all()


def test_turned_by_hand() -> None:
    right = np.array([1.0, 0.0], np.float32)
    np.testing.assert_allclose(turned(right, np.pi / 2), [0, 1], atol=1e-6)  # down: y is downwards
    np.testing.assert_allclose(turned(right, -np.pi / 2), [0, -1], atol=1e-6)
    np.testing.assert_allclose(turned(right, np.pi), [-1, 0], atol=1e-6)
    np.testing.assert_array_equal(turned(right, 0), right)


@settings(max_examples=25)
@given(angle_rad=st.floats(-7, 7), seed=st.integers(0, 1000))
def test_turning_back_is_the_identity_and_keeps_lengths(angle_rad: float, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(2, 3, 4)).astype(np.float32)
    there = turned(vectors, angle_rad)
    np.testing.assert_allclose(turned(there, -angle_rad), vectors, atol=1e-5)
    np.testing.assert_allclose(np.hypot(*there), np.hypot(*vectors), atol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_flow_outwards_stays_flow_outwards(mirrored: bool) -> None:
    """v = (x, y) about the middle is the same after any turn, and after mirroring."""
    y, x = np.mgrid[:256, :256] - 127.5
    outwards = np.stack([x, y], axis=-1).astype(np.float32) / 128 * 10  # px, bound 20
    pictures = to_bytes(outwards, 20)[None]
    turning = PictureTransform(
        "corrected", "flow", frames=1, crop=256, rotation_deg=180, flip_probability=float(mirrored)
    )
    small_y, small_x = (np.mgrid[:128, :128] - 63.5) / 64 / 2
    inside = np.hypot(small_x, small_y) < 0.45
    for seed in range(5):
        item = turning(pictures, np.random.default_rng(seed))
        np.testing.assert_allclose(item[0, 0][inside], small_x[inside], atol=0.015)
        np.testing.assert_allclose(item[1, 0][inside], small_y[inside], atol=0.015)


def test_flow_around_is_reversed_by_mirroring_only() -> None:
    y, x = np.mgrid[:256, :256] - 127.5
    around = np.stack([-y, x], axis=-1).astype(np.float32) / 128 * 10
    small_y, small_x = (np.mgrid[:128, :128] - 63.5) / 64 / 2
    inside = np.hypot(small_x, small_y) < 0.45
    for mirrored in (False, True):
        turning = PictureTransform(
            "corrected",
            "flow",
            frames=1,
            crop=256,
            rotation_deg=180,
            flip_probability=float(mirrored),
        )
        item = turning(to_bytes(around, 20)[None], np.random.default_rng(4))
        sign = -1 if mirrored else 1
        np.testing.assert_allclose(item[0, 0][inside], -sign * small_y[inside], atol=0.015)
        np.testing.assert_allclose(item[1, 0][inside], sign * small_x[inside], atol=0.015)


@pytest.mark.parametrize("kind", ["color", "hha"])
def test_beyond_the_border_it_is_black(kind: Kind) -> None:
    turning = PictureTransform(
        "corrected", kind, frames=2, crop=256, rotation_deg=45, flip_probability=0
    )
    item = turning(constant(kind, 255), np.random.default_rng(0))
    assert (item[:, :, 0, 0] == -1).all()
    assert (item[:, :, 64, 64] == 1).all()


def test_mirroring_comes_last() -> None:
    """So an item and its mirror picture, all else alike, are exact mirror pictures."""
    for kind in get_args(Kind):
        plain = PictureTransform("corrected", kind, frames=3, flip_probability=0)
        item = plain(clip(kind), np.random.default_rng(1))
        mirrored = replace(plain, flip_probability=1)(clip(kind), np.random.default_rng(1))
        if kind == "flow":
            mirrored[0] *= -1
        assert np.array_equal(mirrored[..., ::-1], item)


@pytest.mark.parametrize("size", [32, 64, 100, 128, 200])
def test_shrinking_keeps_the_mean(size: int) -> None:
    """A fine pattern does not become a coarse one."""
    pictures = np.zeros((1, 256, 256, 3), np.uint8)
    pictures[:, ::2] = 255
    transform = PictureTransform("corrected", frames=1, size=size)
    item = transform(pictures, None)
    assert item.mean() == pytest.approx(0, abs=0.02)
    if size <= 112:
        assert np.abs(item).max() < 0.35


# --- jitter --------------------------------------------------------------------------------------


def photograph(seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def test_jitter_by_hand() -> None:
    picture = np.array([[[100, 100, 100], [200, 200, 200]]], np.uint8)
    assert jittered(picture, (0.5, 1, 1)).tolist() == [[[50] * 3, [100] * 3]]
    assert jittered(picture, (1.5, 1, 1)).tolist() == [[[150] * 3, [255] * 3]]
    assert jittered(picture, (1, 0.5, 1)).tolist() == [[[125] * 3, [175] * 3]]
    assert jittered(picture, (1, 0, 1)).tolist() == [[[150] * 3, [150] * 3]]
    assert jittered(picture, (1, 1, 0.3)).tolist() == picture.tolist()  # grey has no saturation
    # Brightness first: 200 is cut to 255 before the contrast is taken about the mean 202.5 -> 203.
    assert jittered(picture, (1.5, 0.5, 1)).tolist() == [[[176] * 3, [229] * 3]]
    red = np.array([[[255, 0, 0]]], np.uint8)  # its grey is 76
    assert jittered(red, (1, 1, 0)).tolist() == [[[76] * 3]]
    assert jittered(red, (1, 1, 0.5)).tolist() == [[[165, 38, 38]]]


def test_no_jitter_is_the_identity() -> None:
    assert np.array_equal(jittered(photograph(), (1, 1, 1)), photograph())


@settings(max_examples=50, deadline=None)
@given(
    factors=st.tuples(*[st.floats(0, 2, width=32)] * 3),
    seed=st.integers(0, 1000),
)
def test_jitter_is_that_of_pillow(factors: tuple[float, float, float], seed: int) -> None:
    image = pytest.importorskip("PIL.Image")
    enhance = pytest.importorskip("PIL.ImageEnhance")
    expected = image.fromarray(photograph(seed))
    for change, factor in zip(
        (enhance.Brightness, enhance.Contrast, enhance.Color), factors, strict=True
    ):
        expected = change(expected).enhance(factor)
    difference: NDArray[np.int_] = np.abs(
        jittered(photograph(seed), factors).astype(int) - np.asarray(expected)
    )
    assert difference.max() <= 2  # its grey is rounded otherwise in a few pixels of a thousand
    assert (difference > 0).mean() < 0.02


def test_jitter_of_an_item_stays_within_its_bounds() -> None:
    pictures = constant("color", 100)
    transform = replace(calm("corrected", "color", frames=2), jitter=0.4)
    levels = [
        float(transform(pictures, np.random.default_rng(seed))[0, 0, 0, 0] * 127.5 + 127.5)
        for seed in range(200)
    ]
    assert 59 <= min(levels) < 65  # 100 x 0.6
    assert 135 < max(levels) <= 140.1
    assert np.ptp(levels) > 70
