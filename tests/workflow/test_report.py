"""Snakemake's own report of a finished run, as a file that needs no network."""

import re
from pathlib import Path

from tests.workflow.conftest import WorkflowRun


def test_the_report_holds_tracks_streams_and_quarantine(
    finished_run: WorkflowRun, tmp_path: Path
) -> None:
    page = tmp_path / "my report.html"
    done = finished_run.snakemake("submission", "--report", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    for what in ("submission.csv", "quarantine.csv", "history.csv", "metrics.json"):
        assert what in text
    for caption in ("weighs streams into one submission", "The epochs of phase", "with the reason"):
        assert caption in text
    assert "class that track rgb answers" in " ".join(text.split())
    assert re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["']?https?:""", text) == []
