"""The signer crop: SAM-SLR's box, and the corrected one for frames of any size."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.features.frames import CROP_KEYPOINTS, crop_signer, signer_box

DEMO = Path(__file__).parents[2] / "demo"


def signer(frames: int, x: tuple[float, float] = (100, 300), y: tuple[float, float] = (50, 450)):
    """A signer whose 31 keypoints fill a rectangle in every frame, with score 1."""
    keypoints = np.zeros((frames, 133, 3), np.float32)
    rng = np.random.default_rng(1)
    keypoints[:, CROP_KEYPOINTS, 0] = rng.uniform(*x, len(CROP_KEYPOINTS))
    keypoints[:, CROP_KEYPOINTS, 1] = rng.uniform(*y, len(CROP_KEYPOINTS))
    keypoints[:, 0, :2] = x[0], y[0]
    keypoints[:, 10, :2] = x[1], y[1]
    keypoints[:, CROP_KEYPOINTS, 2] = 1
    return keypoints


def test_the_31_keypoints() -> None:
    assert len(CROP_KEYPOINTS) == len(set(CROP_KEYPOINTS)) == 31
    assert CROP_KEYPOINTS[:12] == (*range(11), 91)


def box_of(keypoints: np.ndarray, fidelity: str = "corrected") -> np.ndarray:
    return signer_box(keypoints, width=512, height=512, fidelity=fidelity)


def test_boxes_by_hand() -> None:
    # Centre (200 - 20, 250 - 20), radius max(300 - 180, 450 - 230) = 220, half side 286.
    assert box_of(signer(3), "published").tolist() == [0, 0, 466, 512]
    small = signer(3, x=(250, 350), y=(200, 300))
    # Centre (280, 230), radius 70, half side 91.
    assert box_of(small, "published").tolist() == [280 - 91, 230 - 91, 280 + 91, 230 + 91]
    # Room 20, centre (300, 250 - 20), half side int(1.3 (50 + 20)) = 91.
    assert box_of(small).tolist() == [300 - 91, 230 - 91, 300 + 91, 230 + 91]


@pytest.mark.parametrize(("width", "height"), [(720, 1280), (240, 320), (513, 511), (1920, 1080)])
def test_the_corrected_box_grows_with_the_frame(width: int, height: int) -> None:
    scale = max(width, height) / 512
    edges = ((100 * scale, 220 * scale), (150 * scale, 280 * scale))
    box = signer_box(signer(5, *edges), width=width, height=height, fidelity="corrected")
    x = box_of(signer(5, (100, 220), (150, 280)))
    expected = np.minimum(x * scale, [width, height] * 2)
    np.testing.assert_allclose(box, expected, atol=2 * scale + 1)


def test_published_refuses_frames_of_another_size() -> None:
    with pytest.raises(DataError, match=r"512x512.*found 320x240; use fidelity corrected"):
        signer_box(signer(2), width=320, height=240, fidelity="published")


@pytest.mark.parametrize("outliers", [1, 2])
def test_a_keypoint_that_jumps_away_briefly_does_not_count(outliers: int) -> None:
    keypoints = signer(20, x=(250, 350), y=(200, 300))
    calm = box_of(keypoints)
    keypoints[8 : 8 + outliers, 95, :2] = 500, 500
    assert (box_of(keypoints) == calm).all()
    assert (box_of(keypoints, "published") != calm).any()


def test_a_hand_that_stays_for_three_frames_counts() -> None:
    keypoints = signer(20, x=(250, 350), y=(200, 300))
    keypoints[8:11, 95, :2] = 300, 40
    assert box_of(keypoints)[1] <= 40


def test_uncertain_and_missing_keypoints_do_not_count() -> None:
    keypoints = signer(20, x=(250, 350), y=(200, 300))
    calm = box_of(keypoints)
    keypoints[:, 95] = 500, 500, 0.2
    keypoints[:, 96] = 0
    assert (box_of(keypoints) == calm).all()


def test_nobody_gives_the_whole_frame() -> None:
    nobody = np.zeros((4, 133, 3), np.float32)
    box = signer_box(nobody, width=513, height=511, fidelity="corrected")
    assert box.tolist() == [0, 0, 513, 511]


@pytest.mark.parametrize("fidelity", ["published", "corrected"])
def test_any_length_gives_the_same_box(fidelity: str) -> None:
    for frames in (2, 15, 16, 17, 150, 1000):
        assert (box_of(signer(frames), fidelity) == box_of(signer(1), fidelity)).all()


def test_the_box_holds_nose_and_hands_of_every_rendered_clip() -> None:
    inside = total = 0
    with h5py.File(DEMO / "truth" / "test.h5") as file:
        for clip in file.values():
            keypoints = clip["keypoints"][:]
            keypoints[..., 2] = 1
            box = box_of(keypoints)
            points = keypoints[:, [0, *range(91, 133)], :2]
            points = points[((points >= 0) & (points <= 511)).all(axis=-1)]
            inside += int(((points >= box[:2]) & (points < box[2:])).all(axis=-1).sum())
            total += len(points)
    assert total > 20000
    assert inside / total > 0.999


def test_the_crop_is_padded_with_black_to_a_square() -> None:
    picture = np.full((300, 400, 3), 200, np.uint8)
    # 51 wide, 256 high: 205 black columns, 102 of them on the left.
    crop = crop_signer(picture, np.array([10, 20, 61, 276]), interpolation=cv2.INTER_LINEAR)
    assert crop.shape == (256, 256, 3)
    columns = (crop == 200).all(axis=(0, 2))
    assert columns.nonzero()[0].tolist() == list(range(102, 153))
    assert (crop[:, ~columns] == 0).all()


def test_a_box_of_256_is_copied() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (512, 512), np.uint8)
    for interpolation in (cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_NEAREST_EXACT):
        crop = crop_signer(picture, np.array([7, 9, 263, 265]), interpolation=interpolation)
        assert (crop == picture[9:265, 7:263]).all()


def test_golden_numbers() -> None:
    rng = np.random.default_rng(7)
    walk = rng.normal(0, 4, (40, 133, 2)).cumsum(axis=0) + rng.uniform(150, 350, (133, 2))
    scores = rng.uniform(0, 1, (40, 133, 1))
    keypoints = np.concatenate([walk, scores], axis=-1).astype(np.float32)
    assert box_of(keypoints, "published").tolist() == [34, 30, 410, 406]
    assert box_of(keypoints).tolist() == [60, 38, 422, 400]
