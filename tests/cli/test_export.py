"""`slr export --onnx`: every model and fidelity, by the real command, and what it refuses."""

import ast
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
import onnxruntime
import pytest
import torch
import yaml
from torch import nn

from slr_pipeline.cli.main import main
from slr_pipeline.cli.onnx.graph import largest_difference, to_onnx
from slr_pipeline.cli.onnx.inputs import random_batch
from slr_pipeline.config.experiment import check_config, check_stream
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.models import load_model, save_model
from slr_pipeline.schema import FEATURES
from slr_pipeline.training.streams import build_model
from tests.feature_files import write_feature

ROOT = Path(__file__).parents[2]
SIGNS = ["wait", "a_b*c", "l'été", "x|y", "<b>"]
INSTALL = "pip install -c requirements/constraints.txt -e '.[onnx]'"
ESTIMATOR = {"estimator": "made-up", "weights_sha256": "0" * 64}

SKELETON = {"model": "slgcn", "width": 16, "frames": 20, "window": 10}
PICTURES = {"model": "r2plus1d", "width": 4, "frames": 4, "size": 32}
HANDS = {
    "model": "vtn",
    "backbone": "resnet18",
    "backbone_width": 4,
    "width": 32,
    "heads": 2,
    "layers": 2,
    "frames": 4,
    "size": 32,
}
STREAMS: dict[str, dict[str, Any]] = {
    "joint": {**SKELETON, "trim": True, "stretch": True},
    "bone": {**SKELETON, "representation": "bone", "fidelity": "published"},
    "joint_motion": {**SKELETON, "representation": "joint_motion"},
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
THEIRS = {"model": "imported", "reads": ["keypoints"], "test": "theirs.h5"}


def write_run(
    results: Path,
    streams: Sequence[str] = (),
    features: Sequence[str] = (),
    **changes: Any,
) -> None:
    """A run with the weights of these streams, and one shard of these features."""
    values = {
        "name": "small",
        "data": {"layout": "table", "table": "samples.csv"},
        "features": {feature: {"fidelity": "published"} for feature in PUBLISHED},
        "streams": {**STREAMS, "theirs": THEIRS},
        "tracks": {"all": {"fusion": "published", "streams": {"joint": 1.0}}},
        **changes,
    }
    config = check_config(values)
    results.mkdir(parents=True)
    (results / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
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
    """Random weights whose norms have seen something; `scale` is that of the logits."""
    settings = check_stream(STREAMS[stream])
    torch.manual_seed(5)
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
    save_model(results / f"streams/{stream}/train/model.safetensors", model.state_dict(), sidecar)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "results"
    write_run(path, [*STREAMS], [*FEATURES])
    return path


def export(results: Path, out: Path, *streams: str) -> None:
    main(["export", "--onnx", *streams, "--results", str(results), "--out", str(out)])


def refused(results: Path, out: Path, *streams: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of an export that fails and writes nothing."""
    with pytest.raises(SystemExit) as exit_status:
        export(results, out, *streams)
    assert exit_status.value.code == 1
    said = capsys.readouterr()
    assert not out.exists()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture(scope="module")
def exported(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    export(results, out, *STREAMS)
    return out


@pytest.mark.parametrize("stream", STREAMS)
def test_logits_are_those_of_torch_for_any_batch(
    results: Path, exported: Path, stream: str
) -> None:
    """By an own comparison, of other inputs than the command's."""
    state, _ = load_model(results / f"streams/{stream}/train/model.safetensors")
    model = build_model(check_stream(STREAMS[stream]), len(SIGNS)).eval()
    model.load_state_dict(state)
    session = onnxruntime.InferenceSession(exported / f"{stream}.onnx")
    inputs = session.get_inputs()
    assert [given.shape[0] for given in inputs] == ["batch"] * len(inputs)
    assert session.get_outputs()[0].shape == ["batch", len(SIGNS)]
    torch.manual_seed(9)
    for size in (1, 4, 7):
        parts = [torch.rand(size, *given.shape[1:]) for given in inputs]
        with torch.no_grad():
            expected = model(*parts).numpy()
        given = {one.name: part.numpy() for one, part in zip(inputs, parts, strict=True)}
        (found,) = session.run(["logits"], given)
        assert np.ptp(expected) > 1e-3
        assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("stream", STREAMS)
def test_a_file_holds_all_it_needs(exported: Path, stream: str) -> None:
    model = onnx.load(exported / f"{stream}.onnx", load_external_data=False)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    facts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert facts["classes"] == SIGNS
    assert facts["stream"] == stream
    assert str(ROOT) not in repr(model)


def test_the_command_tells_what_was_compared(
    results: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(results, tmp_path / "a", "joint", "rgb")
    said = capfd.readouterr()
    assert said.err == ""
    joint, rgb = said.out.splitlines()
    pattern = r"\.onnx: \d+\.\d MB; logits differ from torch's by at most (\S+) on made-up inputs, "
    for line, path in ((joint, tmp_path / "a/joint"), (rgb, tmp_path / "a/rgb")):
        found = re.fullmatch(re.escape(str(path)) + pattern + r"(\S+) on 4 clips of the run", line)
        assert found
        assert all(0 < float(number) < 1e-4 for number in found.groups())
    export(results, tmp_path / "b", "joint", "rgb")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_without_features_made_up_inputs_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "results", ["vtn_hcpf", "joint"], ["keypoints", "hand_crops"])
    export(tmp_path / "results", tmp_path / "out", "vtn_hcpf", "joint")
    hands, joint = capsys.readouterr().out.splitlines()
    assert hands.endswith(" on made-up inputs, no clips")
    assert joint.endswith(" on 4 clips of the run")


@pytest.mark.parametrize("stream", STREAMS)
def test_the_page_says_how_to_call_it(
    exported: Path,
    stream: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (exported / f"{stream}.md").read_text()
    settings = check_stream(STREAMS[stream])
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(exported)
    exec(code, {})
    answers = capsys.readouterr().out.splitlines()
    assert len(answers) == 3
    assert all(sorted(ast.literal_eval(answer)) == sorted(SIGNS) for answer in answers)
    session = onnxruntime.InferenceSession(f"{stream}.onnx")
    for given in session.get_inputs():
        assert f"| `{given.name}` | (batch, {', '.join(map(str, given.shape[1:]))}) |" in page
    assert f"fidelity `{settings.fidelity}`" in page
    assert "made-up (weights 000" in page
    assert "- 1: a\\_b\\*c\n" in page
    assert not re.search(r"None|\{|<built-in|\bnan\b", page.split("```")[0])


def test_a_wrong_graph_is_noticed() -> None:
    """Biases change by little, or weights by more."""
    model = build_model(check_stream(STREAMS["rgb"]), 3).eval()
    batch = [torch.rand(2, 3, 4, 32, 32)]
    content = to_onnx(model, batch, ["frames"], {})
    assert largest_difference(content, model, [batch]) < 1e-6
    for name, change in (("classifier.bias", 2e-4), ("classifier.weight", 0.5)):
        graph = onnx.load_model_from_string(content)
        (tensor,) = [one for one in graph.graph.initializer if one.name == name]
        values = onnx.numpy_helper.to_array(tensor) + np.float32(change)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))
        changed = graph.SerializeToString()
        assert largest_difference(changed, model, [batch]) > 1e-4
        assert largest_difference(changed, model, [batch], relative=True) > 1e-4


def test_huge_logits_of_made_up_inputs_may_differ_by_what_float32_cannot_tell() -> None:
    model = build_model(check_stream(STREAMS["rgb"]), 3).eval()
    model.classifier.weight.data *= 1e9
    batch = [torch.rand(2, 3, 4, 32, 32)]
    content = to_onnx(model, batch, ["frames"], {})
    assert largest_difference(content, model, [batch]) > 1e-4
    assert largest_difference(content, model, [batch], relative=True) < 1e-6


@pytest.mark.parametrize(
    ("scale", "found"),
    [(1e6, r"by [1-9]\S* on clips"), (float("nan"), "by nan on clips and nan on")],
)
def test_logits_that_differ_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scale: float, found: str
) -> None:
    """Logits of millions differ by more than is let through, and those that are nan by nothing."""
    write_run(tmp_path / "results", ["joint"], ["frames"])
    write_weights(tmp_path / "results", "rgb", scale)
    line = refused(tmp_path / "results", tmp_path / "out", "joint", "rgb", capsys=capsys)
    assert re.search(f"rgb: logits of ONNX Runtime differ from torch's {found}", line)


def test_errors_are_one_line(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = refused(results, out, "joint", "nose", capsys=capsys)
    assert f"--onnx nose: no stream of {results}/config.yaml (known: bone, bone_motion," in line
    line = refused(results, out, "theirs", capsys=capsys)
    assert "--onnx theirs: its logits are imported and it has no model" in line
    line = refused(tmp_path, out, "joint", capsys=capsys)
    assert f"{tmp_path}/config.yaml: no such file; name the results folder" in line
    write_run(tmp_path / "other", ["joint"], protocol="challenge")
    line = refused(tmp_path / "other", out, "joint", capsys=capsys)
    assert "joint/finetune/model.safetensors: there is no such file; train the stream" in line


def test_damaged_weights_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "results", ["joint"])
    path = tmp_path / "results/streams/joint/train/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    line = refused(tmp_path / "results", tmp_path / "out", "joint", capsys=capsys)
    assert "train the stream again" in line


@pytest.mark.parametrize(
    ("package", "flags", "said"),
    [
        ("onnx", ["--onnx", "joint"], "--onnx needs onnx and onnxruntime"),
        ("onnxruntime", ["--onnx", "joint"], "--onnx needs onnx and onnxruntime"),
        ("pose_format", ["--keypoints", "pose"], ".pose files need pose-format"),
    ],
)
def test_without_the_extra_it_says_what_to_install(
    results: Path, tmp_path: Path, package: str, flags: list[str], said: str
) -> None:
    """In an environment of all that is installed here but the package."""
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
    assert done.stderr.startswith(f"error: {said} (")
    assert done.stderr.endswith(f": {INSTALL.replace('onnx', extra)}\n")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        ([], 2, "one of the arguments --onnx --keypoints is required"),
        (["--onnx", "joint", "--keypoints", "pose"], 2, "not allowed with argument --onnx"),
        (["--onnx", "joint", "--layout", "holistic"], 1, "go with --keypoints; leave them out"),
    ],
)
def test_one_thing_is_exported_at_a_time(
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    status: int,
    said: str,
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["export", *flags, "--results", str(results), "--out", str(tmp_path / "out")])
    assert exit_status.value.code == status
    assert said in capsys.readouterr().err


def test_the_commands_of_the_page_of_docs_run(
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
