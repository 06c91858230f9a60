"""`slr predict` on the test clips of a run gives the answers of the run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from slr_pipeline.cli.main import main
from slr_pipeline.io.documents import read_metrics
from slr_pipeline.io.logits import read_logits
from slr_pipeline.scoring.calibration import log_probabilities
from tests.workflow.conftest import MISSING, WorkflowRun


def test_test_clips_get_the_answers_of_the_run(
    finished_run: WorkflowRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = finished_run.folder / "results"
    logits = read_logits(results / "streams/joint/train/logits/test.h5")
    metrics = read_metrics(results / "tracks/rgb/metrics.json")
    scores = log_probabilities(logits.values, metrics["temperatures"]["joint"])
    expected = dict(zip(logits.samples, softmax(scores, axis=1).tolist(), strict=True))
    lines = (results / "tracks/rgb/submission.csv").read_text().splitlines()
    submitted = {name: int(label) for name, label in (line.split(",") for line in lines)}
    clips = [row for row in finished_run.rows() if row["split"] == "test"]
    clips = [row for row in clips if row["sample"] != MISSING]
    for row in clips:
        shutil.copy(finished_run.folder / row["color"], tmp_path / f"{row['sample']}.mp4")
    monkeypatch.chdir(tmp_path)
    main(["predict", ".", "--models", str(results), "--json", "--device", "cpu"])
    videos = json.loads(capsys.readouterr().out)["videos"]
    assert len(videos) == len(clips) == 4
    for video in videos:
        name = Path(video["video"]).stem
        answers = video["answers"]
        assert answers[0]["label"] == submitted[name]
        found = {answer["label"]: answer["probability"] for answer in answers}
        assert found == dict(enumerate(expected[name]))
    assert len({np.asarray(expected[row["sample"]]).tobytes() for row in clips}) == len(clips)
