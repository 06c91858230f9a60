"""Wrong configurations give one line each that names the key and what is expected there."""

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from slr_pipeline.config.estimators import KeypointsSettings
from slr_pipeline.config.experiment import Config, DataSettings, check_config, read_config
from slr_pipeline.config.flags import parse_setting
from slr_pipeline.errors import ConfigError
from slr_pipeline.io.documents import read_run_config
from slr_pipeline.steps.config import config as write_config

ROOT = Path(__file__).parents[2]
HRNET = {"estimator": "mmpose", "config": "td-hm_hrnet-w48", "checkpoint": {"path": "x.pth"}}
PUBLISHED_HRNET = {**HRNET, "fidelity": "published"}
NETWORK = {"source": "network"}
RTMW = {"keypoints": {**HRNET, "config": "rtmw-m"}, "heatmaps": NETWORK}
MIXED = {"keypoints": PUBLISHED_HRNET, "heatmaps": NETWORK}
DIS = {"fidelity": "published", "method": "dis"}
IMPORTED = {"model": "imported", "reads": ["keypoints"], "val": "v.h5", "test": "t.h5"}


@pytest.fixture
def demo() -> dict[str, Any]:
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    return json.loads(json.dumps(values))  # streams that share a recipe in YAML get one each


def changed(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at a dotted path replaced."""
    result = copy.deepcopy(values)
    *sections, key = path.split(".")
    section = result
    for name in sections:
        section = section[name]
    section[key] = value
    return result


@pytest.mark.parametrize("path", sorted([ROOT / "config.yaml", *ROOT.glob("config/*.yaml")]))
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert isinstance(read_config(str(path)), Config)


K, H, J, R = "features.keypoints", "features.heatmaps", "streams.joint", "tracks.rgb"
UNWEIGHTED = {"fusion": "published", "streams": {"joint": None}}
UNTUNED = {"streams": {"joint": 1.0}, "untuned": {"joint": 1.0}}


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        # Unknown keys.
        (
            "data.rooot",
            "x",
            "data.rooot: unknown key (known: classes, depth, duplicates, labels, layout,",
        ),
        ("stream", {}, "stream: unknown key (known: data, device, features, fidelity, folds, ke"),
        (f"{J}.training.epoch", 3, f"{J}.training.epoch: unknown key (known: batch_size, chance_"),
        # Types and limits.
        (f"{J}.training.epochs", -1, f"{J}.training.epochs: input should be greater than or"),
        ("data.root", None, "data.root: input should be a valid string, found None"),
        (f"{J}.init", {}, f"{J}.init.path: missing, a value is required"),
        (f"{J}.init", {"path": "x", "sha256": "0"}, f"{J}.init.sha256: string should match pat"),
        (f"{R}.streams", {"joint": float("nan")}, f"{R}.streams.joint: input should be a finite"),
        ("folds", 1, "folds: input should be greater than or equal to 2, found 1"),
        ("tracks", {}, "tracks: dictionary should have at least 1 item"),
        ("features.hha.camera", {"fx": 1, "fy": 1, "cx": 0}, "features.hha.camera.cy: missing, a"),
        ("device", "gpu", "device: string should match pattern"),
        ("fidelity", ["published"], "fidelity: input should be "),
        ("name", "../x", "name: string should match pattern"),
        ("verify", {"max_quarantined": 2}, "verify.max_quarantined: input should be less than"),
        # Choices of a union.
        (f"{J}.model", "gcn", f"{J}.model: expected one of slgcn, landmark, sstcn, r2plus1d, vtn"),
        (J, {"width": 16}, f"{J}.model: expected one of slgcn, landmark, sstcn, r2plus1d, vtn"),
        ("data.layout", "wlasl", "data.layout: expected one of autsl, table"),
        (f"{K}.estimator", "openpoze", f"{K}.estimator: expected one of mediapipe, mediapipe_ta"),
        # Values that contradict each other.
        (f"{J}.training.epochs", 0, f"{J}.training.epochs: 0 needs weights; set init"),
        (J, {"model": "vtn", "width": 30}, f"{J}: width 30 is not a multiple of heads 8"),
        (
            f"{J}.training.milestones",
            [3],
            f"{J}.training: schedule cosine has no milestones and plateau_patience; leave them out",
        ),
        (f"{J}.training", {"mixup": 1, "micro_batch": 1}, f"{J}.training: mixup needs a micro_b"),
        (
            J,
            {"model": "slgcn", "init": {"path": "w"}, "training": {"epochs": 0}, "seeds": 2},
            f"{J}.seeds: 2 models would be equal, because nothing is trained (epochs 0); leave",
        ),
        (f"{J}.test_speeds", [], f"{J}.test_speeds: list should have at least 1 item"),
        (f"{J}.test_speeds", [1, 3], f"{J}.test_speeds.1: input should be less than or equal to 2"),
        (f"{J}.window", 151, f"{J}: window 151 is longer than frames"),
        (J, {"model": "r2plus1d", "feature": "hha"}, f"{R}.streams.joint: it reads hha, and track"),
        (f"{R}.streams", {"joint": 1, "b": 1}, f"{R}.streams.b: no such stream (known: bone, bone"),
        (f"{R}.streams", {"joint": None, "bone": 1.0}, f"{R}: give the weight of each stream or o"),
        (R, UNWEIGHTED, f"{R}: fusion published needs the weight of each stream, not of ['joint']"),
        (R, UNTUNED, f"{R}: untuned: fusion calibrated does not use streams before fine-tuning"),
        (R, {"fusion": "published", **UNTUNED}, f"{R}.untuned: protocol strict does not fine-tune"),
        (K, {**PUBLISHED_HRNET, "flip_average": False}, f"{K}: fidelity published needs flip_av"),
        (H, NETWORK, "features: heatmaps.source: network needs keypoints of estimator mmpose"),
        ("features", RTMW, "features: heatmaps.source: network needs a config with heat-maps, and"),
        ("features", MIXED, "features: heatmaps.fidelity: corrected maps need corrected keypoints"),
        (H, {**NETWORK, "stored": False}, f"{H}: source network: training cannot compute these"),
        (H, {"checkpoint": {"path": "x"}}, f"{H}: checkpoint: only source network with fidelity p"),
        ("features.flow", DIS, "features.flow: fidelity published needs method tvl1, found dis"),
    ],
)
def test_a_wrong_value_gives_one_line(
    demo: dict[str, Any], path: str, value: Any, line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(changed(demo, path, value))
    (message,) = str(caught.value).splitlines()
    assert message.startswith(f"config: {line}")


@pytest.mark.parametrize(
    ("stream", "line"),
    [
        (IMPORTED, r"streams\.joint\.out_of_fold: missing, but folds is 2"),
        (
            {"model": "slgcn", "init": {"path": "w"}, "training": {"epochs": 0}},
            r"streams\.joint\.training\.epochs: 0 with folds 2",
        ),
    ],
)
def test_folds_need_streams_that_can_be_trained(
    demo: dict[str, Any], stream: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigError, match=line):
        check_config(changed(changed(demo, "folds", 2), "streams.joint", stream))


UNTRAINED = {"model": "slgcn", "init": {"path": "w"}, "training": {"epochs": 0}}
CHALLENGE = {"protocol": "challenge", "streams": {"joint": UNTRAINED}}
PUBLISHED = {"fusion": "published", "streams": {"joint": 1.0}}


@pytest.mark.parametrize(
    ("track", "line"),
    [
        ({"streams": {"joint": 1.0}}, r"streams\.joint\.training\.epochs: 0 under protocol chal"),
        (
            {**PUBLISHED, "untuned": {"joint": 1.0}},
            r"tracks\.rgb\.untuned\.joint: the stream is not fine-tuned here",
        ),
    ],
)
def test_weights_that_may_have_seen_val_are_used_for_test_alone(
    demo: dict[str, Any], track: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigError, match=line):
        check_config({**demo, **CHALLENGE, "tracks": {"rgb": track}})
    tuned = {**UNTRAINED, "finetune": {"epochs": 1}}
    check_config({**demo, **CHALLENGE, "streams": {"joint": tuned}, "tracks": {"rgb": track}})


def test_zero_epochs_of_training_ask_for_no_fine_tuning(demo: dict[str, Any]) -> None:
    config = check_config({**demo, **CHALLENGE, "tracks": {"rgb": PUBLISHED}})
    assert (config.phases("joint"), config.protocol_of("joint")) == (("train",), "challenge")
    assert config.read_splits() == ("test",)
    # The complete config of the results says the same.
    assert check_config(json.loads(config.model_dump_json())) == config
    before = {"protocol": "strict", "tracks": {"rgb": PUBLISHED}}
    assert check_config({**demo, **CHALLENGE, **before}).read_splits() == ("val", "test")
    both = {"joint": {"model": "slgcn"}, "before": UNTRAINED}
    tracks = {"rgb": {**PUBLISHED, "untuned": {"before": 1.0}}}
    config = check_config({**demo, **CHALLENGE, "streams": both, "tracks": tracks})
    assert (config.phases("joint"), config.protocol_of("joint")) == (
        ("train", "finetune"),
        "strict",
    )
    assert (config.phases("before"), config.protocol_of("before")) == (("train",), "strict")
    assert config.read_splits() == ("train", "val", "test")


def test_every_wrong_key_is_listed(demo: dict[str, Any]) -> None:
    values = changed(changed(demo, "seed", -1), "streams.joint.width", "wide")
    del values["data"]
    with pytest.raises(ConfigError) as caught:
        check_config(values)
    keys = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert sorted(keys) == ["data", "seed", "streams.joint.width"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: [", "not a readable YAML file"),
        (b"\xff\xfe\x00", "not a readable YAML file"),
        (b"- 1", "expected keys and values, found list"),
        (b"x: !!python/object/apply:os.system ['true']", "not a readable YAML file"),
        (b"a: 1\nb: {c: 1, c: 2}", "config.yaml, line 2: key 'c' appears in line 2 too; keep one"),
    ],
)
def test_an_unreadable_file_gives_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=line) as caught:
        read_config(str(path))
    assert len(str(caught.value).splitlines()) == 1


PATHS = {
    "data": {"layout": "table", "table": "t.csv", "root": "..", "classes": "c.txt"},
    "features": {
        "keypoints": {"estimator": "mmpose", "config": "c.py", "checkpoint": {"path": "w.pth"}}
    },
    "streams": {
        "a": {"model": "slgcn", "init": {"path": "sub/i.safetensors"}},
        "b": {"model": "imported", "reads": ["keypoints"], "val": "v.h5", "test": "/abs/t.h5"},
    },
    "tracks": {"rgb": {"streams": {"a": None, "b": None}, "baseline": "b.csv"}},
}


def paths_of(value: Any) -> Iterator[str]:
    """Every text of a configuration that names a file or folder of PATHS."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from paths_of(inner)
    elif isinstance(value, str) and (value.startswith("..") or "." in value or "/" in value):
        yield value


def test_paths_are_relative_to_the_file_that_names_them(
    demo: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    values = {key: demo[key] for key in ("name", "seed")} | PATHS
    Path("elsewhere/x.yaml").write_text(yaml.safe_dump(values))
    config = read_config("elsewhere/x.yaml")
    assert config.results == "elsewhere/results"
    names = ["t.csv", "c.txt", "c.py", "w.pth", "sub/i.safetensors", "v.h5", "b.csv"]
    found = set(paths_of(config.model_dump())) - {config.results}
    assert found == {f"elsewhere/{name}" for name in names} | {".", "/abs/t.h5"}
    Path("link.yaml").symlink_to("elsewhere/x.yaml")  # the link is not where the paths are
    assert read_config("link.yaml").data == config.data

    write_config(config, "new/results/config.yaml")
    written = yaml.safe_load(Path("new/results/config.yaml").read_text())
    assert written["data"]["table"] == "../../elsewhere/t.csv"
    assert read_run_config(Path("new/results")) == config.model_copy(
        update={"results": "new/results"}
    )
    os.rename("new", "newer")
    assert read_run_config(Path("newer/results")).results == "newer/results"


def test_what_exists_only_in_the_working_folder_is_taken_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configs of older versions name their files so."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path("config/x.yaml").write_text(yaml.safe_dump({"name": "x", **PATHS}))
    Path("t.csv").touch()
    assert read_config("config/x.yaml").data.table == "t.csv"  # type: ignore[union-attr]
    Path("config/t.csv").touch()
    assert read_config("config/x.yaml").data.table == "config/t.csv"  # type: ignore[union-attr]


def test_a_section_survives_its_json_flag(demo: dict[str, Any]) -> None:
    config = check_config(demo)
    assert parse_setting(Config, config.model_dump_json(), "settings") == config
    assert parse_setting(DataSettings, config.data.model_dump_json(), "data") == config.data
    with pytest.raises(ConfigError, match="not JSON"):
        parse_setting(KeypointsSettings, "{", "settings")
