"""The choice of a whole-body pose estimator by its settings."""

from typing import assert_never

from slr_pipeline.config.estimators import (
    ImportedKeypointsSettings,
    KeypointsSettings,
    MediapipeSettings,
    MediapipeTasksSettings,
    MmposeSettings,
    OnnxSettings,
    OpenposeSettings,
)
from slr_pipeline.pose.interface import PoseEstimator


def open_estimator(settings: KeypointsSettings, device: str) -> PoseEstimator:
    """The estimator that the settings name, ready to run; SlrError where it is not installed.

    `device` is `auto`, `cpu` or `cuda`, for estimators that can use a GPU.
    """
    match settings:
        case MediapipeSettings():
            from slr_pipeline.pose.mediapipe import MediaPipeHolistic

            return MediaPipeHolistic(settings)
        case MediapipeTasksSettings():
            from slr_pipeline.pose.mediapipe_tasks import MediaPipeTasks

            return MediaPipeTasks(settings)
        case OpenposeSettings():
            from slr_pipeline.pose.openpose import OpenPose

            return OpenPose(settings)
        case MmposeSettings():
            from slr_pipeline.pose.mmpose import MMPose

            return MMPose(settings, device)
        case OnnxSettings():
            from slr_pipeline.pose.onnx import OnnxPose

            return OnnxPose(settings, device)
        case ImportedKeypointsSettings():
            from slr_pipeline.pose.imported import ImportedKeypoints

            return ImportedKeypoints(settings)
        case _:
            assert_never(settings)
