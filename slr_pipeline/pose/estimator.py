"""What a whole-body pose estimator is, and the one place where settings choose one."""

from collections.abc import Iterable
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.feature_settings import KeypointsSettings


class PoseEstimator(Protocol):
    """Finds the 133 COCO-WholeBody keypoints of one person in every frame of a video."""

    @property
    def name(self) -> str:
        """Model and release, e.g. `mediapipe-0.10.21-holistic`."""

    @property
    def weights_sha256(self) -> str:
        """64 hexadecimal digits that change when any model file changes."""

    def estimate(self, frames: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3) of one video given as T frames of RGB (H, W, 3) uint8.

        Channels are x and y in px (origin top left, unmirrored) and the score in [0, 1]. A missing
        point is (0, 0, 0), so a frame without a person is all zero. Nothing is remembered from one
        video to the next.
        """


def open_estimator(settings: KeypointsSettings) -> PoseEstimator:
    """The estimator of the settings, ready to run; an SlrError where it is not installed."""
    match settings.estimator:
        case "mediapipe":
            from slr_pipeline.pose.mediapipe import MediaPipeHolistic

            return MediaPipeHolistic(
                min_detection_confidence=settings.min_detection_confidence,
                min_tracking_confidence=settings.min_tracking_confidence,
            )
        case _:
            assert_never(settings.estimator)
