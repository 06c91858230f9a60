"""The `slr` command, and how steps end."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def slr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("slr_pipeline.cli", *arguments)


def test_check_describes_the_demo() -> None:
    done = slr("check")
    assert done.returncode == 0, done.stderr
    assert "demo: 128 samples, 8 classes" in done.stdout
    assert "  train: 80 samples, 5 signers, " in done.stdout
    assert "  track rgb: 1 joint" in done.stdout


def test_check_of_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    done = slr("check", str(tmp_path / "no.yaml"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/no.yaml: not a readable YAML file")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--model", "none.safetensors", "--device", "cuda:99"], "error: device cuda:99: "),
        (["--model", "none.safetensors", "--device", "cpu"], "error: none.safetensors: not whole"),
    ],
)
def test_a_step_ends_with_one_line(tmp_path: Path, flags: list[str], line: str) -> None:
    out = tmp_path / "logits.h5"
    done = run("slr_pipeline.steps.predict", *flags, "--features", "x.h5", "--out", str(out))
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_settings_flag_with_a_wrong_key_names_it(tmp_path: Path) -> None:
    flags = ["--settings", '{"estimatr": 1}', "--verified", "x.csv", "--out", str(tmp_path / "o")]
    done = run("slr_pipeline.steps.keypoints", *flags)
    assert done.returncode == 1
    assert done.stderr.startswith("error: KeypointsSettings: estimatr: unknown key (known: estim")


def test_a_contact_sheet_of_an_unknown_sample_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    done = slr("contact-sheet", "nobody", "--results", str(tmp_path), "--out", str(out))
    assert done.returncode == 1
    assert done.stderr.startswith("error: sample nobody is in none of the 0 tables ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_check_opens_no_heavy_module() -> None:
    code = (
        "import sys; from slr_pipeline.cli import main; main(['check']); "
        "print(sorted({'cv2', 'h5py', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
