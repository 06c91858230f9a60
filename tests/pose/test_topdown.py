"""Crops, batches and decoding, with known results."""

import numpy as np
import pytest

from slr_pipeline.pose.detector import choose_box
from slr_pipeline.pose.topdown import (
    MIN_SCORE,
    Box,
    Crop,
    Prediction,
    crop_frame,
    decode_quarter,
    decode_simcc,
    in_batches,
    poses_in_crops,
    to_keypoints,
)

# The demo, portrait, 4K, a thumbnail, odd numbers.
SIZES = ((512, 512), (1080, 1920), (3840, 2160), (90, 60), (301, 257))
INPUTS = ((288, 384), (192, 256))


def blob(width: int, height: int, x: float, y: float, sigma: float) -> np.ndarray:
    """A bright spot at (x, y) px, the same in all channels."""
    across = np.exp(-((np.arange(width) - x) ** 2) / (2 * sigma**2))
    down = np.exp(-((np.arange(height) - y) ** 2) / (2 * sigma**2))
    return np.repeat((255 * down[:, None] * across)[..., None], 3, axis=2).astype(np.uint8)


def middle(picture: np.ndarray) -> np.ndarray:
    """(x, y) px of the centre of brightness."""
    light = picture[..., 0].astype(np.float64)
    total = light.sum()
    x = (light.sum(axis=0) * np.arange(light.shape[1])).sum() / total
    y = (light.sum(axis=1) * np.arange(light.shape[0])).sum() / total
    return np.array([[x, y]], np.float32)


