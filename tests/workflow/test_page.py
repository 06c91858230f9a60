"""The page of a real run: made by `all`, again when what it tells of changes, and not by others."""

from pathlib import Path

from tests.workflow.conftest import MISSING, WorkflowRun


def test_a_run_has_a_page_that_tells_of_it(finished_run: WorkflowRun) -> None:
    text = (finished_run.folder / "results/report/index.html").read_text()
    assert f'<th scope="row">{MISSING}</th>' in text
    assert "1 stream learnt 4 signs from 8 clips" in text
    assert "of 5 clips of test" in text
    for rule in ("keypoints", "train", "ensemble"):
        assert f'<th scope="row">{rule}</th>' in text
    assert "keypoints blue: left" in text


def test_what_it_tells_of_writes_it_again(finished_run: WorkflowRun) -> None:
    assert finished_run.planned("all") == {}
    tracks = {"rgb": {"streams": {"joint": 2.0}}}
    planned = finished_run.planned("all", tracks=tracks)
    assert planned == {"all": 1, "config": 1, "ensemble": 1, "report": 1}
    assert "report" not in finished_run.planned(tracks=tracks)


def test_snakemakes_own_report_holds_the_page(finished_run: WorkflowRun, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = finished_run.snakemake("all", "--report", str(page))
    assert done.returncode == 0, done.stderr
    assert "Page of the run" in page.read_text()
