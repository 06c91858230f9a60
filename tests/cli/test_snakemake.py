"""The console command `snakemake` with targets after options, as people type them."""

import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

from slr_pipeline.cli.snakemake import PAIR_OPTIONS, targets_first
from tests.workflow.conftest import ROOT, job_counts


@pytest.mark.parametrize(
    "line",
    [
        "--cores 8 --resources gpu=1 submission -n",
        "-n --cores 8 --config seed=2 -- submission",
    ],
)
def test_a_target_after_a_pair_option_is_planned(line: str) -> None:
    command = [str(Path(sys.executable).with_name("snakemake")), "--forceall", *line.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = job_counts(done.stdout + done.stderr)
    assert jobs["submission"] == 1
    assert jobs["train"] == 11


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
