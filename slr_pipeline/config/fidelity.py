"""The fidelity of an experiment: which sections inherit it, and which mixtures are refused."""

from typing import Any, get_args

from slr_pipeline.config.features import FeatureSettings
from slr_pipeline.config.streams import (
    ImportedSettings,
    R2plus1dSettings,
    SstcnSettings,
    StreamSettings,
    TrainedStream,
    VtnSettings,
)
from slr_pipeline.schema import Fidelity

_HANDS = (
    "published crops show the whole frame where a hand is missing and only a published stream "
    "repairs that; in corrected crops a missing hand never appears"
)
_FLOW = (
    "a published stream fills borders with the fastest movement, and its weights expect pixels of "
    "the whole frame; corrected flow is at rest there and in pixels of the crop"
)
_HEATMAPS = "a published stream expects the released choice of frames and stretched maps"


def inherit_fidelity(values: dict[str, Any]) -> dict[str, Any]:
    """A copy of a config's values where sections without `fidelity` have the top-level one.

    Sections are those under `features` (of the estimators, `mmpose` alone has a fidelity) and the
    streams with a model. Wrong values stay as they are for the checks that follow.
    """
    fidelity = values.get("fidelity", "corrected")
    features, streams = values.get("features", {}), values.get("streams")
    if fidelity not in get_args(Fidelity):
        return values
    values = dict(values)
    if isinstance(features, dict):
        defaults: dict[str, Any] = {
            name: {} for name in FeatureSettings.model_fields if name != "keypoints"
        }
        values["features"] = {
            name: _inherited(section, fidelity)
            if name != "keypoints" or _choice(section, "estimator") == "mmpose"
            else section
            for name, section in {**defaults, **features}.items()
        }
    if isinstance(streams, dict):
        values["streams"] = {
            name: section
            if _choice(section, "model") == "imported"
            else _inherited(section, fidelity)
            for name, section in streams.items()
        }
    return values


def _inherited(section: Any, fidelity: str) -> Any:
    return {"fidelity": fidelity, **section} if isinstance(section, dict) else section


def _choice(section: Any, key: str) -> Any:
    return section.get(key) if isinstance(section, dict) else None


def mixture_problem(stream: StreamSettings, features: FeatureSettings) -> str | None:
    """Why a stream and a feature that it reads do not fit by their fidelity; None if they do.

    VTN-HC/PF needs hand crops of its own fidelity; `published` R(2+1)D needs `published` flow and
    `published` SSTCN `published` heat-maps. `FeatureSettings` refuses `corrected` network heat-maps
    of `published` keypoints. Every other mixture is allowed, because the values mean the same:

    - SL-GCN on any keypoints: pixels of the frame as filmed, never mirrored.
    - R(2+1)D on `frames` or `hha`: the authors' weights on videos that are not 512 x 512 need
      corrected crops.
    - `corrected` R(2+1)D on `published` flow: the same bytes, at rest 128.
    - `corrected` SSTCN on `published` heat-maps, to train on maps that exist.
    - VTN-HC/PF on either `pose_flow`: steps of the same points, one frame apart, to compare both.
    """
    if isinstance(stream, ImportedSettings):
        return None
    for feature, reason in _sensitive(stream).items():
        own, other = stream.fidelity, getattr(features, feature).fidelity
        if own != other and (own == "published" or isinstance(stream, VtnSettings)):
            return f"{own} on {other} {feature}: {reason}; give both the same fidelity"
    return None


def _sensitive(stream: TrainedStream) -> dict[str, str]:
    """The features whose fidelity matters to a stream, each with the reason."""
    match stream:
        case VtnSettings():
            depth = {"depth_hand_crops": _HANDS} if stream.depth else {}
            return {"hand_crops": _HANDS, **depth}
        case R2plus1dSettings(feature="flow" | "depth_flow"):
            return {stream.feature: _FLOW}
        case SstcnSettings():
            return {"heatmaps": _HEATMAPS}
        case _:
            return {}
