"""Measured constants that a forecast is made of. Each is a number of docs/RESULTS.md, or is marked.

Seconds are those of one core of the machine named there, on videos of 512 x 512.
"""

from math import sqrt
from typing import assert_never

from slr_pipeline.config.features import FeatureSettings, FlowSettings
from slr_pipeline.config.streams import (
    R2plus1dSettings,
    SlgcnSettings,
    SstcnSettings,
    TrainedStream,
    VtnSettings,
)

CLIP_FRAMES = 60.0
"""ASSUME: frames of a clip where nothing is known, as AUTSL's clips have on average."""

MS_A_FRAME = {
    "verify": 1.1,
    "keypoints": 38.0,
    "frames": 2.9,
    "hand_crops": 2.5,
    "depth_hand_crops": 1.8,
    "pose_flow": 0.3,
    "flow": 25.8,
    "depth_flow": 21.7,
    "hha": 6.2,
    "heatmaps": 0.9,
}
"""Of the demo's clips, with the start of a job: keypoints by MediaPipe, the rest `corrected`."""

BYTES_A_FRAME = {
    "verify": 12.0,
    "keypoints": 992.0,
    "frames": 11343.0,
    "hand_crops": 18821.0,
    "depth_hand_crops": 8517.0,
    "pose_flow": 353.0,
    "flow": 4459.0,
    "depth_flow": 3779.0,
    "hha": 11938.0,
}

BYTES_A_CLIP = {"heatmaps": 41500.0}
"""Features that have as many frames whatever the video has."""

DIS_MS_A_FRAME = 6.3
PUBLISHED_FLOW_MS_A_FRAME = 684.8 * 4
"""Of `working_px` 512: measured on a quarter of the pixels."""
PUBLISHED_HHA_MS_A_FRAME = 38.6

PUBLISHED_BYTES = {
    "frames": 1.41,
    "hand_crops": 1.42,
    "flow": 1.38,
    "depth_flow": 1.38,
    "hha": 0.96,
}
"""How much more `published` takes, JPEG of quality 95."""

IMPORTED_MS = 1.0
NETWORK_MS = {"cpu": 4000.0, "gpu": 100.0}
"""ASSUME: a frame's keypoints by other estimators than MediaPipe."""

START_SECONDS = 2.0
"""Of a job with a model: a prediction of 16 clips of the demo takes it."""

JOB_SECONDS, JOB_MS_A_SAMPLE = 1.0, 1.0
"""ASSUME: of what gathers, evaluates or weighs: a start, and ms a sample of the table."""

CPU_GFLOPS = {"slgcn": 22.0, "sstcn": 27.0, "r2plus1d": 14.0, "vtn": 13.0}
"""Of a training on one core, with loading and validation, by the demo's trainings."""

GPU_GFLOPS = 30000.0
"""ASSUME: one current GPU in bf16; not measured."""

BYTES_A_LOGIT = 4.2
"""float32, and the share of a sample's name."""


def file_bytes(name: str, clips: int, frames: float, features: FeatureSettings) -> float:
    """Bytes of the file of a feature, or of a verify table."""
    if name in BYTES_A_CLIP:
        return clips * BYTES_A_CLIP[name]
    settings = getattr(features, name, None)
    published = getattr(settings, "fidelity", "corrected") == "published"
    return frames * BYTES_A_FRAME[name] * (PUBLISHED_BYTES.get(name, 1.0) if published else 1.0)


def ms_a_frame(rule: str, features: FeatureSettings, *, gpu: bool) -> tuple[float, bool]:
    """Milliseconds a frame of a rule that works on shards, and whether they were measured."""
    settings = getattr(features, rule, None)
    if rule == "keypoints" and features.keypoints.estimator != "mediapipe":
        imported = features.keypoints.estimator == "imported"
        return IMPORTED_MS if imported else NETWORK_MS["gpu" if gpu else "cpu"], False
    if isinstance(settings, FlowSettings):
        if settings.fidelity == "published":
            return PUBLISHED_FLOW_MS_A_FRAME * (settings.working_px / 512) ** 2, True
        if settings.method == "dis":
            return DIS_MS_A_FRAME, True
    if rule == "hha" and features.hha.fidelity == "published":
        return PUBLISHED_HHA_MS_A_FRAME, True
    return MS_A_FRAME[rule], True


def forward_gflop(settings: TrainedStream) -> float:
    """Floating-point operations of one item, 10^9, fitted to torch's count (within a quarter)."""
    match settings:
        case SlgcnSettings():
            width = settings.width
            return (1.458e-3 * width**2 + 5.4e-3 * width) * settings.window / 100
        case SstcnSettings():
            width, share = settings.width, settings.frames / 60
            return 5.18e-6 * width**2 + 0.02053 * width * share + 4.09 * share * sqrt(share)
        case R2plus1dSettings():
            scale = (settings.width / 64) ** 2 * (settings.size / 128) ** 2
            return 212.0 * scale * settings.frames / 32
        case VtnSettings():
            crop = {"resnet18": 3.62, "resnet34": 7.33}[settings.backbone]
            crop *= (settings.backbone_width / 64) ** 2 * (settings.size / 224) ** 2
            block = 14e-9 * settings.width**2
            crops = 4 if settings.depth else 2
            return settings.frames * (crops * crop + settings.layers * block)
        case _:
            assert_never(settings)


def parameters(settings: TrainedStream) -> float:
    """Weights of a model, fitted to those of AUTSL's recipes (within a quarter)."""
    match settings:
        case SlgcnSettings():
            return 819 * settings.width**2 + 2090 * settings.width + 350e3
        case SstcnSettings():
            width, share = settings.width, settings.frames / 60
            return 4.5 * width**2 + 18139 * width * share + 3.92e6 * share * sqrt(share)
        case R2plus1dSettings():
            return 31.4e6 * (settings.width / 64) ** 2
        case VtnSettings():
            backbone = {"resnet18": 12.1e6, "resnet34": 22.2e6}[settings.backbone]
            backbone *= (settings.backbone_width / 64) ** 2
            return backbone + 7.2 * settings.width**2 * settings.layers
        case _:
            assert_never(settings)
