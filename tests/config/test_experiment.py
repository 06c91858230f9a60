"""Wrong configurations give one line each that names the key and what is known there."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from slr_pipeline.config.experiment import Config, Section, check_config, read_config
from slr_pipeline.config.flags import parse_data, parse_keypoints, parse_section
from slr_pipeline.errors import ConfigError

ROOT = Path(__file__).parents[2]
HRNET = {"estimator": "mmpose", "config": "td-hm_hrnet-w48", "checkpoint": {"path": "x.pth"}}


@pytest.fixture
def demo() -> dict[str, Any]:
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    return json.loads(json.dumps(values))  # streams that share a recipe in YAML get one each


def changed(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at a dotted path replaced."""
    result = copy.deepcopy(values)
    *sections, key = path.split(".")
    here = result
    for section in sections:
        here = here[section]
    here[key] = value
    return result


@pytest.mark.parametrize("path", sorted([ROOT / "config.yaml", *ROOT.glob("config/*.yaml")]))
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert isinstance(read_config(str(path)), Config)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("data.rooot", "x", "config: data.rooot: unknown key (known: classes, depth, labels, layo"),
        ("stream", {}, "config: stream: unknown key (known: data, device, features, fidelity, "),
        (
            "streams.joint.training.epoch",
            3,
            "config: streams.joint.training.epoch: unknown key (known: batch_size, chance_epo",
        ),
        (
            "streams.joint.training.epochs",
            0,
            "config: streams.joint.training.epochs: 0 needs weights; set init",
        ),
        ("streams.joint.training.epochs", -1, "config: streams.joint.training.epochs: input sho"),
        (
            "streams.joint.model",
            "gcn",
            "config: streams.joint.model: expected one of slgcn, sstcn, r2plus1d, vtn",
        ),
        ("streams.joint", {"width": 16}, "config: streams.joint.model: expected one of slgcn, "),
        ("streams.joint", {"model": "vtn", "width": 30}, "config: streams.joint: width 30 is not"),
        ("streams.joint", {"model": "r2plus1d"}, "config: streams.joint.feature: missing, a val"),
        (
            "streams.joint",
            {"model": "r2plus1d", "feature": "hha"},
            "config: tracks.rgb.streams.joint: it reads hha, and track rgb allows no feature from",
        ),
        (
            "streams.joint.init",
            {"path": "x", "sha256": "00"},
            "config: streams.joint.init.sha256: string should match pattern",
        ),
        ("streams.joint.init", {}, "config: streams.joint.init.path: missing"),
        ("streams.joint.window", 151, "config: streams.joint: window 151 is longer than frames"),
        (
            "tracks.rgb.streams",
            {"joint": 1, "bones": 1},
            "config: tracks.rgb.streams.bones: no such stream (known: bone, bone_motion, ",
        ),
        ("tracks.rgb.streams", {"joint": -1}, "config: tracks.rgb.streams.joint: input should be"),
        ("tracks.rgb.streams", {"joint": float("nan")}, "config: tracks.rgb.streams.joint: input"),
        (
            "tracks.rgb.streams",
            {"joint": None, "bone": 1.0},
            "config: tracks.rgb: give the weight of each stream or of none; without: ['joint']",
        ),
        (
            "tracks.rgb",
            {"fusion": "published", "streams": {"joint": None}},
            "config: tracks.rgb: fusion published needs the weight of each stream, not of ['joint",
        ),
        (
            "tracks.rgb",
            {"streams": {"joint": 1.0}, "untuned": {"joint": 1.0}},
            "config: tracks.rgb: untuned: fusion calibrated does not use streams before fine-tun",
        ),
        (
            "tracks.rgb",
            {"fusion": "published", "streams": {"joint": 1.0}, "untuned": {"joint": 1.0}},
            "config: tracks.rgb.untuned: protocol strict does not fine-tune; set protocol challeng",
        ),
        ("folds", 1, "config: folds: input should be greater than or equal to 2, found 1"),
        ("tracks", {}, "config: tracks: dictionary should have at least 1 item"),
        ("data.layout", "wlasl", "config: data.layout: expected one of autsl, table"),
        ("data.root", None, "config: data.root: input should be a valid string, found None"),
        (
            "features.keypoints.estimator",
            "openpoze",
            "config: features.keypoints.estimator: expected one of mediapipe, openpose",
        ),
        (
            "features.keypoints",
            {"estimator": "mmpose", "config": "rtmw"},
            "config: features.keypoints.checkpoint: missing, a value is required",
        ),
        (
            "features.keypoints",
            {"estimator": "onnx", "model": {"path": "x.onnx"}, "batch_size": 0},
            "config: features.keypoints.batch_size: input should be greater than or equal to 1",
        ),
        (
            "features.keypoints",
            {**HRNET, "fidelity": "published", "flip_average": False},
            "config: features.keypoints: fidelity published needs flip_average: true and detector",
        ),
        (
            "features.heatmaps",
            {"source": "network"},
            "config: features: heatmaps.source: network needs keypoints of estimator mmpose, found "
            "mediapipe; set source drawn",
        ),
        (
            "features",
            {"keypoints": {**HRNET, "config": "rtmw-m"}, "heatmaps": {"source": "network"}},
            "config: features: heatmaps.source: network needs a config with heat-maps, and rtmw-m ",
        ),
        (
            "features",
            {"keypoints": {**HRNET, "fidelity": "published"}, "heatmaps": {"source": "network"}},
            "config: features: heatmaps.fidelity: corrected maps need corrected keypoints",
        ),
        (
            "features",
            {"keypoints": HRNET, "heatmaps": {"source": "network", "stored": False}},
            "config: features.heatmaps: source network: training cannot compute these maps",
        ),
        (
            "features.heatmaps",
            {"checkpoint": {"path": "x.pth"}},
            "config: features.heatmaps: checkpoint: only source network with fidelity published",
        ),
        (
            "features.flow",
            {"fidelity": "published", "method": "dis"},
            "config: features.flow: fidelity published needs method tvl1, found dis",
        ),
        ("features.flow", {"bound_px": 0}, "config: features.flow.bound_px: input should be gr"),
        (
            "features.hha.camera",
            {"fx": 1, "fy": 1, "cx": 0},
            "config: features.hha.camera.cy: missing, a value is required",
        ),
        ("features.hha.camera.fz", 1, "config: features.hha.camera.fz: unknown key (known: cx, c"),
        ("device", "gpu", "config: device: string should match pattern"),
        ("name", "../x", "config: name: string should match pattern"),
        ("verify", {"max_quarantined": 2}, "config: verify.max_quarantined: input should be less"),
    ],
)
def test_a_wrong_value_gives_one_line(
    demo: dict[str, Any], path: str, value: Any, line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(changed(demo, path, value))
    message = str(caught.value)
    assert message.startswith(line)
    assert len(message.splitlines()) == 1


def test_folds_need_streams_that_were_not_trained_elsewhere(demo: dict[str, Any]) -> None:
    other = {"model": "imported", "reads": ["keypoints"], "val": "v.h5", "test": "t.h5"}
    values = changed(changed(demo, "folds", 2), "streams.joint", other)
    with pytest.raises(ConfigError, match=r"streams\.joint\.out_of_fold: missing, but folds is 2"):
        check_config(values)
    used = {**demo["streams"]["joint"], "init": {"path": "w"}, "training": {"epochs": 0}}
    values = changed(changed(demo, "folds", 2), "streams.joint", used)
    with pytest.raises(ConfigError, match=r"streams\.joint\.training\.epochs: 0 with folds 2"):
        check_config(values)


def test_every_wrong_key_is_listed(demo: dict[str, Any]) -> None:
    values = changed(changed(demo, "seed", -1), "streams.joint.width", "wide")
    with pytest.raises(ConfigError) as caught:
        check_config(values)
    keys = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert sorted(keys) == ["seed", "streams.joint.width"]


def test_a_missing_section_is_named(demo: dict[str, Any]) -> None:
    del demo["data"]
    with pytest.raises(ConfigError, match=r"^config: data: missing, a value is required$"):
        check_config(demo)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: [", "not a readable YAML file"),
        (b"\xff\xfe\x00", "not a readable YAML file"),
        (b"- 1", "expected keys and values, found list"),
        (b"x: !!python/object/apply:os.system ['true']", "not a readable YAML file"),
    ],
)
def test_an_unreadable_file_gives_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=line) as caught:
        read_config(str(path))
    assert len(str(caught.value).splitlines()) == 1


def test_a_section_survives_its_json_flag(demo: dict[str, Any]) -> None:
    config = check_config(demo)
    assert parse_section(Config, config.model_dump_json()) == config
    assert parse_data(config.data.model_dump_json()) == config.data
    with pytest.raises(ConfigError, match="not JSON"):
        parse_keypoints("{")


def test_every_key_has_a_description() -> None:
    def sections(cls: type[Section]) -> list[type[Section]]:
        return [cls, *(found for sub in cls.__subclasses__() for found in sections(sub))]

    missing = [
        f"{section.__name__}.{key}"
        for section in sections(Section)
        if section is not Section and not section.__name__.startswith("_")
        for key, field in section.model_fields.items()
        if not field.description
    ]
    assert missing == []
