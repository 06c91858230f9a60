"""The files of a whole run; a second run, without a network, writes the same bytes."""

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import check_config
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.verified import read_verified
from slr_pipeline.schema import FEATURES
from tests.workflow.commands import environment
from tests.workflow.conftest import MISSING, WorkflowRun, make_run, quality_of

# A network namespace without a connection to the outside.
WITHOUT_NETWORK = ("unshare", "-rn")
CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"


def results(run: WorkflowRun) -> Path:
    return run.folder / "results"


def test_the_submission_has_every_row_in_table_order(finished_run: WorkflowRun) -> None:
    track = results(finished_run) / "tracks" / "rgb"
    with (track / "submission.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    expected = [row["sample"] for row in finished_run.rows() if row["split"] == "test"]
    assert [name for name, _ in rows] == expected
    assert {int(label) for _, label in rows} <= {0, 1, 2, 3}
    with zipfile.ZipFile(track / "submission.zip") as archive:
        assert archive.read("predictions.csv") == (track / "submission.csv").read_bytes()


def test_metrics_name_protocol_weights_and_samples(finished_run: WorkflowRun) -> None:
    metrics = json.loads((results(finished_run) / "tracks/rgb/metrics.json").read_text())
    assert metrics["protocol"] == "strict"
    assert metrics["weights"] == {"joint": 1.0}
    assert metrics["answered_by"]["test"] == {"0": 1, "1": 4}
    assert metrics["test"]["samples"] == 5
    low, high = metrics["test"]["top1_low"], metrics["test"]["top1_high"]
    assert 0 <= low <= metrics["test"]["top1"] <= high <= 1


def test_a_missing_video_is_quarantined_and_still_answered(finished_run: WorkflowRun) -> None:
    with (results(finished_run) / "quarantine.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["sample"] == MISSING
    assert "gone.mp4" in row["reason"]
    logits = read_logits(results(finished_run) / "streams/joint/train/logits/test.h5")
    answered = dict(zip(logits.samples, logits.answered.tolist(), strict=True))
    assert [name for name, known in answered.items() if not known] == [MISSING]
    for feature in FEATURES:
        store = FeatureStore(feature, results(finished_run).glob(f"features/{feature}/test/*.h5"))
        assert store.frames(MISSING) == 0


def test_a_change_in_test_does_not_change_the_logits_of_val(
    commands: dict[str, list[str]], finished_run: WorkflowRun, copied_run: WorkflowRun
) -> None:
    """One job predicts both splits."""
    table = results(copied_run) / "quality/test.csv"
    sample = next(name for name in quality_of(results(copied_run), "test") if name != MISSING)
    rows = table.read_text().splitlines()
    table.write_text("\n".join(x + "jitter" * x.startswith(sample) for x in rows) + "\n")
    (command,) = commands["predict"]
    subprocess.run(["bash", "-c", command], cwd=copied_run.folder, env=environment(), check=True)
    logits = "streams/joint/train/logits"
    again = read_logits(results(copied_run) / logits / "test.h5")
    unanswered = {name for name, own in zip(again.samples, again.answered, strict=True) if not own}
    assert unanswered == {MISSING, sample}
    val = [(results(run) / logits / "val.h5").read_bytes() for run in (finished_run, copied_run)]
    assert val[0] == val[1]


def test_every_feature_has_every_sample_with_equal_numbers_of_frames(
    finished_run: WorkflowRun,
) -> None:
    folder = results(finished_run) / "features"
    keypoints = FeatureStore("keypoints", folder.glob("keypoints/*/*.h5"))
    assert sorted(keypoints.samples) == sorted(row["sample"] for row in finished_run.rows())
    assert keypoints.estimator["estimator"].startswith("mediapipe-")
    sidecar = json.loads((results(finished_run) / "streams/joint/train/model.json").read_text())
    assert sidecar["estimator"] == keypoints.estimator
    for feature, schema in FEATURES.items():
        store = FeatureStore(feature, folder.glob(f"{feature}/*/*.h5"))
        assert sorted(store.samples) == sorted(keypoints.samples), feature
        assert store.estimator == keypoints.estimator, feature
        for sample in keypoints.samples:
            frames = keypoints.frames(sample)
            expected = schema.frames if schema.frames and frames else frames
            clip = store.read(sample)
            assert clip.values.shape == (expected, *schema.shape), feature
            assert (clip.width, clip.height) == ((512, 512) if frames else (0, 0)), feature
            assert clip.values.any() or not frames, feature


def test_every_sample_has_its_quality(finished_run: WorkflowRun) -> None:
    for split in ("train", "val", "test"):
        rows = quality_of(results(finished_run), split)
        expected = {row["sample"] for row in finished_run.rows() if row["split"] == split}
        assert rows.keys() == expected
        assert {name for name, row in rows.items() if row["frames"] == "0"} <= {MISSING}
        assert not any(row["reason"] for row in rows.values())


def test_the_checked_config_is_written(finished_run: WorkflowRun) -> None:
    kept = yaml.safe_load((results(finished_run) / "config.yaml").read_text())
    assert kept["data"]["table"] == "../samples.csv"  # relative to the file
    kept["data"]["table"] = "samples.csv"
    assert check_config(kept) == check_config(finished_run.config)


def test_a_moved_run_finds_its_videos(
    finished_run: WorkflowRun, copied_run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a command nor a new feature reads the videos at the old place."""
    monkeypatch.chdir(copied_run.folder.parent)
    table = min((copied_run.folder / "results/verify/train").iterdir())
    rows = read_verified(table)
    sample = rows[0].sample
    assert {Path(row.color).parent for row in rows} == {copied_run.folder / "my videos"}
    where = "a copy/results"
    main(["overlay", sample, "--results", where, "--out", "x.mp4"])
    (copied_run.folder / "my videos" / f"{sample}_color.mp4").unlink()
    with pytest.raises(SystemExit):
        main(["overlay", sample, "--results", where, "--out", "y.mp4"])
    there = finished_run.folder / table.relative_to(copied_run.folder)
    assert there.read_bytes() == table.read_bytes()


def test_nothing_half_written_and_nothing_elsewhere(finished_run: WorkflowRun) -> None:
    assert list(finished_run.folder.rglob("*.partial")) == []
    known = {".snakemake", "config.yaml", "my videos", "results", "samples.csv"}
    assert {path.name for path in finished_run.folder.iterdir()} <= known


def test_too_many_bad_videos_stop_the_run_with_the_list(copied_run: WorkflowRun) -> None:
    done = copied_run.snakemake("submission", verify={"max_quarantined": 0.01})
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert (
        "error: 1 of 17 samples are quarantined (5.9%), more than verify.max_quarantined" in output
    )
    assert f"  {MISSING}: my videos/gone.mp4" in output
    assert "Traceback" not in output
    assert (results(copied_run) / "tracks/rgb/submission.csv").exists()


@pytest.fixture(scope="module")
def second_run(tmp_path_factory: pytest.TempPathFactory) -> WorkflowRun:
    """The same run in another folder, without a network if the machine allows that."""
    run = make_run(tmp_path_factory.mktemp("second") / "again")
    inside = WITHOUT_NETWORK if network_can_be_removed() else ()
    done = run.snakemake("all", "features", inside=inside)
    assert done.returncode == 0, done.stdout + done.stderr
    return run


def network_can_be_removed() -> bool:
    command = [*WITHOUT_NETWORK, "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_a_run_without_a_network(second_run: WorkflowRun) -> None:
    if not network_can_be_removed():
        pytest.skip("network namespaces are not available")
    command = [*WITHOUT_NETWORK, sys.executable, "-c", CONNECT]
    connected = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Network is unreachable" in connected.stderr
    assert (results(second_run) / "report/index.html").stat().st_size > 100_000


def test_a_run_is_reproduced_to_the_byte(
    finished_run: WorkflowRun, second_run: WorkflowRun
) -> None:
    for path in sorted(results(finished_run).rglob("*")):
        name = path.relative_to(results(finished_run))
        # The report contains the run time of the jobs; `videos` the times of the copied clips.
        if path.is_file() and name.parts[0] not in ("logs", "benchmarks", "report", "videos"):
            assert (results(second_run) / name).read_bytes() == path.read_bytes(), name
