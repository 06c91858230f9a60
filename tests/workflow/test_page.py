"""The report page of a run and Snakemake's own report, which contains it."""

import re
from pathlib import Path

from tests.workflow.conftest import MISSING, WorkflowRun


def test_the_page_describes_the_run(finished_run: WorkflowRun) -> None:
    text = (finished_run.folder / "results/report/index.html").read_text()
    assert f'<th scope="row">{MISSING}</th>' in text
    assert "1 stream learned 4 signs from 8 clips" in text
    assert "of 5 clips of test" in text
    for rule in ("keypoints", "train", "ensemble"):
        assert f'<th scope="row">{rule}</th>' in text
    assert "keypoints (left: blue)" in text


def test_snakemakes_report_contains_tracks_streams_quarantine_and_page(
    finished_run: WorkflowRun, tmp_path: Path
) -> None:
    page = tmp_path / "my report.html"
    done = finished_run.snakemake("all", "--report", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    for name in ("submission.csv", "quarantine.csv", "history.csv", "metrics.json"):
        assert name in text
    captions = ("a track fuses weighted streams", "Epochs of phase", "with the reason")
    for caption in ("Page of the run", *captions):
        assert caption in text
    assert "class of track rgb for each sample" in " ".join(text.split())
    assert re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["']?https?:""", text) == []
