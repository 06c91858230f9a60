"""HHA: planes and rooms of known shape, a reference implementation, NYU pictures, clips."""

from dataclasses import astuple
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from slr_pipeline.features.camera import NYU_CAMERA, Camera, assumed_camera
from slr_pipeline.features.hha import (
    ANGLE_RADIUS,
    GRAVITY_RADIUS,
    clip_hha,
    gravity,
    heights,
    hha,
    is_empty,
    to_bytes,
    zero_height,
)
from slr_pipeline.features.normals import normals_at, published_normals_at
from slr_pipeline.io.video import read_grey_frames
from tests.features import hha_reference as oracle
from tests.shared_data import SHARED

DEMO = Path(__file__).parents[2] / "demo"
NYU = SHARED / "hha"
needs_nyu = pytest.mark.skipif(
    not NYU.is_dir(), reason="no NYU pictures: SLR_SHARED_DATA or ../shared/data has no hha"
)
SMALL = NYU_CAMERA.cropped((0, 0, 512, 512), 256)
CLIPS = ("train/signer0_sample1", "val/signer5_sample3", "test/signer6_sample5")
pytestmark = pytest.mark.filterwarnings("error")  # no NaN may leak one


def demo_clip(name: str) -> np.ndarray:
    return np.stack(list(read_grey_frames(DEMO / f"{name}_depth.mp4")))


def halved(picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    return cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST_EXACT)


def normals(depth: np.ndarray, missing: np.ndarray, camera: Camera, radius: int) -> np.ndarray:
    """Normals (H, W, 3) of all pixels of depth (H, W) in metres."""
    depth, at = depth.astype(np.float64), np.arange(depth.size)
    flat = normals_at(depth, ~missing & (depth > 0), camera, radius, at)
    return np.ascontiguousarray(flat.T, np.float32).reshape(*depth.shape, 3)


def gravity_of(normal: np.ndarray) -> np.ndarray:
    """Gravity from normals (..., 3)."""
    return gravity(np.ascontiguousarray(normal.reshape(-1, 3).T, np.float64))


def metric_hha(
    depth: np.ndarray, missing: np.ndarray, camera: Camera, height_rule: str
) -> np.ndarray:
    """The published HHA of depth (H, W) in metres; missing pixels only give no normals."""
    valid, at = ~missing & (depth > 0), np.arange(depth.size)
    g = gravity(published_normals_at(depth, valid, camera, GRAVITY_RADIUS, at))
    z = 100.0 * depth.ravel()
    height = heights(z, at, depth.shape[1], camera, g)
    height -= zero_height(float(height.min()), height_rule)
    normal = published_normals_at(depth, valid, camera, ANGLE_RADIUS, at)
    return to_bytes(z, height, normal, g).reshape(*depth.shape, 3)


def rays(shape: tuple[int, int], camera: Camera) -> np.ndarray:
    """(H, W, 3) points at depth 1."""
    u, v = oracle.pixel_coordinates(shape)
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    return np.stack([x, y, np.ones(shape)], axis=-1)


def depth_of(planes: list[tuple[np.ndarray, float]], ray: np.ndarray) -> np.ndarray:
    """Depth of the nearest of some planes n . p = distance, seen along rays."""
    with np.errstate(divide="ignore"):
        depths = np.stack([distance / (ray @ normal) for normal, distance in planes])
    return np.where(depths > 0, depths, np.inf).min(axis=0)


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(a @ b, -1, 1)))


def turned(degrees: float, axis: int) -> np.ndarray:
    """Rotation matrix about x (0) or z (2)."""
    vector = np.zeros(3)
    vector[axis] = np.radians(degrees)
    return cv2.Rodrigues(vector)[0]


# --- hand-computed ---------------------------------------------------------------------------


def test_a_wall_in_front_by_hand() -> None:
    camera = Camera(fx=100.0, fy=100.0, cx=3.0, cy=3.0)
    grey = np.full((5, 5), 120, np.uint8)  # 2 m
    grey[0, 0] = 0
    out = hha(grey, camera)
    # disparity 31000 / 200 = 155; the wall is orthogonal to gravity (0, 1, 0): 90 + 38 = 128
    # height: y = (v - 3) * 200 / 100 cm is 4 at the bottom, so that h - min h = 8, 6, 4, 2, 0
    expected = np.zeros((5, 5, 3), np.uint8)
    expected[..., 0], expected[..., 2] = 155, 128
    expected[..., 1] = np.array([8, 6, 4, 2, 0])[:, None]
    expected[0, 0] = 0
    np.testing.assert_array_equal(out, expected)


