"""The step after `verify` of all shards: it warns of one file that is several samples."""

import logging
import shutil
from pathlib import Path

import pytest

from slr_pipeline.cli.check import describe
from slr_pipeline.config.checks import VerifySettings
from slr_pipeline.config.experiment import read_config
from slr_pipeline.samples.table import load_samples
from slr_pipeline.steps.quarantine import quarantine
from slr_pipeline.steps.verify import verify
from tests.shared_data import CASES, NEEDS_CASES


@NEEDS_CASES
def test_twins_are_named_in_the_log_and_by_slr_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(CASES / "twins", tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    config = read_config("config.yaml")
    assert "SHA-256" not in describe(config, load_samples(config.data))
    tables = [f"results/verify/{split}/all.csv" for split in ("train", "val", "test")]
    for table in tables:
        verify(config.data, Path(table).parent.name, "all", 512, 60, table)
    with caplog.at_level(logging.WARNING):
        quarantine(config.data, VerifySettings(), tables, "results/quarantine.csv")
    leak = (
        "in several splits under other names (equal SHA-256), first a (train), b (train), c (val)"
    )
    mixed = "1 video is labelled as several classes (equal SHA-256), first a (x), b (y)"
    for where in (caplog.text, describe(config, load_samples(config.data))):
        assert leak in where
        assert mixed in where
