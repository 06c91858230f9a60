"""What a whole-body pose estimator is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PoseClip:
    """One clip as an estimator meets it.

    `frames` are T pictures of RGB (H, W, 3) uint8, decoded as they are asked for and once only;
    `length` is T, `width` and `height` are px, `path` is the video.
    """

    sample: str
    path: str
    frames: Iterable[NDArray[np.uint8]]
    length: int
    width: int
    height: int
    fps: float


class PoseEstimator(Protocol):
    """Finds the 133 COCO-WholeBody keypoints of one person in every frame of a clip."""

    @property
    def name(self) -> str:
        """Model and release, e.g. `mediapipe-0.10.21-holistic`."""

    @property
    def weights_sha256(self) -> str:
        """64 hexadecimal digits that change when any model file changes.

        `unknown` where the keypoints come from files that do not tell.
        """

    @property
    def made(self) -> dict[str, str | int | float | bool]:
        """Attributes of the artifact that say how this estimator made it; mostly none."""

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3) of a clip.

        Channels are x and y in px (origin top left, unmirrored) and the score in [0, 1]. A missing
        point is (0, 0, 0), so a frame without a person is all zero. Nothing is remembered from one
        clip to the next.
        """