def test_published_puts_missing_pixels_at_the_height_of_the_camera() -> None:
    camera = Camera(fx=100.0, fy=100.0, cx=3.0, cy=8.0)  # the wall is above the axis
    grey = np.full((5, 5), 120, np.uint8)
    full = grey.copy()
    full[0, 0] = 119  # not constant, else it is empty
    grey[0, 0] = 0
    assert hha(full, camera)[4, 2, 1] == 0
    assert hha(grey, camera)[4, 2, 1] == 6  # min h = 0 is that of the missing pixel
    assert hha(grey, camera, height_rule="floor")[4, 2, 1] == 136  # 0 > -90, so it is -130
    low = Camera(fx=2.0, fy=2.0, cx=3.0, cy=3.0)  # the lowest point is 200 cm below the camera
    np.testing.assert_array_equal(hha(full, low), hha(full, low, height_rule="floor"))


def test_disparity_bytes_round_halves_up() -> None:
    grey = np.arange(256, dtype=np.uint8).repeat(4).reshape(32, 32)
    actual = hha(grey)[..., 0]
    metres = grey.astype(float) / 60
    expected = np.floor(np.clip(310 / np.maximum(metres, 1), 0, 255) + 0.5)
    np.testing.assert_array_equal(actual, np.where(grey == 0, 0, expected))
    depth = np.full((8, 8), 2.0)
    depth[0, 0] = np.nextafter(310 / 154.5, 0)  # halfway between two bytes, nudged up
    assert metric_hha(depth, depth == 0, NYU_CAMERA, "lowest")[0, 0, 0] == 155


def test_camera_of_a_crop_by_hand() -> None:
    camera = Camera(fx=500.0, fy=400.0, cx=300.5, cy=200.5)
    # 100 wide, 200 high: 50 px of black on the left, then half the size
    crop = camera.cropped((50, 20, 150, 220), 100)
    # u = 300.5 is the right edge of column 300 (from 1), so 300 - 50 + 50 = 300 px from the edge
    assert astuple(crop) == (250.0, 200.0, 150.5, 90.5)
    assert camera.cropped((0, 0, 101, 104), 104).cx == camera.cx + 1  # floor(3 / 2)
    # 20 wide, 10 high, outside the picture: 5 px of black above
    assert camera.cropped((-8, -4, 12, 6), 20) == Camera(500.0, 400.0, 308.5, 209.5)
    assert assumed_camera(5, 3) == Camera(5.0, 5.0, 3.0, 2.0)


# --- normals and gravity ---------------------------------------------------------------------


