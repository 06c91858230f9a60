"""The page beside an ONNX file: its input, the steps from a video, the fusion, its provenance."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from slr_pipeline import skeleton
from slr_pipeline.cli.onnx.graph import FACTOR, LEAST, MOST, OPSET
from slr_pipeline.cli.onnx.inputs import input_shapes
from slr_pipeline.config.features import FeatureSettings, HeatmapsSettings
from slr_pipeline.config.streams import TrainedStream, test_views
from slr_pipeline.data import clip_transform, hand_transform, landmark_transform, skeleton_transform
from slr_pipeline.features import frames, hand_crops, hand_gaps, heatmaps, imputing, landmarks
from slr_pipeline.io.jpeg import JPEG
from slr_pipeline.models import preparation
from slr_pipeline.training.streams import PICTURE_KINDS

MODELS = {
    "slgcn": "SL-GCN (Jiang et al., 2021, section 3.1)",
    "landmark": "LandmarkNet, one-dimensional convolutions and attention on landmarks",
    "sstcn": "SSTCN (Jiang et al., 2021, section 3.2)",
    "r2plus1d": "R(2+1)D-18 with SiLU (Tran et al., 2018; Jiang et al., 2021, section 3.3)",
    "vtn": "VTN-HC/PF (De Coster et al., 2021)",
}

CONSTANTS: dict[str, Any] = {
    "skeleton": skeleton,
    "transform": skeleton_transform,
    "clip": clip_transform,
    "hand_transform": hand_transform,
    "landmark_transform": landmark_transform,
    "landmarks": landmarks,
    "gaps": hand_gaps,
    "preparation": preparation,
    "frames": frames,
    "hand_crops": hand_crops,
    "maps": heatmaps,
    "imputing": imputing,
    "jpegs": JPEG,
    "kinds": PICTURE_KINDS,
    "pose_flow_points": [skeleton.BODY_135_FROM_133[k] for k in skeleton.POSE_FLOW_KEYPOINTS],
    "opset": OPSET,
    "factor": FACTOR,
    "least": LEAST,
    "most": MOST,
}
"""Modules and tables whose numbers the templates show, by their name in the templates."""


def readme(
    stream: str,
    settings: TrainedStream,
    features: FeatureSettings,
    drawn: HeatmapsSettings,
    *,
    sidecar: Mapping[str, Any],
    estimator: str,
    tracks: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, str],
) -> str:
    """Render the page of a stream as Markdown.

    `drawn` are the settings of the heat-maps and `estimator` is that of the keypoints the model was
    trained on; `sidecar` is that of the weights; `tracks` are fusion, weights, temperatures and
    threshold of the tracks with this stream; `facts` are the provenance of the ONNX file.
    """
    environment = Environment(
        loader=PackageLoader("slr_pipeline.cli.onnx"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["g"] = "{:g}".format
    environment.filters["escaped"] = _escaped
    environment.globals.update(CONSTANTS)
    return environment.get_template(f"{settings.model}.md").render(
        stream=stream,
        settings=settings,
        features=features,
        drawn=drawn,
        model=MODELS[settings.model],
        inputs=input_shapes(settings),
        views=test_views(settings)[0].clips,
        classes=sidecar["classes"],
        protocol=sidecar["protocol"],
        frame_rate=sidecar.get("frame_rate"),
        estimator=estimator,
        tracks=tracks,
        facts=facts,
    )


def _escaped(name: str) -> str:
    """Escape the Markdown characters of a class name."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|" else letter for letter in name)
