"""`slr export --onnx`: every model and fidelity through the real command, and its errors."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from slr_pipeline.cli.main import main
from slr_pipeline.cli.onnx.graph import differences, to_onnx
from slr_pipeline.cli.onnx.inputs import random_batch
from slr_pipeline.config.experiment import check_config, check_stream
from slr_pipeline.config.features import FeatureSettings
from slr_pipeline.config.streams import features_of, test_views
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import open_features
from slr_pipeline.io.foreign.exporting import LAYOUTS_OF
from slr_pipeline.io.models import save_model
from slr_pipeline.schema import FEATURES
from slr_pipeline.steps.config import config as write_config
from slr_pipeline.steps.predict import load_trained
from slr_pipeline.training.predict import predict
from slr_pipeline.training.streams import build_dataset, build_model
from tests.feature_files import write_feature

test_views.__test__ = False  # type: ignore[attr-defined]

ROOT = Path(__file__).parents[2]
SIGNS = ["wait", "a_b*c", "l'été", "x|y", "<b>"]
INSTALL = "pip install -c requirements/constraints.txt -e '.[onnx]'"
ESTIMATOR = {"estimator": "made-up", "weights_sha256": "0" * 64}

SKELETON = {"model": "slgcn", "width": 16, "frames": 20, "window": 10}
PICTURES = {"model": "r2plus1d", "width": 4, "frames": 4, "size": 32}
SIZES = {"width": 32, "heads": 2, "layers": 2, "frames": 4, "size": 32}
HANDS = {"model": "vtn", "backbone": "resnet18", "backbone_width": 4, **SIZES}
STREAMS: dict[str, dict[str, Any]] = {
    "joint": {**SKELETON, "trim": True, "stretch": True},
    "bone": {**SKELETON, "representation": "bone", "fidelity": "published"},
    "joint_motion": {**SKELETON, "representation": "joint_motion", "seeds": 3},
    "bone_motion": {**SKELETON, "representation": "bone_motion", "fidelity": "published"},
    "sstcn": {"model": "sstcn", "width": 8, "frames": 4},
    "rgb": {**PICTURES, "feature": "frames"},
    "flow": {**PICTURES, "feature": "flow", "fidelity": "published", "test_clips": 1},
    "hha": {**PICTURES, "feature": "hha", "frames": 1},
    "depth_flow": {**PICTURES, "feature": "depth_flow"},
    "vtn_hcpf": {**HANDS, "frames": 1, "fidelity": "published"},
    "vtn_hcpf_d": {**HANDS, "depth": True, "fidelity": "published"},
}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
PUBLISHED = ("flow", "hand_crops", "depth_hand_crops")
IMPORTED = {"model": "imported", "reads": ["keypoints"], "test": "imported.h5"}


def write_run(
    results: Path,
    streams: Sequence[str] = (),
    features: Sequence[str] = (),
    **changes: Any,
) -> None:
    """Write a run with weights of these streams and one shard of these features."""
    values = {
        "name": "small",
        "data": {"layout": "table", "table": "samples.csv"},
        "features": {feature: {"fidelity": "published"} for feature in PUBLISHED},
        "streams": {**STREAMS, "imported": IMPORTED},
        "tracks": {"all": {"fusion": "published", "streams": {"joint": 1.0}}},
        **changes,
    }
    config = check_config(values)
    write_config(config, str(results / "config.yaml"))
    for stream in streams:
        write_weights(results, stream)
    generator = np.random.default_rng(2)
    for feature in features:
        schema = FEATURES[feature]
        frames = schema.frames or 7
        clips = [NewClip("gone")]
        for sample in ("a", "b", "c", "d", "e"):
            values_of = generator.uniform(0, 1 if schema.dtype == "float32" else 255, ())
            shape = (frames, *schema.shape)
            if schema.dtype == "float32":
                array = generator.uniform(0, 1, shape).astype(np.float32)
            else:
                array = np.full(shape, int(values_of), np.uint8)
            boxes = np.full((frames, schema.boxes, 4), 3, np.int32) if schema.boxes else None
            clips.append(NewClip(sample, array, 64, 48, 25.0, boxes))
        attributes = {**ESTIMATOR, "bound_px": 20.0}
        write_feature(results / f"features/{feature}/test/all.h5", feature, clips, attributes, {})


def write_weights(results: Path, stream: str, scale: float = 1) -> None:
    """Write random weights with trained batch norms; `scale` multiplies the logits."""
    for seed, path in enumerate(weights_of(results, stream), start=5):
        write_seed(path, stream, scale, seed)


def weights_of(results: Path, stream: str) -> list[str]:
    folder = results / f"streams/{stream}/train"
    more = [folder / f"seed{n}" for n in range(2, STREAMS[stream].get("seeds", 1) + 1)]
    return [str(place / "model.safetensors") for place in (folder, *more)]


def write_seed(path: str, stream: str, scale: float, random_seed: int) -> None:
    settings = check_stream(STREAMS[stream])
    torch.manual_seed(random_seed)
    model = build_model(settings, len(SIGNS))
    model.train()
    for module in model.modules():
        if isinstance(module, BATCH_NORMS):
            module.momentum = 0.9
    with torch.no_grad():
        for seed in range(2):
            model(*random_batch(settings, 4, torch.Generator().manual_seed(seed)))
    model.classifier.weight.data *= scale
    sidecar = {
        "stream": settings.model_dump(),
        "heatmaps": None,
        "phase": "train",
        "held_out": [],
        "estimator": ESTIMATOR,
        "classes": SIGNS,
        "protocol": "strict",
    }
    save_model(path, model.state_dict(), sidecar)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "results"
    write_run(path, [*STREAMS], [*FEATURES])
    return path


def export(results: Path, out: Path, *streams: str) -> None:
    main(["export", "--onnx", *streams, "--results", str(results), "--out", str(out)])


def refused(results: Path, out: Path, *streams: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The error line of an export that fails and writes nothing."""
    with pytest.raises(SystemExit) as exit_status:
        export(results, out, *streams)
    assert exit_status.value.code == 1
    printed = capsys.readouterr()
    assert not out.exists()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture(scope="module")
