"""Pictures as the input of an estimator."""

from collections.abc import Iterable
from typing import Any

from slr_pipeline.pose.interface import PoseClip


def pose_clip(frames: Iterable[Any], *, width: int = 512, height: int = 512) -> PoseClip:
    length = len(frames) if isinstance(frames, list) else 0
    return PoseClip("clip", "clip.mp4", frames, length, width, height, fps=25.0)
