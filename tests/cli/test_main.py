"""The `slr` command: help, errors of one line, and the commands without tests of their own."""

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from slr_pipeline.cli.main import COMMANDS, main
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.provenance import provenance
from tests.cli.conftest import one_error

ROOT = Path(__file__).parents[2]

Slr = Callable[..., tuple[int, str, str]]


@pytest.fixture
def slr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Slr:
    """Runs `slr` in the root of the project; exit status, stdout and stderr."""
    monkeypatch.chdir(ROOT)

    def run(*arguments: object) -> tuple[int, str, str]:
        status = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_lists_every_command_with_a_sentence(slr: Slr) -> None:
    status, out, _ = slr("--help")
    text = " ".join(out.split())
    assert status == 0
    for name, command in COMMANDS.items():
        assert f" {name} {command.__doc__}" in text
        assert str(command.__doc__).endswith(".")
        assert "\n" not in str(command.__doc__)


def test_the_version_is_that_of_the_package_and_of_its_artifacts(slr: Slr) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    status, out, _ = slr("--version")
    assert (status, out) == (0, f"slr_pipeline {declared['version']}\n")
    assert provenance()["package"] == out.strip()


def test_help_and_check_import_no_heavy_package() -> None:
    code = (
        "import sys; from slr_pipeline.cli.main import main; main(['check']); "
        "print(sorted({'cv2', 'h5py', 'numpy', 'pandas', 'torch'} & set(sys.modules)))"
    )
    done = python("-c", code)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(
    "command", [["--help"], ["export", "--help"], ["check"], ["check", "none.yaml"]]
)
def test_a_closed_pipe_ends_every_command_quietly(command: list[str]) -> None:
    """As in `slr check | head -0`: the reader is gone before the first line."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "slr_pipeline.cli.main", *command],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=False,
    )
    os.close(writer)
    if command[-1] == "none.yaml":  # nothing is written to the pipe
        assert done.returncode == 1
        one_error(done.stderr)
    else:
        assert done.stderr == ""
        # argparse ignores a pipe that is closed while it prints help.
        assert done.returncode in (128 + signal.SIGPIPE, *[0] * ("--help" in command))


def test_check_describes_the_demo(slr: Slr) -> None:
    status, out, err = slr("check")
    assert (status, err) == (0, "")
    assert "demo: 128 samples, 8 classes" in out
    assert "  train: 80 samples, 5 signers, " in out
    assert "  track rgb: joint, bone" in out


@pytest.mark.parametrize(
    ("step", "flags", "line"),
    [
        ("predict", ["--device", "cuda:99"], "error: device cuda:99: "),
        ("predict", ["--device", "cpu"], "error: none.safetensors: there is"),
        (
            "keypoints",
            ["--settings", '{"estimator": "x"}'],
            "error: settings: estimator: expected one of mediapipe, mediapipe_tasks, openpo",
        ),
    ],
)
def test_a_step_ends_with_one_line(tmp_path: Path, step: str, flags: list[str], line: str) -> None:
    inputs = {
        "predict": ["--model", "none.safetensors", "--features", "x.h5", "--quality", "x.csv"],
        "keypoints": ["--device", "cpu", "--verified", "x.csv"],
    }[step]
    out = ["--out", str(tmp_path / "out.h5")]
    done = python("-m", "slr_pipeline.steps", step, *inputs, *flags, *out)
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    one_error(done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_submission_is_checked_against_its_template(slr: Slr, tmp_path: Path) -> None:
    template, right, wrong = (tmp_path / name for name in ("t.csv", "right.csv", "wrong.csv"))
    template.write_bytes(b"a,3\r\nb,4\r\n")
    right.write_bytes(b"a, 1\nb, 2\n")
    wrong.write_bytes(b"a,1\nc,226\n")
    status, out, err = slr("check-submission", right, "--template", template)
    assert (status, err) == (0, "")
    assert out.startswith(f"ok: {right} answers each of the 2 names of {template} once")
    status, out, err = slr("check-submission", wrong, "--template", template)
    assert (status, out) == (1, "")
    first, second = err.splitlines()
    assert first.startswith(f"error: {wrong}, line 2: label 226 is outside 0..225")
    assert "missing 1 ('b'), extra 1 ('c')" in second
    _, _, err = slr("check-submission", right, "--template", template, "--classes", 2)
    assert err.startswith(f"error: {right}, line 2: label 2 is outside 0..1")


def test_a_split_is_made_with_its_hash(slr: Slr, tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "split.csv"
    rows = [f"s{i}_{j},{'ab'[j % 2]},s{i},s{i}_{j}.mp4\n" for i in range(10) for j in range(4)]
    table.write_text("sample,label,signer,color\n" + "".join(rows))
    shares = ("--val", 0.1, "--test", 0.2, "--seed", 1)
    _, printed, _ = slr("make-split", table, out, *shares)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert printed.splitlines() == [
        f"{out}: sha256 {digest}",
        "  train: 28 samples, 7 signers",
        "  val: 4 samples, 1 signers",
        "  test: 8 samples, 2 signers",
    ]
    origin = out.with_suffix(".json").read_bytes()
    about = json.loads(origin)
    assert (about["format"], about["version"], about["sha256"]) == ("slr-split", 1, digest)
    assert about["rule"] == {"name": "stratified", "val": 0.1, "test": 0.2, "seed": 1}
    assert [about["splits"][name]["samples"] for name in ("train", "val", "test")] == [28, 4, 8]
    slr("make-split", table, out)  # the defaults are the same
    assert out.with_suffix(".json").read_bytes() == origin

    _, printed, _ = slr("make-split", table, out, "--rule", "decoster-dev")
    assert "  val: 8 samples, 2 signers" in printed
    _, _, err = slr("make-split", table, out, "--rule", "decoster-dev", "--seed", 2)
    assert one_error(err).startswith("--seed: rule decoster-dev has its own")
    _, _, err = slr("make-split", table, tmp_path / "split.json")
    assert "expected a name that ends in .csv" in one_error(err)


def test_logits_are_imported_for_a_split(slr: Slr, tmp_path: Path) -> None:
    names = [line.split(",")[0] for line in (ROOT / "demo/test_labels.csv").read_text().split()]
    values = np.random.default_rng(1).normal(size=(len(names), 8)).astype(np.float32)
    source, out = tmp_path / "scores.pkl", tmp_path / "logits.h5"
    scores = {f"{name}_color.mp4": row[None] for name, row in zip(names, values, strict=True)}
    source.write_bytes(pickle.dumps(dict(reversed(scores.items()))))
    flags = ["--protocol", "strict", "--reads", "keypoints", "frames", "--split"]
    status, printed, _ = slr("import-logits", source, out, *flags, "test")
    assert (status, printed) == (0, f"{out}: {len(names)} samples, 8 classes\n")
    logits = read_logits(out)
    assert (list(logits.samples), logits.protocol) == (names, "strict")
    np.testing.assert_array_equal(logits.values, values)
    with h5py.File(out) as file:
        about = json.loads(file.attrs["provenance"])
    assert about["imported"] == {
        "reads": ["frames", "keypoints"],
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "split": "test",
    }

    before = out.read_bytes()
    status, _, err = slr("import-logits", source, out, *flags, "val")
    assert status == 1
    assert one_error(err).startswith(f"{source}: expected the 16 names of split val, found 32")
    assert "are those of config.yaml, and --config names another config" in err
    assert out.read_bytes() == before