@pytest.mark.parametrize("size", INPUTS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_point_of_the_crop_is_the_same_point_of_the_frame(
    width: int, height: int, size: tuple[int, int]
) -> None:
    x, y = 0.31 * width, 0.62 * height
    crop = crop_frame(blob(width, height, x, y, sigma=min(width, height) / 30), None, size)
    assert crop.picture.shape == (size[1], size[0], 3)
    assert np.abs(crop.to_frame(middle(crop.picture)) - (x, y)).max() < 0.1 * max(1, crop.scale)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_whole_frame_is_in_the_crop_and_no_more(width: int, height: int) -> None:
    crop = crop_frame(np.full((height, width, 3), 255, np.uint8), None, (288, 384))
    lit = np.argwhere(crop.picture[..., 0] > 127)
    spans = (lit.max(axis=0) - lit.min(axis=0) + 1)[::-1] * crop.scale
    assert np.abs(spans - (width, height)).max() <= 1.01 * crop.scale
    assert crop.scale == pytest.approx(max(width / 288, height / 384))


@pytest.mark.parametrize("box", [None, Box(40, 10, 200, 300)])
@pytest.mark.parametrize(("width", "height"), [*SIZES[:2], (301, 257)])
def test_the_crop_of_a_mirrored_frame_is_the_mirrored_crop(
    width: int, height: int, box: Box | None
) -> None:
    rng = np.random.default_rng(width)
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    other = box and Box(width - box.x1, box.y0, width - box.x0, box.y1)
    crop = crop_frame(frame, box, (288, 384))
    mirrored = crop_frame(frame[:, ::-1].copy(), other, (288, 384))
    difference = np.abs(crop.picture.astype(int) - mirrored.picture[:, ::-1])
    assert difference.max() <= 12  # OpenCV interpolates between 1/32 px
    assert np.median(difference) == 0


def test_a_box_has_room_around_it() -> None:
    crop = crop_frame(np.zeros((400, 400, 3), np.uint8), Box(100, 50, 180, 350), (192, 256))
    assert crop.scale == pytest.approx(1.25 * 300 / 256)
    corners = crop.to_frame(np.array([[-0.5, -0.5], [191.5, 255.5]], np.float32)) + 0.5
    assert corners.mean(axis=0) == pytest.approx([140, 200])
    assert corners[1, 1] - corners[0, 1] == pytest.approx(375)


def test_large_frames_are_averaged_not_sampled() -> None:
    stripes = np.zeros((2160, 3840, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = crop_frame(stripes, None, (288, 384))
    inside = crop.picture[140:240, 20:-20]
    assert np.abs(inside.astype(int) - 127).max() <= 12


def test_batches_have_all_items_in_order() -> None:
    """They are taken one at a time, so that a long video is never in memory as a whole."""
    sizes = []

    def double(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        return [2 * each for each in batch]

    assert list(in_batches(range(7), 3, double)) == [0, 2, 4, 6, 8, 10, 12]
    assert sizes == [3, 3, 1]
    assert list(in_batches([], 3, double)) == []
    frames = iter(range(100))
    assert next(in_batches(frames, 3, lambda batch: batch)) == 0
    assert next(frames) == 3


def test_frames_without_a_person_are_zero_and_skip_the_network() -> None:
    crop = Crop(np.zeros((8, 6, 3), np.uint8), scale=2.0, left=10.0, top=20.0)
    batches = []

    def network(pictures: list[np.ndarray]) -> list[Prediction]:
        batches.append(len(pictures))
        place = np.full((133, 2), 3, np.float32)
        place[1] = np.nan
        place[2] = 1e6
        scores = np.linspace(-0.1, 1.2, 133, dtype=np.float32)[::-1]
        return [Prediction(place, scores)] * len(pictures)

    poses = list(poses_in_crops([crop, None, crop, None, None], 2, network))
    assert batches == [1, 1]
    assert [bool(each.keypoints.any()) for each in poses] == [True, False, True, False, False]
    keypoints = poses[0].keypoints
    assert tuple(keypoints[0]) == (16, 26, 1)  # 3 px of the crop; its score is above 1
    assert tuple(keypoints[1]) == (0, 0, 0)  # no place
    assert tuple(keypoints[2]) == (20, 34, 1)  # no farther than the crop's last pixel
    assert not keypoints[-10:].any()  # scores of 0 and less
    given = keypoints[keypoints[:, 2] > 0]
    assert given[:, 2].min() >= MIN_SCORE
    result = to_keypoints(np.ones((133, 2), np.float32), np.full(133, 1e-9, np.float32))
    assert (result[:, 2] == np.float32(MIN_SCORE)).all()


def test_simcc_by_hand() -> None:
    x, y = np.zeros((1, 2, 12), np.float32), np.zeros((1, 2, 16), np.float32)
    x[0, 0, 7], y[0, 0, 5] = 0.9, 0.8
    x[0, 1, 0], y[0, 1, 15] = 0.2, 0.6
    points, scores = decode_simcc(x, y, (6, 8))  # two bins a pixel
    assert points.tolist() == [[[3.5, 2.5], [0, 7.5]]]
    assert scores[0] == pytest.approx([0.8, 0.2])


def test_a_quarter_of_a_cell_by_hand() -> None:
    maps = np.zeros((5, 8, 9), np.float32)
    maps[0, 4, 3], maps[0, 4, 4], maps[0, 3, 3] = 1, 0.5, 0.2  # to the right, up
    maps[1, 2, 2] = 0.7  # both neighbours alike
    maps[2, 0, 5], maps[2, 0, 6] = 0.9, 0.5  # at the top
    maps[3, 4, 1], maps[3, 4, 2] = 0.9, 0.5  # next to the left border: 1 < x fails
    maps[4, 6, 7], maps[4, 6, 6], maps[4, 7, 7] = 0.9, 0.5, 0.4  # the last that moves
    points, scores = decode_quarter(maps)
    assert points.tolist() == [[3.25, 3.75], [2, 2], [5, 0], [1, 4], [6.75, 6.25]]
    assert scores == pytest.approx([1, 0.7, 0.9, 0.9, 0.9])


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, 1),  # the largest
        (Box(0, 0, 10, 10), 0),  # the last person, however small
        (Box(300, 300, 310, 310), 1),  # the last person has left
    ],
)
def test_the_signer_is_followed(last: Box | None, expected: int) -> None:
    boxes = np.array([[1, 1, 11, 11], [50, 50, 90, 99], [95, 0, 99, 99]], np.float32)
    assert choose_box(boxes, last) == Box(*boxes[expected].tolist())
    assert choose_box(boxes[:0], last) is None
