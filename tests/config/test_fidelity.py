"""The top-level fidelity is inherited, and mixtures that do not fit are refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from slr_pipeline.config.experiment import check_config
from slr_pipeline.errors import ConfigError
from slr_pipeline.schema import FEATURES

ROOT = Path(__file__).parents[2]
PUBLISHED = {"fidelity": "published"}
STREAMS: dict[str, dict[str, Any]] = {
    "joint": {"model": "slgcn"},
    "sstcn": {"model": "sstcn"},
    "rgb": {"model": "r2plus1d", "feature": "frames"},
    "flow": {"model": "r2plus1d", "feature": "flow"},
    "hha": {"model": "r2plus1d", "feature": "hha"},
    "vtn": {"model": "vtn"},
    "vtn_d": {"model": "vtn", "depth": True},
    "other": {"model": "imported", "reads": ["keypoints"], "val": "v.h5", "test": "t.h5"},
}


def config(stream: str, changes: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "data": {"layout": "autsl", "root": "data"},
        "streams": {stream: {**STREAMS[stream], **(changes or {})}},
        "tracks": {"all": {"streams": {stream: 1.0}}},
        **top,
    }


def test_sections_inherit_the_fidelity_unless_they_set_their_own() -> None:
    mmpose = {"estimator": "mmpose", "config": "td-hm_x", "checkpoint": {"path": "x.pth"}}
    features = {"keypoints": mmpose, "frames": {"fidelity": "corrected"}, "heatmaps": {"sigma": 2}}
    found = check_config(config("joint", fidelity="published", features=features))
    fidelities = {name: section.fidelity for name, section in found.features}
    assert fidelities.pop("frames") == "corrected"
    assert set(fidelities.values()) == {"published"}
    assert found.streams["joint"].fidelity == "published"
    assert check_config(config("other", fidelity="published")).features.hha.fidelity == "published"
    assert check_config(config("joint", {"fidelity": "published"})).fidelity == "corrected"


def test_the_published_config_needs_one_line_for_what_every_section_says() -> None:
    values = yaml.safe_load((ROOT / "config" / "autsl_published.yaml").read_text())
    inherited = check_config(values)
    given = values["features"]
    values["features"] = {name: {**given.get(name, {}), **PUBLISHED} for name in FEATURES}
    values["streams"] = {name: {**given, **PUBLISHED} for name, given in values["streams"].items()}
    del values["fidelity"]
    explicit = check_config(values)
    assert explicit.features == inherited.features
    assert explicit.streams == inherited.streams


OWN = "config: streams.{}.fidelity: published on corrected {}: "


@pytest.mark.parametrize(
    ("stream", "fidelity", "published", "line"),
    [
        ("vtn", "published", (), OWN.format("vtn", "hand_crops") + "published crops show the wh"),
        ("vtn", "corrected", ("hand_crops",), "config: streams.vtn.fidelity: corrected on publis"),
        ("vtn_d", "corrected", ("depth_hand_crops",), "config: streams.vtn_d.fidelity: corrected"),
        ("vtn_d", "published", ("hand_crops",), OWN.format("vtn_d", "depth_hand_crops")),
        ("flow", "published", (), OWN.format("flow", "flow") + "a published stream fills borders"),
        ("sstcn", "published", (), OWN.format("sstcn", "heatmaps") + "a published stream expects"),
        ("joint", "published", (), None),
        ("rgb", "published", (), None),
        ("rgb", "corrected", ("frames",), None),
        ("hha", "published", (), None),
        ("flow", "corrected", ("flow",), None),
        ("sstcn", "corrected", ("heatmaps",), None),
        ("vtn", "published", ("hand_crops",), None),
        ("vtn", "corrected", ("pose_flow", "depth_hand_crops"), None),
    ],
)
def test_mixtures_that_do_not_fit_give_one_line(
    stream: str, fidelity: str, published: tuple[str, ...], line: str | None
) -> None:
    features = dict.fromkeys(published, PUBLISHED)
    values = config(stream, {"fidelity": fidelity}, features=features)
    if line is None:
        assert check_config(values).streams[stream].fidelity == fidelity
        return
    with pytest.raises(ConfigError) as caught:
        check_config(values)
    (message,) = str(caught.value).splitlines()
    assert message.startswith(line)
    assert message.endswith("; give both the same fidelity")