def test_normals_equal_the_reference() -> None:
    grey = demo_clip(CLIPS[0])[5]
    for radius in (3, 10):
        actual = normals(grey / 60.0, grey == 0, NYU_CAMERA, radius)
        true = oracle.normals(grey / 60.0, grey == 0, oracle.NYU, radius)
        noise = oracle.degenerate(grey == 0, radius)
        assert noise.any()
        assert np.isnan(actual[noise]).all()
        np.testing.assert_array_equal(np.isnan(actual[~noise]), np.isnan(true[~noise]))
        np.testing.assert_allclose(actual[~noise], true[~noise], atol=1e-4)


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (20, 0), (-15, 8), (10, -25), (30, 10)])
def test_gravity_of_a_room(pitch: float, roll: float) -> None:
    camera = Camera(fx=80.0, fy=80.0, cx=80.5, cy=60.5)
    turn = turned(roll, 2) @ turned(pitch, 0)
    true, aside, ahead = turn.T[[1, 0, 2]]
    ray = rays((120, 160), camera)
    depth = depth_of([(true, 1.4), (-aside, 1.8), (aside, 1.6), (ahead, 4.0)], ray)
    actual = normals(depth, np.zeros(depth.shape, bool), camera, 10)
    assert degrees_between(gravity_of(actual), true) < 1
    out = metric_hha(depth, np.zeros(depth.shape, bool), camera, "lowest")
    height = 140 - 100 * depth * (ray @ true)  # cm above the floor
    inside = height < 250
    assert np.abs(out[..., 1].astype(float) - height)[inside].max() < 6
    on_floor = cv2.erode((height < 1).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert on_floor.sum() > 100
    assert np.abs(out[on_floor, 2].astype(float) - 38).max() <= 1


def test_gravity_without_votes() -> None:
    down = np.array([0.0, 1.0, 0.0])
    np.testing.assert_array_equal(gravity_of(np.zeros((0, 3))), down)
    np.testing.assert_array_equal(gravity_of(np.full((4, 4, 3), np.nan)), down)
    # One wall leaves a plane of directions, which keeps g; a leaning wall turns g by its angle.
    np.testing.assert_allclose(gravity_of(np.full((9, 3), [0.0, 0.0, 1.0])), down, atol=1e-12)
    lean = np.radians(10)
    wall = np.full((9, 3), [0.0, np.sin(lean), np.cos(lean)])
    np.testing.assert_allclose(gravity_of(wall), [0, np.cos(lean), -np.sin(lean)], atol=1e-12)


# --- the published picture -------------------------------------------------------------------


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("size", [512, 256])
def test_published_bytes_equal_the_reference(name: str, size: int) -> None:
    grey = demo_clip(name)[12]
    camera = NYU_CAMERA
    if size == 256:
        grey, camera = halved(grey), SMALL
    actual, true = hha(grey, camera), oracle.hha(grey, astuple(camera))
    assert (actual == true).mean(axis=(0, 1)).min() >= 0.999
    assert not actual[grey == 0].any()


@pytest.mark.parametrize("height_rule", ["lowest", "floor"])
@pytest.mark.parametrize("shape", [(240, 320), (61, 47)])
def test_random_bytes_equal_the_reference(shape: tuple[int, int], height_rule: str) -> None:
    rng = np.random.default_rng(3)
    smooth = cv2.GaussianBlur(rng.uniform(-255, 510, shape), (0, 0), min(shape) / 8)
    for picture in (smooth, rng.uniform(-200, 255, shape)):
        grey = np.clip(picture, 0, 255).astype(np.uint8)
        actual = hha(grey, height_rule=height_rule)
        true = oracle.hha(grey, height_rule=height_rule)
        assert (actual == true).mean(axis=(0, 1)).min() >= 0.999


def test_sparse_depth_equals_the_reference() -> None:
    """Most windows are of a point or a line, whose noise decides gravity."""
    rng = np.random.default_rng(4)
    for grey_levels in ((60, 200), (120, 130)):
        grey = rng.integers(*grey_levels, (96, 128)).astype(np.uint8)
        grey[rng.random(grey.shape) > 0.004] = 0
        valid, depth, at = grey > 0, grey / 60.0, np.arange(grey.size)
        actual = published_normals_at(depth, valid, SMALL, 10, at)
        true = oracle.normals(depth, ~valid, astuple(SMALL), 10).reshape(-1, 3).T
        assert oracle.degenerate(~valid, 10).mean() > 0.1
        np.testing.assert_allclose(gravity(actual), oracle.gravity(true.T), atol=1e-6)
        np.testing.assert_array_equal(hha(grey, SMALL), oracle.hha(grey, astuple(SMALL)))


@needs_nyu
@pytest.mark.parametrize("name", ["hha_complete", "hha"])
def test_original_pictures(name: str) -> None:
    """HHA of the original MATLAB code; PNGs are (disparity, height, angle) as RGB."""
    depth = cv2.imread(str(NYU / "0.png"), cv2.IMREAD_UNCHANGED) / 10000
    raw = cv2.imread(str(NYU / "0_raw.png"), cv2.IMREAD_UNCHANGED)
    true = cv2.imread(str(NYU / f"{name}.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    missing = (depth if name == "hha_complete" else raw) == 0
    actual = metric_hha(depth, missing, NYU_CAMERA, "floor")
    difference = np.abs(actual.astype(int) - true)
    if name == "hha_complete":
        assert (difference == 0).mean(axis=(0, 1)).min() >= 0.9999
        return
    # Windows of a point or a line give rounding noise, which differs between MATLAB's sums and
    # ours: in the angle there, and in gravity by some hundredths of a degree.
    exact = ~oracle.degenerate(missing, 3)
    assert exact.mean() > 0.99
    assert difference[exact].max() <= 1
    assert (difference[exact] == 0).mean(axis=0).min() >= 0.985


@pytest.mark.parametrize(
    ("fidelity", "means", "picked"),
    [
        ("published", [125.405, 67.056, 104.766], [138, 132, 125, 182, 67, 138, 126, 6, 124]),
        ("corrected", [125.405, 62.705, 105.185], [138, 127, 125, 182, 62, 139, 126, 1, 125]),
    ],
)
def test_golden_numbers(fidelity: str, means: list[float], picked: list[int]) -> None:
    """If these change, raise the version of `hha` in slr_pipeline/schema.py."""
    u, v = np.meshgrid(np.arange(64), np.arange(48))
    wall = 150 - 0.3 * u
    body = 100 + 0.05 * (u - 30) ** 2 + 0.4 * np.abs(v - 20)
    person = (u - 30) ** 2 / 200 + (v - 24) ** 2 / 400 < 1
    grey = np.round(np.where(person, body, np.where(v < 40, wall, 0))).astype(np.uint8)
    camera = assumed_camera(64, 48)
    out = hha(grey, camera) if fidelity == "published" else next(clip_hha([grey], camera)[1])
    np.testing.assert_allclose(out.mean(axis=(0, 1)), means, atol=0.02)
    actual = out[[5, 24, 38], [50, 30, 8]].ravel().astype(int)
    np.testing.assert_allclose(actual, picked, atol=1)


# --- edges -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, 90, 255])
def test_a_constant_frame_is_empty_and_counted(value: int) -> None:
    grey = np.full((37, 21), value, np.uint8)
    assert is_empty(grey)
    np.testing.assert_array_equal(hha(grey), np.zeros((37, 21, 3), np.uint8))
    for count in (0, 2):
        empty, frames = clip_hha(np.repeat(grey[None], count, axis=0), NYU_CAMERA)
        out = list(frames)
        assert empty == len(out) == count
        assert not np.any(out)


def test_empty_frames_between_others() -> None:
    full = halved(demo_clip(CLIPS[0])[5])
    near = np.minimum(full, 29)  # nearer than 0.5 m everywhere
    empty, frames = clip_hha([full * 0, full, near, full], SMALL)
    out = list(frames)
    assert empty == 2
    assert not out[0].any()
    assert not out[2].any()
    assert is_empty(near, near_m=0.5)
    assert not is_empty(near)
    np.testing.assert_array_equal(out[1], out[3])
    _, alone = clip_hha([full], SMALL)
    assert np.abs(next(alone).astype(int) - out[1]).max() <= 1  # other height 0


@settings(max_examples=60)
@given(arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 30), st.integers(1, 30))))
def test_any_bytes(greys: np.ndarray) -> None:
    empty, frames = clip_hha(greys, NYU_CAMERA, near_m=0.0, height_rule="floor")
    out = list(frames)
    assert len(out) == len(greys)
    assert empty == sum(is_empty(grey) for grey in greys)
    for grey, frame in zip(greys, out, strict=True):
        assert not frame[grey == 0].any()
        assert not hha(grey)[grey == 0].any()


