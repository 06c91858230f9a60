"""The step `report` as its rule calls it."""

import subprocess
import sys
from pathlib import Path

from tests.report.small_run import SHOWN, make_results


def step(results: Path, out: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slr_pipeline.steps", "report", *flags]
    files = ["--config", str(results / "config.yaml"), "--out", str(out)]
    return subprocess.run([*command, *files], capture_output=True, text=True, check=False)


def test_the_page_shows_the_given_features(tmp_path: Path) -> None:
    results = make_results(tmp_path / "my run").parent
    shown = [results / "verify/train/all.csv"]
    shown += [results / f"features/{feature}/train/all.h5" for feature in SHOWN]
    out = results / "report" / "index.html"
    done = step(results, out, "--shown", *map(str, shown))
    assert done.returncode == 0, done.stderr
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "flow wheel" in text
    assert [path.name for path in out.parent.iterdir()] == ["index.html"]
    done = step(results, out, "--shown", *map(str, shown[:2]))
    assert done.returncode == 0, done.stderr
    assert "flow wheel" not in out.read_text(encoding="utf-8")


def test_a_missing_result_gives_one_line_and_no_page(tmp_path: Path) -> None:
    results = make_results(tmp_path).parent
    (results / "tracks/rgb/metrics.json").unlink()
    done = step(results, tmp_path / "index.html")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "metrics.json: no metrics" in line
    assert not (tmp_path / "index.html").exists()
