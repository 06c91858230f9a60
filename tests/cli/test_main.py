"""The `slr` command, and how steps end."""

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from slr_pipeline.io.logits import read_logits

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def slr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("slr_pipeline.cli.main", *arguments)


def test_check_describes_the_demo() -> None:
    done = slr("check")
    assert done.returncode == 0, done.stderr
    assert "demo: 128 samples, 8 classes" in done.stdout
    assert "  train: 80 samples, 5 signers, " in done.stdout
    assert "  track rgb: joint, bone" in done.stdout


def test_check_of_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    done = slr("check", str(tmp_path / "no.yaml"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/no.yaml: not a readable YAML file")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--model", "none.safetensors", "--device", "cuda:99"], "error: device cuda:99: "),
        (["--model", "none.safetensors", "--device", "cpu"], "error: none.safetensors: there is"),
    ],
)
def test_a_step_ends_with_one_line(tmp_path: Path, flags: list[str], line: str) -> None:
    out = tmp_path / "logits.h5"
    files = ["--features", "x.h5", "--quality", "x.csv", "--out", str(out)]
    done = run("slr_pipeline.steps.predict", *flags, *files)
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_settings_flag_with_a_wrong_key_names_it(tmp_path: Path) -> None:
    flags = [
        "--settings",
        '{"estimator": "x"}',
        "--device",
        "cpu",
        "--verified",
        "x.csv",
        "--out",
        str(tmp_path / "o"),
    ]
    done = run("slr_pipeline.steps.keypoints", *flags)
    assert done.returncode == 1
    assert done.stderr.startswith("error: keypoints: estimator: expected one of mediapipe, openp")


def test_a_contact_sheet_of_an_unknown_sample_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    done = slr("contact-sheet", "nobody", "--results", str(tmp_path), "--out", str(out))
    assert done.returncode == 1
    assert done.stderr.startswith("error: sample nobody is in none of the 0 tables ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_check_opens_no_heavy_module() -> None:
    code = (
        "import sys; from slr_pipeline.cli.main import main; main(['check']); "
        "print(sorted({'cv2', 'h5py', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_submission_is_checked_against_its_template(tmp_path: Path) -> None:
    template, right, wrong = (tmp_path / name for name in ("t.csv", "right.csv", "wrong.csv"))
    template.write_bytes(b"a,3\r\nb,4\r\n")
    right.write_bytes(b"a, 1\nb, 2\n")
    wrong.write_bytes(b"a,1\nc,226\n")
    done = slr("check-submission", str(right), "--template", str(template))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"ok: {right} answers each of the 2 names of {template} once")
    done = slr("check-submission", str(wrong), "--template", str(template))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"error: {wrong}, line 2: label 226 is outside 0..225; labels count from 0",
        f"error: {wrong}: expected 2 names, found 2; missing 1 ('b'), extra 1 ('c'), repeated "
        "none; give each sample one line",
    ]
    done = slr("check-submission", str(right), "--template", str(template), "--classes", "2")
    assert done.stderr.startswith(f"error: {right}, line 2: label 2 is outside 0..1")


def test_a_split_is_made_with_its_hash(tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "split.csv"
    rows = [f"s{i}_{j},{'ab'[j % 2]},s{i},s{i}_{j}.mp4\n" for i in range(10) for j in range(4)]
    table.write_text("sample,label,signer,color\n" + "".join(rows))
    done = slr("make-split", str(table), str(out), "--val", "0.1", "--test", "0.2", "--seed", "1")
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert done.stdout.splitlines() == [
        f"{out}: sha256 {digest}",
        "  train: 28 samples, 7 signers",
        "  val: 4 samples, 1 signers",
        "  test: 8 samples, 2 signers",
    ]
    first = out.with_suffix(".json").read_bytes()
    about = json.loads(first)
    assert (about["format"], about["version"], about["sha256"]) == ("slr-split", 1, digest)
    assert about["rule"] == {"name": "stratified", "val": 0.1, "test": 0.2, "seed": 1}
    assert [about["splits"][name]["samples"] for name in ("train", "val", "test")] == [28, 4, 8]
    assert slr("make-split", str(table), str(out)).returncode == 0
    assert out.with_suffix(".json").read_bytes() == first

    done = slr("make-split", str(table), str(out), "--rule", "decoster-dev")
    assert done.returncode == 0, done.stderr
    assert "  val: 8 samples, 2 signers" in done.stdout
    done = slr("make-split", str(table), str(out), "--rule", "decoster-dev", "--seed", "2")
    assert done.stderr.startswith("error: --seed: rule decoster-dev has its own")
    done = slr("make-split", str(table), str(tmp_path / "split.json"))
    assert "expected a name that ends in .csv" in done.stderr
    done = slr("make-split", str(tmp_path / "no.csv"), str(out))
    assert done.stderr.startswith(f"error: {tmp_path}/no.csv: cannot be read (No such file")


def test_logits_are_imported_for_a_split(tmp_path: Path) -> None:
    names = [line.split(",")[0] for line in (ROOT / "demo/test_labels.csv").read_text().split()]
    values = np.random.default_rng(1).normal(size=(len(names), 8)).astype(np.float32)
    source, out = tmp_path / "scores.pkl", tmp_path / "logits.h5"
    scores = {f"{name}_color.mp4": row[None] for name, row in zip(names, values, strict=True)}
    source.write_bytes(pickle.dumps(dict(reversed(scores.items()))))
    flags = ["--split", "test", "--protocol", "strict", "--reads", "keypoints", "frames"]
    done = slr("import-logits", str(source), str(out), *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}: {len(names)} samples, 8 classes\n"
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
    flags[1] = "val"
    done = slr("import-logits", str(source), str(out), *flags)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {source}: expected the 16 names of split val, found 32")
    assert len(done.stderr.splitlines()) == 1
    assert out.read_bytes() == before
