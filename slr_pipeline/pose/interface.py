"""The interface of all whole-body pose estimators."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.io.feature_writer import Attributes


@dataclass(frozen=True)
class PoseClip:
    """One clip as the input of an estimator.

    `frames` are T RGB pictures (H, W, 3) uint8, decoded on demand and only once; `width` and
    `height` are px, `fps` is the rate of `frames`. `path` is the video and `length` its number of
    frames; `sampled` (T,) are those in `frames`, None if all are.
    """

    sample: str
    path: str
    frames: Iterable[NDArray[np.uint8]]
    length: int
    width: int
    height: int
    fps: float
    sampled: NDArray[np.int64] | None = None

    @property
    def count(self) -> int:
        """Number of `frames`."""
        return self.length if self.sampled is None else len(self.sampled)


class PoseEstimator(Protocol):
    """Estimates the 133 COCO-WholeBody keypoints of one person in every frame of a clip."""

    @property
    def name(self) -> str:
        """Model and release, e.g. `mediapipe-0.10.21-holistic`."""

    @property
    def weights_sha256(self) -> str:
        """64 hexadecimal digits that change when any model file changes.

        `unknown` where keypoints are imported from files that do not name their model.
        """

    @property
    def attributes(self) -> Attributes:
        """Further attributes of the feature file, on how the keypoints were estimated."""

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3) of a clip.

        Channels are x and y in px (origin top left, unmirrored) and the score in [0, 1]. A missing
        point is (0, 0, 0), so a frame without a person is all zero. No state is kept between clips.
        """
