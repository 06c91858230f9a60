"""The page beside an ONNX file: its code computes the same inputs as the pipeline."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from slr_pipeline.cli.onnx.readme import readme
from slr_pipeline.config.experiment import check_stream
from slr_pipeline.config.features import FeatureSettings, HeatmapsSettings
from slr_pipeline.config.streams import TrainedStream, test_views
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FeatureStore, open_features
from slr_pipeline.schema import FEATURES
from slr_pipeline.training.streams import build_dataset
from tests.feature_files import write_feature

test_views.__test__ = False  # type: ignore[attr-defined]

WIDTH, HEIGHT = 320, 240
FRAMES = {"short": 5, "middle": 40, "long": 170}
SLGCN = {"model": "slgcn"}
CLIP = {"model": "r2plus1d", "frames": 8, "size": 32}
VTN = {"model": "vtn", "frames": 6}

STREAMS: list[dict[str, Any]] = [
    *(
        {**SLGCN, "representation": kind, "fidelity": fidelity}
        for kind in ("joint", "bone", "joint_motion", "bone_motion")
        for fidelity in ("published", "corrected")
    ),
    {**SLGCN, "frames": 50, "window": 30, "trim": True, "stretch": True},
    {"model": "landmark"},
    {"model": "landmark", "representation": "motion", "frames": 20, "trim": False},
    {"model": "sstcn", "frames": 6},
    *(
        {**CLIP, "feature": feature, "fidelity": fidelity, "test_clips": clips}
        for feature, clips in (("frames", 3), ("flow", 1))
        for fidelity in ("published", "corrected")
    ),
    {**CLIP, "feature": "flow", "size": 128, "test_clips": 2},
    {**CLIP, "feature": "hha", "test_clips": 2},
    *(
        {**VTN, "fidelity": fidelity, "size": size, "depth": depth}
        for fidelity, size in (("published", 64), ("corrected", 64), ("corrected", 224))
        for depth in (False, True)
    ),
    {**VTN, "size": 160},
    {**VTN, "size": 240, "stride": 1},
]


def page_of(
    settings: TrainedStream, features: FeatureSettings, drawn: HeatmapsSettings | None = None
) -> str:
    return readme(
        "x",
        settings,
        features,
        drawn or features.heatmaps,
        sidecar={"classes": ["a", "b*"], "protocol": "strict"},
        estimator="mediapipe",
        tracks={},
        facts={"weights": "x.safetensors"},
    )


def code_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FeatureStore]:
    """Random features with missing keypoints, a hand that never appears, and missing hand boxes."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    for feature, schema in FEATURES.items():
        clips = []
        for name, T in FRAMES.items():
            frames = schema.frames or T
            values = rng.uniform(0, 255, (frames, *schema.shape)).astype(schema.dtype)
            if schema.pictures:
                # Few edges: there, decoding at half the size is not quite an average.
                for axis in (axis for axis, side in enumerate(values.shape) if side == 256):
                    values = values.take(np.arange(256) // 32 * 32, axis)
            if feature == "keypoints":
                values[..., 2] = rng.uniform(0.1, 1, values.shape[:-1])
                values[rng.random(values.shape[:-1]) < 0.2] = 0
                values[:4, 91:] = 0  # no hands at the start
                values[:, 112:] = 0  # never a right hand
            boxes = np.tile(np.int32([0, 0, 99, 99]), (frames, schema.boxes, 1))
            boxes[rng.random(boxes.shape[:2]) < 0.3] = (0, 0, WIDTH, HEIGHT)
            counts = dict.fromkeys(schema.counts, 0)
            clips.append(NewClip(name, values, WIDTH, HEIGHT, 25.0, boxes=boxes, counts=counts))
        write_feature(folder / f"{feature}.h5", feature, clips, {}, {"settings": {}})
    return dict(open_features(sorted(folder.iterdir())))


def arguments(
    settings: TrainedStream, stores: dict[str, FeatureStore], name: str, view: int
) -> list[NDArray[Any] | int]:
    """The arguments of the page's `model_inputs`."""
    match settings.model:
        case "slgcn" | "landmark":
            return [stores["keypoints"].read(name).values]
        case "sstcn":
            return [stores["heatmaps"].read(name).values]
        case "r2plus1d":
            pictures = stores[settings.feature].read(name, decode=False).values
            if settings.fidelity == "corrected":  # as the pipeline reads pictures that shrink
                pictures = pictures.without_chroma_interpolation()
            pictures = pictures.decoded().reshape(len(pictures), *FEATURES[settings.feature].shape)
            return [pictures, view] if settings.test_clips > 1 else [pictures]
    crops = stores["hand_crops"].read(name)
    given = [crops.values, stores["pose_flow"].read(name).values]
    if settings.depth:
        given.append(stores["depth_hand_crops"].read(name).values)
    if settings.fidelity == "published":
        given.append((crops.boxes == (0, 0, WIDTH, HEIGHT)).all(axis=-1))
    return given


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: "-".join(map(str, stream.values())))
def test_the_code_of_the_page_computes_the_inputs(
    stream: dict[str, Any], stores: dict[str, FeatureStore]
) -> None:
    settings = check_stream(stream)
    views = test_views(settings)
    samples = [(name, 0) for name in FRAMES]
    items = build_dataset(settings, stores, samples, train=False, seed=0, views=views)
    halved = settings.fidelity == "corrected" and stream.get("size", 128) <= 64
    namespace: dict[str, Any] = {}
    exec(code_of(page_of(settings, FeatureSettings()))[0], namespace)
    for index, name in enumerate(name for name in FRAMES for _ in views):
        given = arguments(settings, stores, name, index % len(views))
        inputs = items.prepare([part[None] for part in items[index][0]], torch.device("cpu"))
        for array, (expected,) in zip(namespace["model_inputs"](*given), inputs, strict=True):
            assert array.dtype == np.float32
            assert array.shape == tuple(expected.shape)
            # Skeletons are in pixels; a picture that differs by one level differs by 0.008.
            if halved and array.ndim > 2:
                assert np.abs(array - expected.numpy()).mean() < 0.04
                continue
            np.testing.assert_allclose(array, expected.numpy(), rtol=1e-6, atol=1e-4)