# --- clips -----------------------------------------------------------------------------------


def test_near_pixels_are_missing_in_a_clip() -> None:
    grey = halved(demo_clip(CLIPS[0])[5])
    ringing = grey.copy()
    ringing[(grey == 0) & (np.random.default_rng(0).random(grey.shape) < 0.1)] = 9
    ringing[(grey > 0) & (grey < 30)] = 0
    clean = np.where(grey < 30, 0, grey).astype(np.uint8)
    one, other = (next(clip_hha([picture], SMALL)[1]) for picture in (ringing, clean))
    np.testing.assert_array_equal(one, other)
    assert one.any()


@pytest.mark.parametrize("name", CLIPS)
def test_height_flickers_less_when_corrected(name: str) -> None:
    greys = np.stack([halved(frame) for frame in demo_clip(name)])
    _, frames = clip_hha(greys, SMALL)
    corrected = np.stack(list(frames))[..., 1].astype(float)
    published = np.stack([hha(grey, SMALL) for grey in greys])[..., 1].astype(float)
    still = (greys.min(axis=0) >= 30) & (np.ptp(greys, axis=0) <= 2)  # the same surface throughout
    assert still.sum() > 1000
    changes = [np.abs(np.diff(clip[:, still], axis=0)).mean() for clip in (corrected, published)]
    assert changes[0] < 0.6 * changes[1]


@pytest.mark.parametrize("name", ["signer0_sample1", "signer5_sample1", "signer6_sample1"])
def test_disparity_of_decoded_depth_matches_the_true_depth(name: str) -> None:
    with h5py.File(DEMO / "truth" / "frames.h5") as file:
        true = file[name]["depth"][1] / 10000.0
        t = int(file[name].attrs["frame"])
    (video,) = DEMO.glob(f"*/{name}_depth.mp4")
    grey = demo_clip(f"{video.parent.name}/{name}")[t]
    inside = cv2.erode((true > 1.25).astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    range_m = cv2.dilate(true, np.ones((9, 9))) - cv2.erode(true, np.ones((9, 9)))
    inside &= range_m < 0.05  # not beside an arm in front of the body
    assert inside.sum() > 5000
    _, frames = clip_hha([grey], NYU_CAMERA)
    for out in (hha(grey), next(frames)):
        disparity = out[..., 0].astype(float)[inside]
        step = 310 / true[inside] ** 2 / 60  # disparity of 1/60 m; half a byte is rounding
        wrong = np.abs(disparity - 310 / true[inside]) - 0.5
        assert (wrong <= 1.5 * step).mean() > 0.99
        assert (wrong <= 2.5 * step).mean() > 0.999