def exported(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    export(results, out, *STREAMS)
    return out


def test_the_command_prints_the_differences(
    results: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(results, tmp_path / "a", "joint", "rgb")
    printed = capfd.readouterr()
    assert printed.err == ""
    joint, rgb = printed.out.splitlines()
    pattern = (
        r"\.onnx: \d+\.\d MB; logits differ from PyTorch's float64 by at most (\S+) of their "
        r"spread on random inputs, "
    )
    for line, path in ((joint, tmp_path / "a/joint"), (rgb, tmp_path / "a/rgb")):
        match = re.fullmatch(re.escape(str(path)) + pattern + r"(\S+) on 4 clips of the run", line)
        assert match
        assert all(0 < float(number) < 1e-4 for number in match.groups())
    export(results, tmp_path / "b", "joint", "rgb")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_without_features_only_random_inputs_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "results", ["vtn_hcpf", "joint"], ["keypoints", "hand_crops"])
    export(tmp_path / "results", tmp_path / "out", "vtn_hcpf", "joint")
    hands, joint = capsys.readouterr().out.splitlines()
    assert hands.endswith(" on random inputs, no clips")
    assert joint.endswith(" on 4 clips of the run")


@pytest.mark.parametrize("stream", STREAMS)
def test_the_code_of_the_page_answers_clips_of_the_run(
    results: Path, exported: Path, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the feature files to the logits of PyTorch, alone and in a larger batch."""
    graph = onnx.load(exported / f"{stream}.onnx", load_external_data=False)
    assert not any(tensor.external_data for tensor in graph.graph.initializer)
    facts = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    assert (facts["classes"], facts["stream"]) == (SIGNS, stream)
    assert str(ROOT) not in repr(graph)
    page = (exported / f"{stream}.md").read_text()
    namespace: dict[str, Any] = {}
    monkeypatch.chdir(exported)
    exec("".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), namespace)
    settings = check_stream(STREAMS[stream])
    names = features_of(settings, FeatureSettings())
    stores = open_features(results / f"features/{name}/test/all.h5" for name in names)
    given: list[Any] = [store.read("b").values for store in stores.values()]
    if settings.model == "vtn" and settings.fidelity == "published":
        given.append(np.zeros((7, 2), bool))
    logits = namespace["video_logits"](*given)
    model = load_trained(weights_of(results, stream)).network
    views = test_views(settings)
    dataset = build_dataset(settings, stores, [("b", -1)], train=False, seed=0, views=views)
    (expected,) = predict(model, dataset, batch_size=1)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert np.ptp(expected) > 1e-3
    clips = build_dataset(settings, stores, [(name, -1) for name in "abcde"], train=False, seed=0)
    parts = zip(*(clips[index][0] for index in range(5)), strict=True)
    values = clips.prepare([torch.stack(part) for part in parts], torch.device("cpu"))
    inputs = namespace["session"].get_inputs()
    batch = {x.name: part.numpy() for x, part in zip(inputs, values, strict=True)}
    (rows,) = namespace["session"].run(["logits"], batch)
    np.testing.assert_allclose(rows, predict(model, clips, batch_size=1), atol=1e-4)
    (best, share), *_ = namespace["top"](namespace["softmax"](logits))
    assert best == SIGNS[expected.argmax()]
    assert 1 / len(SIGNS) < share <= 1
    for one in inputs:
        assert f"| `{one.name}` | ({', '.join(map(str, one.shape))}) |" in page
    assert "made-up (weights 000" in page
    assert len(facts["weights_sha256"].split()) == settings.seeds
    assert facts["weights"].split() == [
        path.removeprefix(f"{results}/") for path in weights_of(results, stream)
    ]
    assert "- 1: a\\_b\\*c\n" in page


def test_a_wrong_graph_is_detected() -> None:
    """A small change of biases or a larger one of weights; rounding of huge logits is not one."""
    torch.manual_seed(0)
    model = build_model(check_stream(STREAMS["rgb"]), 3).eval()
    batch = [torch.rand(2, 3, 4, 32, 32)]
    content = to_onnx(model, batch, ["frames"], {})
    assert differences(content, model, [batch]).acceptable()
    for name, change in (("classifier.bias", 2e-4), ("classifier.weight", 0.5)):
        graph = onnx.load_model_from_string(content)
        (tensor,) = [one for one in graph.graph.initializer if one.name == name]
        values = onnx.numpy_helper.to_array(tensor) + np.float32(change)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))
        changed = graph.SerializeToString()
        assert not differences(changed, model, [batch]).acceptable()


@pytest.mark.parametrize(("factor", "shift"), [(1e6, 0.0), (1.0, 1e4)])
def test_a_model_that_amplifies_rounding_is_exported(factor: float, shift: float) -> None:
    """Float32 logits of huge weights, or of huge terms that cancel, differ by more than 1e-4."""
    torch.manual_seed(0)
    model = build_model(check_stream(STREAMS["rgb"]), 8).eval()
    batch = [torch.rand(5, 3, 4, 32, 32)]
    model.classifier.weight.data = model.classifier.weight.data * factor + shift
    found = differences(to_onnx(model, batch, ["frames"], {}), model, [batch])
    assert found.acceptable()
    with torch.no_grad():
        own, exact = model(*batch), model.double()(batch[0].double())
    assert (own - exact).abs().max() > 1e-4
    assert (found.own_logits > 1e-3) == bool(shift)


def test_nothing_is_written_if_logits_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "results", ["joint"], ["frames"])
    write_weights(tmp_path / "results", "rgb", 3e38)
    line = refused(tmp_path / "results", tmp_path / "out", "joint", "rgb", capsys=capsys)
    assert (
        "rgb: on random inputs, logits of ONNX Runtime differ from PyTorch's float64 by inf" in line
    )
    write_weights(
        tmp_path / "results", "rgb", 1e6
    )  # huge logits, exact in relation to their spread
    export(tmp_path / "results", tmp_path / "out", "joint", "rgb")
    page = (tmp_path / "out/rgb.md").read_text()
    assert "p = softmax( sum_s w_s y_s / sum_s w_s )" in page


def test_errors_are_one_line(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = refused(results, out, "joint", "nose", capsys=capsys)
    assert (
        f"--onnx nose: {results}/config.yaml has no such stream; its streams are joint, bone"
        in line
    )
    line = refused(results, out, "imported", capsys=capsys)
    assert "--onnx imported: the stream has imported logits and no model" in line
    line = refused(tmp_path, out, "joint", capsys=capsys)
    assert f"{tmp_path}/config.yaml: no such file; name the results folder" in line
    write_run(tmp_path / "other", ["joint"], protocol="challenge")
    line = refused(tmp_path / "other", out, "joint", capsys=capsys)
    assert "joint/finetune/model.safetensors: no such file; train the stream first" in line


def test_damaged_weights_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "results", ["joint"])
    path = tmp_path / "results/streams/joint/train/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    line = refused(tmp_path / "results", tmp_path / "out", "joint", capsys=capsys)
    assert "train the stream again" in line


@pytest.mark.parametrize(
    ("package", "flags", "message"),
    [
        ("onnx", ["--onnx", "joint"], "--onnx needs onnx and onnxruntime"),
        ("onnxruntime", ["--onnx", "joint"], "--onnx needs onnx and onnxruntime"),
        ("pose_format", ["--keypoints", "pose"], ".pose files need pose-format"),
    ],
)
def test_a_missing_extra_names_the_command_to_install_it(
    results: Path, tmp_path: Path, package: str, flags: list[str], message: str
) -> None:
    """In an environment with all installed packages but one."""
    (tmp_path / "packages").mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.partition("-")[0] != package:
            (tmp_path / "packages" / entry.name).symlink_to(entry)
    done = subprocess.run(
        [
            *(sys.executable, "-S", "-m", "slr_pipeline.cli.main", "export", *flags),
            *("--results", str(results), "--out", str(tmp_path / "out")),
        ],
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'packages'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    extra = "formats" if package == "pose_format" else "onnx"
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message} (")
    assert done.stderr.endswith(f": {INSTALL.replace('onnx', extra)}\n")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_help_names_the_default_layouts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    defaults = {layouts[0] for layouts in LAYOUTS_OF.values()} - {LAYOUTS_OF["openpose"][0]}
    text = f"(default: {', '.join(defaults)}; of openpose: {LAYOUTS_OF['openpose'][0]})"
    assert text in " ".join(capsys.readouterr().out.split()).replace("- ", "-")


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        ([], 2, "one of the arguments --onnx --models --keypoints --elan is required"),
        (["--onnx", "joint", "--keypoints", "pose"], 2, "not allowed with argument --onnx"),
        (["--onnx", "joint", "--layout", "holistic"], 1, "need --keypoints; remove them"),
    ],
)
def test_one_thing_is_exported_at_a_time(
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    status: int,
    message: str,
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["export", *flags, "--results", str(results), "--out", str(tmp_path / "out")])
    assert exit_status.value.code == status
    assert message in capsys.readouterr().err


def test_the_commands_of_the_docs_run(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pose_format", reason="the extra `formats` is not installed")
    docs = ROOT / "docs/how-to/export.md"
    blocks = re.findall(r"```\n(.*?)\n```", docs.read_text(), re.DOTALL)
    assert [block.split()[0] for block in blocks] == ["slr", "pip", "slr"]
    assert blocks[1] == INSTALL
    shutil.copytree(results, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    for block in (blocks[0], blocks[2]):
        main(shlex.split(block)[1:])
    assert {path.name for path in (tmp_path / "onnx").iterdir()} == {
        *("joint.onnx", "joint.md", "rgb.onnx", "rgb.md")
    }
    assert len(list((tmp_path / "poses").iterdir())) == 5
