"""MediaPipe's landmarks, by whichever of its programs, as the 133 keypoints."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.skeleton import BODY, FACE, FEET, HOLISTIC, KEYPOINTS_133, sources

MIN_SCORE: Final = 1e-3
"""Least score of a keypoint that is given."""

# The landmark of each of the 133: first 33 of the pose, then 468 of the face, 21 of each hand.
_LANDMARK_OF: Final = sources(KEYPOINTS_133, HOLISTIC)
POSE_TARGET: Final = [i for i in (*BODY, *FEET) if _LANDMARK_OF[i] >= 0]
POSE_SOURCE: Final = [_LANDMARK_OF[i] for i in POSE_TARGET]
"""The landmarks of the pose that the keypoints `POSE_TARGET` are."""
FACE_SOURCE: Final = [_LANDMARK_OF[i] - 33 for i in FACE]
"""The landmarks of the face that the keypoints `FACE` are."""

PLOTTING: Final = ("matplotlib", "matplotlib.pyplot")
"""What MediaPipe imports for its plots: half the time that its import takes."""


def to_pixels(keypoints: NDArray[np.float32], *, width: int, height: int) -> None:
    """Scale keypoints (133, 3) from shares of the frame's sides to px in place.

    Those that are given get a score from `MIN_SCORE` to 1.
    """
    given = keypoints.any(axis=1)
    keypoints[given, 2] = keypoints[given, 2].clip(MIN_SCORE, 1)
    keypoints[:, :2] *= np.array([width, height], np.float32)


@contextmanager
def deferred_stderr() -> Iterator[None]:
    """Hold back what native code writes to stderr; show it only when the block fails.

    MediaPipe logs some twenty lines at start-up, before its log level can be set.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
