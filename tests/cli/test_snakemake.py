"""The console command `snakemake` with targets after options, as people type them."""

import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

from slr_pipeline.cli.snakemake import PAIR_OPTIONS, targets_first
from slr_pipeline.io.documents import read_run_config
from slr_pipeline.samples.table import load_samples
from tests.workflow.conftest import ROOT, job_counts, make_run


def snakemake(line: str, folder: Path = ROOT) -> str:
    """Output of a command line that must succeed."""
    command = [str(Path(sys.executable).with_name("snakemake")), *line.split()]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "--cores 8 --resources gpu=1 submission -n",
        "-n --cores 8 --res gpu=1 mem_mb=4000 submission",
        "-n --cores 8 --set-threads train=2 submission --resources gpu=1",
        "-n --cores 8 --set-resources train:mem_mb=4000 submission",
        "-n --cores 8 --config seed=2 submission",
        "-n --cores 8 --config seed=2 -- submission",
    ],
)
def test_a_target_after_a_pair_option_is_planned(line: str) -> None:
    jobs = job_counts(snakemake(f"--forceall {line}"))
    assert jobs["submission"] == 1
    assert jobs["train"] == 11


def test_a_target_after_a_pair_option_is_made(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    run.planned()  # writes the config
    files = f"--snakefile {ROOT}/Snakefile --configfile config.yaml"
    snakemake(f"--cores 1 {files} --resources gpu=1 config", folder=run.folder)
    assert (run.folder / "results" / "config.yaml").exists()


def test_the_demo_runs_in_another_folder(tmp_path: Path) -> None:
    """It reads the config beside the Snakefile and writes results into the working folder."""
    line = f"--cores 8 --snakefile {ROOT}/Snakefile --resources gpu=1"
    snakemake(f"{line} results/config.yaml", folder=tmp_path)
    assert len(load_samples(read_run_config(tmp_path / "results").data).samples) == 128
    there = job_counts(snakemake(f"{line} submission --dry-run", folder=tmp_path))
    here = job_counts(snakemake(f"--cores 8 --directory {tmp_path} submission --dry-run"))
    assert there == here
    assert there["train"] == 11


def test_every_word_is_kept_and_only_targets_move() -> None:
    assert targets_first(
        ["a", "-n", "--resources", "gpu=1", "b", "--configfile", "c", "d", "--config", "x=1", "e"]
    ) == (
        ["b", "e", "a", "-n", "--resources", "gpu=1", "--configfile", "c", "d", "--config", "x=1"]
    )
    assert targets_first(["--resources", "gpu=1", "--", "b", "--res", "c"]) == (
        ["--resources", "gpu=1", "--", "b", "--res", "c"]
    )


def test_the_options_are_those_of_snakemake() -> None:
    actions = get_argument_parser()._actions
    pairs = {
        option
        for action in actions
        if action.nargs in ("+", "*") and "=" in (action.metavar or "")
        for option in action.option_strings
    }
    assert pairs <= PAIR_OPTIONS
    assert {option for action in actions for option in action.option_strings} >= PAIR_OPTIONS
