"""Constants of the forecast: measured in docs/RESULTS.md, or assumed where marked ASSUME.

Times are for one core of the machine named there and videos of 512 x 512.
"""

from itertools import chain
from math import sqrt
from typing import assert_never

from slr_pipeline.config.experiment import Config
from slr_pipeline.config.features import FeatureSettings, FlowSettings
from slr_pipeline.config.streams import (
    ImportedSettings,
    LandmarkSettings,
    R2plus1dSettings,
    SlgcnSettings,
    SstcnSettings,
    TrainedStream,
    VtnSettings,
)

CLIP_FRAMES = 60.0
"""ASSUME: frames per clip if no video is available; the mean of AUTSL."""

FRAME_COSTS = {
    "verify": (1.0, 12.0, 1.0),
    "keypoints": (35.0, 992.0, 1.0),
    "frames": (2.2, 11343.0, 1.41),
    "hand_crops": (2.6, 18821.0, 1.42),
    "depth_hand_crops": (2.0, 8517.0, 1.0),
    "pose_flow": (0.4, 353.0, 1.0),
    "flow": (17.8, 4459.0, 1.38),
    "depth_flow": (16.0, 3779.0, 1.38),
    "hha": (6.4, 11938.0, 0.96),
    "heatmaps": (1.3, 0.0, 1.0),
}
"""Per frame of the demo: ms of CPU time without the start of the job (`benchmarks.rates`), bytes,
and the size of `published` relative to `corrected`, due to JPEG quality 95. Keypoints by MediaPipe,
the rest `corrected`."""

STARTS = {**dict.fromkeys(FRAME_COSTS, 0.8), "verify": 1.4, "keypoints": 1.6}
"""Seconds of CPU time of a job without a frame (`benchmarks.rates`)."""

HEATMAP_BYTES_PER_CLIP = 41500.0
"""Heat-maps have a fixed number of frames per clip."""

DIS_MS_PER_FRAME = 6.3
PUBLISHED_FLOW_MS_PER_FRAME = 684.8 * 4
"""For `working_px` 512; measured on a quarter of the pixels."""
PUBLISHED_HHA_MS_PER_FRAME = 38.6

TASKS_MS = 47.0
"""Keypoints of a frame by `mediapipe_tasks`: 1.34 of the CPU time of `mediapipe` beside it."""

IMPORTED_MS = 1.0
NETWORK_MS = {"cpu": 4000.0, "gpu": 100.0}
"""ASSUME: keypoints of a frame by estimators other than MediaPipe."""

START_SECONDS = 3.0
"""Start of a job with a model: 2.5 s of CPU time of a prediction, 4 of a training."""

JOB_SECONDS, JOB_MS_PER_SAMPLE = 1.0, 1.0
"""All other jobs: their start, and ms per sample of the table (ASSUME)."""

CPU_GFLOPS = {"slgcn": 19.0, "landmark": 10.0, "sstcn": 31.0, "r2plus1d": 24.0, "vtn": 14.0}
"""Training on one core including loading and validation, from the demo."""

GPU_GFLOPS = {
    "slgcn": 30000.0,
    "landmark": 30000.0,
    "sstcn": 30000.0,
    "r2plus1d": 30000.0,
    "vtn": 30000.0,
}
"""ASSUME: one current GPU in bf16; `make test-gpu` measures it."""

BYTES_PER_LOGIT = 4.2
"""float32, and a share of the sample name."""


def file_bytes(name: str, clips: int, frames: float, features: FeatureSettings) -> float:
    """Bytes of a feature file or verify table."""
    if name == "heatmaps":
        return clips * HEATMAP_BYTES_PER_CLIP
    settings = getattr(features, name, None)
    published = getattr(settings, "fidelity", "corrected") == "published"
    _, size, published_ratio = FRAME_COSTS[name]
    return frames * size * (published_ratio if published else 1.0)


def ms_per_frame(rule: str, features: FeatureSettings, *, gpu: bool) -> tuple[float, bool]:
    """Milliseconds per frame of a rule that works on shards, and whether they are measured."""
    settings = getattr(features, rule, None)
    if rule == "keypoints":
        match features.keypoints.estimator:
            case "mediapipe":
                return FRAME_COSTS[rule][0], True
            case "mediapipe_tasks":
                return TASKS_MS, True
            case "imported":
                return IMPORTED_MS, False
            case _:
                return NETWORK_MS["gpu" if gpu else "cpu"], False
    if isinstance(settings, FlowSettings):
        if settings.fidelity == "published":
            return PUBLISHED_FLOW_MS_PER_FRAME * (settings.working_px / 512) ** 2, True
        if settings.method == "dis":
            return DIS_MS_PER_FRAME, True
    if rule == "hha" and features.hha.fidelity == "published":
        return PUBLISHED_HHA_MS_PER_FRAME, True
    return FRAME_COSTS[rule][0], True


def forward_gflop(settings: TrainedStream) -> float:
    """10^9 floating-point operations of a forward pass, fitted to AUTSL's recipes (within 2 %)."""
    match settings:
        case SlgcnSettings():
            width = settings.width
            return (1.458e-3 * width**2 + 5.4e-3 * width) * settings.window / 100
        case LandmarkSettings():
            width, blocks = settings.width, settings.blocks
            per_frame = (20 * blocks + 2) * width**2 + (198 * blocks + 383) * width
            return 2e-9 * per_frame * settings.frames
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


def training_order(config: Config) -> list[list[str]]:
    """The streams with a model by track, each in the first track that has it, the rest at the end.

    In a track the longest training is first, so that it is not the last to end beside free cores.
    """
    trained = [name for name, own in config.streams.items() if own.model != "imported"]
    tracks = [{*track.streams, *track.untuned} for track in config.tracks.values()]

    def seconds(name: str) -> float:
        """CPU time per clip of train."""
        settings = config.streams[name]
        assert not isinstance(settings, ImportedSettings)
        gflop = 3 * settings.training.epochs * forward_gflop(settings)  # forward and backward
        return gflop / CPU_GFLOPS[settings.model]

    order: list[list[str]] = []
    for track in (*tracks, set(trained)):
        earlier = set(chain.from_iterable(order))
        own = [name for name in trained if name in track - earlier]
        order.append(sorted(own, key=seconds, reverse=True))
    return order


def parameters(settings: TrainedStream) -> float:
    """Number of weights of a model, fitted to AUTSL's recipes (within 2 %)."""
    match settings:
        case SlgcnSettings():
            return 819 * settings.width**2 + 2090 * settings.width + 350e3
        case LandmarkSettings():
            width, blocks = settings.width, settings.blocks
            return (20 * blocks + 2) * width**2 + (127 * blocks + 835) * width
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
