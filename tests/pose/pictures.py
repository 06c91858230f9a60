"""Pictures for estimators: noise, and white spots at the hands of a rendered signer."""

from pathlib import Path

import cv2
import h5py
import numpy as np

from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND

DEMO = Path(__file__).parents[2] / "demo"


def noise(T: int, width: int = 320, height: int = 256) -> list[np.ndarray]:
    """Frames of coarse noise, all different."""
    rng = np.random.default_rng(T)
    small = rng.integers(0, 256, (T, 8, 10, 3), np.uint8)
    size = (width, height)
    return [cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in small]


def mirrored(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]


def truth(sample: str = "signer0_sample1") -> np.ndarray:
    with h5py.File(DEMO / "truth/train.h5") as file:
        assert not file[sample].attrs["left_handed"]
        return np.asarray(file[sample]["keypoints"][:])


def signing() -> tuple[list[np.ndarray], np.ndarray]:
    """`two_spots` of each frame of a sign: the pictures, and the centres (T, 2, 2) px."""
    pictures, places = zip(*(two_spots(pose) for pose in truth()), strict=True)
    return list(pictures), np.stack(places)


def assert_hands(keypoints: np.ndarray, places: np.ndarray, distance_px: float) -> None:
    """The right hand signs; both hands, and no other point, are near their centres."""
    left, right = keypoints[:, LEFT_HAND[0]], keypoints[:, RIGHT_HAND[0]]
    assert np.abs(left[:, :2] - places[:, 0]).max() < distance_px
    assert np.abs(right[:, :2] - places[:, 1]).max() < distance_px
    assert np.ptp(right[:, 1]) > 200
    assert np.ptp(left[:, 1]) < 10
    assert (left[:, 2] > 0.05).all()
    assert not keypoints[:, : LEFT_HAND[0]].any()


def two_spots(pose: np.ndarray, size: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a white spot at the centre of each hand, and the centres (2, 2) px."""
    places = np.stack([pose[list(hand), :2].mean(axis=0) for hand in (LEFT_HAND, RIGHT_HAND)])
    grid = np.arange(size)
    spots = [np.exp(-((grid[:, None] - y) ** 2 + (grid - x) ** 2) / (2 * 16**2)) for x, y in places]
    picture = (255 * np.clip(sum(spots), 0, 1)).astype(np.uint8)
    return np.repeat(picture[..., None], 3, axis=2), places