PUBLISHED = {"fidelity": "published"}
SMOOTHING = {"min_cutoff_hz": 1.5, "beta": 0.25, "speed_cutoff_hz": 1.25}
CAMERA = {"fx": 501.5, "fy": 502.5, "cx": 250.5, "cy": 251.5}


@pytest.mark.parametrize(
    ("stream", "features", "fact"),
    [
        (
            SLGCN,
            {"keypoints": {"estimator": "mediapipe", "smoothing": SMOOTHING}},
            "min_cutoff_hz 1.5",
        ),
        ({**CLIP, "feature": "frames"}, {"frames": PUBLISHED}, "c - (20, 20)"),
        ({**CLIP, "feature": "frames"}, {}, "weighted by score"),
        ({**CLIP, "feature": "flow"}, {"flow": {**PUBLISHED, "bound_px": 15}}, "(v + 15) / 30)"),
        ({**CLIP, "feature": "flow"}, {"flow": {"method": "dis"}}, "(DIS,"),
        ({**CLIP, "feature": "depth_flow"}, {}, "every frame of the depth video"),
        ({**CLIP, "feature": "hha"}, {"hha": {"camera": CAMERA}}, "fx 501.5, fy 502.5"),
        ({**CLIP, "feature": "hha"}, {"hha": {**PUBLISHED, "height_rule": "floor"}}, "`floor`"),
        ({"model": "sstcn"}, {"heatmaps": {"sigma": 2}}, "exp(-d^2 / 8)"),
        (
            {"model": "sstcn", "test_mirror": True, "test_speeds": [0.85, 1]},
            {},
            "means over more views of it: also mirrored; at 0.85, 1 times its speed.",
        ),
        ({"model": "sstcn", "test_mirror": True}, {}, "more views of it: also mirrored."),
        ({"model": "sstcn"}, {"heatmaps": PUBLISHED}, "stretched to the grid"),
        (VTN, {}, "the side is 1.3 times"),
        (
            {**VTN, **PUBLISHED, "depth": True},
            dict.fromkeys(("hand_crops", "depth_hand_crops", "pose_flow"), PUBLISHED),
            "the side is 1.2 times",
        ),
    ],
)
def test_the_page_shows_the_settings_of_the_features(
    stream: dict[str, Any], features: dict[str, Any], fact: str
) -> None:
    settings = check_stream(stream)
    page = page_of(settings, FeatureSettings.model_validate(features))
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    assert fact in prose
    assert not re.search(r"None|\{|<built-in|<module|\bnan\b", prose)


def test_heatmaps_of_a_network() -> None:
    drawn = HeatmapsSettings(source="network")
    page = page_of(check_stream({"model": "sstcn"}), FeatureSettings(), drawn)
    assert "Take the network's heat-maps of 96 x 96 cells" in page
