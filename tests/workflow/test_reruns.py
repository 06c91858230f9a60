"""A job runs again if, and only if, its inputs, settings or the version of a feature change."""

import dataclasses
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slr_pipeline.config.experiment import TableData
from slr_pipeline.io.features import FeatureFile
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import load_samples
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES
from tests.workflow.conftest import ROOT, WorkflowRun

SCORES = {"ensemble": 1, "overview": 1}
READERS = {"train": 1, "predict": 1, "evaluate": 1, **SCORES, "submission": 1}
FINETUNED = {"predict_test" if rule == "predict" else rule: n for rule, n in READERS.items()}
CONFIG = {"config": 1}
"""The rule that writes the configuration beside the results: it runs after every change."""
VERIFIED = {"verify": 1, "duplicates": 1, "quarantine": 1}
"""The rules that run after a change of one shard's videos."""
DOUBLED = {"rgb": {"streams": {"joint": 2.0}}}
VIDEOS = ("color", "depth")
DRAWN = {"stored": False, "sigma": 2.0}


def test_a_second_run_has_nothing_to_do(finished_run: WorkflowRun) -> None:
    done = finished_run.snakemake("all", "features")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
    assert "profiles/default" in done.stderr


@pytest.mark.parametrize(
    ("targets", "changes", "expected"),
    [
        (["submission"], {"tracks": DOUBLED}, SCORES),
        (["all"], {"tracks": DOUBLED}, {**SCORES, "report": 1}),
        (["submission"], {"seed": 2}, READERS),
        (["submission"], {"protocol": "challenge"}, FINETUNED),
        (["submission", "features"], {"quality": {"max_swapped": 0.5}}, {"quality": 3, **READERS}),
        (["submission", "features"], {"features": {"heatmaps": DRAWN}}, {}),
    ],
    ids=["track weight", "page", "seed", "protocol", "limit of quality", "heat-maps not stored"],
)
def test_a_setting_reruns_its_readers_only(
    finished_run: WorkflowRun,
    targets: list[str],
    changes: dict[str, Any],
    expected: dict[str, int],
) -> None:
    planned = finished_run.planned(*targets, **changes)
    assert planned == {**expected, **CONFIG, targets[0]: 1}


def test_an_epoch_count_reruns_that_stream_only(finished_run: WorkflowRun) -> None:
    joint = finished_run.config["streams"]["joint"]
    longer = {**joint, "training": {**joint["training"], "epochs": 3}}
    assert finished_run.planned(streams={"joint": longer}) == READERS | CONFIG
    # A second stream is trained; the first keeps its model.
    tracks = {"rgb": {"streams": {"joint": 1.0, "other": 1.0}}}
    planned = finished_run.planned(streams={"joint": joint, "other": joint}, tracks=tracks)
    assert planned == READERS | CONFIG


def test_evaluation_settings_retrain_nothing(copied_run: WorkflowRun) -> None:
    def changes(
        evaluation: Mapping[str, object] = {}, **training: object
    ) -> dict[str, dict[str, object]]:
        recipe = {"epochs": 1, "batch_size": 4, "overfit_steps": 0, **training}
        size = {"width": 2, "frames": 2, "size": 16, "test_clips": 2, **evaluation}
        video = {"model": "r2plus1d", "feature": "frames", **size, "training": recipe}
        return {"streams": {"video": video}, "tracks": {"rgb": {"streams": {"video": 1.0}}}}

    done = copied_run.snakemake("submission", **changes())
    assert done.returncode == 0, done.stderr
    assert (
        copied_run.planned(**changes(overfit_steps=5, chance_epochs=7))
        == {"submission": 1} | CONFIG
    )
    after_training = {rule: count for rule, count in READERS.items() if rule != "train"}
    for evaluation in ({"test_clips": 3}, {"test_mirror": True}, {"test_speeds": [0.9, 1.1]}):
        assert copied_run.planned(**changes(evaluation)) == after_training | CONFIG
    assert copied_run.planned(**changes(epochs=2)) == READERS | CONFIG


def test_a_setting_of_the_keypoints_reruns_them_and_their_readers(
    finished_run: WorkflowRun,
) -> None:
    features = {"keypoints": {"estimator": "mediapipe", "min_detection_confidence": 0.6}}
    shards = shard_count(finished_run)
    planned = finished_run.planned("submission", "features", features=features)
    made = dict.fromkeys(FEATURES, shards)
    assert planned == {**made, "quality": 3, **READERS, "features": 1, **CONFIG}


def test_settings_of_features_that_no_stream_reads_rerun_those_features_only(
    finished_run: WorkflowRun,
) -> None:
    settings: dict[str, dict[str, object]] = {
        "frames": {"fidelity": "published"},
        "hand_crops": {"fidelity": "published"},
        "depth_hand_crops": {"fidelity": "published"},
        "pose_flow": {"fidelity": "published"},
        "flow": {"method": "dis"},
        "depth_flow": {"bound_px": 10.0},
        "hha": {"near_m": 0.4},
        "heatmaps": {"sigma": 2.0},
    }
    shards = shard_count(finished_run)
    for changes in ({"flow": settings["flow"]}, settings):
        planned = finished_run.planned("submission", "features", features=changes)
        expected = dict.fromkeys(changes, shards)
        assert planned == {**expected, "features": 1, "submission": 1, **CONFIG}


def test_without_depth_videos_no_feature_needs_them(copied_run: WorkflowRun) -> None:
    copied_run.write_rows([{**row, "depth": ""} for row in copied_run.rows()])
    assert not set(copied_run.planned("features")) & set(DEPTH_FEATURES)


def test_a_schema_version_reruns_the_feature_and_its_readers(
    finished_run: WorkflowRun, tmp_path: Path
) -> None:
    project = copy_project(tmp_path)
    schema = project / "slr_pipeline" / "schema.py"
    text = schema.read_text()
    keypoints = text.index('"keypoints": FeatureSchema(')
    schema.write_text(text[:keypoints] + text[keypoints:].replace("version=2,", "version=3,", 1))
    planned = finished_run.planned("submission", project=project)
    assert planned == {"keypoints": shard_count(finished_run), "quality": 3, **READERS}


def test_edited_code_reruns_nothing(finished_run: WorkflowRun, tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    rules = project / "workflow" / "rules" / "features.smk"
    rules.write_text(rules.read_text().replace("2> {log:q}", " 2> {log:q}"))
    assert finished_run.planned(project=project) == {}


def test_an_added_clip_reruns_its_shard_only(copied_run: WorkflowRun) -> None:
    rows = copied_run.rows()
    added = {**rows[0], "sample": name_for_a_shard_with_room(copied_run), "split": "train"}
    copied_run.write_rows([added, *rows])
    planned = copied_run.planned()
    assert planned == {**VERIFIED, "keypoints": 1, "quality": 1, **READERS}


@pytest.mark.parametrize("video", VIDEOS)
def test_a_replaced_video_reruns_its_shard_only(copied_run: WorkflowRun, video: str) -> None:
    train, val = (
        next(row for row in copied_run.rows() if row["split"] == split)
        for split in ("train", "val")
    )
    shutil.copy(copied_run.folder / val[video], copied_run.folder / train[video])
    planned = copied_run.planned()
    assert planned == {**VERIFIED, "keypoints": 1, "quality": 1, **READERS}


def test_the_next_run_makes_features_of_a_replaced_clip_only(copied_run: WorkflowRun) -> None:
    """Also if a job fails on the way; the bytes are those of files made at once."""
    results = copied_run.folder / "results"
    largest = max((results / "features/keypoints/train").iterdir(), key=os.path.getsize)
    clips = FeatureFile(largest, "keypoints").samples
    features = ("keypoints", "frames")
    targets = [f"results/features/{feature}/train/{largest.name}" for feature in features]
    rows = {row["sample"]: row for row in copied_run.rows()}
    other = next(row for row in rows.values() if row["split"] == "val")
    videos = {copied_run.folder / rows[clips[0]][v]: copied_run.folder / other[v] for v in VIDEOS}
    for video, new in videos.items():
        shutil.copy(new, video)
    assert copied_run.snakemake(targets[0]).returncode == 0
    for video in videos:
        video.rename(video.with_suffix(".away"))
    failed = copied_run.snakemake(*targets)
    assert failed.returncode == 1
    assert f"sample {clips[0]}: " in failed.stdout + failed.stderr
    for video in videos:
        video.with_suffix(".away").rename(video)
    done = copied_run.snakemake(*targets)
    assert done.returncode == 0, done.stdout + done.stderr
    assert copied_run.planned(*targets) == {}
    for feature in features:
        log = (results / f"logs/{feature}/train/{largest.stem}.log").read_text()
        assert f"{len(clips) - 1} of {len(clips)} clips taken over from an earlier file" in log
    files = [copied_run.folder / target for target in targets]
    grown = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    assert copied_run.snakemake(*targets).returncode == 0
    assert [file.read_bytes() for file in files] == grown


def test_moved_and_copied_videos_remake_no_feature(copied_run: WorkflowRun) -> None:
    for path in (copied_run.folder / "my videos").iterdir():
        path.touch()
    assert copied_run.planned().keys() == VERIFIED.keys()
    shutil.copytree(copied_run.folder / "my videos", copied_run.folder / "moved")
    rows = copied_run.rows()
    for row in rows:
        row.update({v: row[v].replace("my videos", "moved") for v in ("color", "depth")})
    copied_run.write_rows(rows)
    assert copied_run.planned().keys() == VERIFIED.keys()


def test_without_its_videos_a_finished_run_stays_finished(copied_run: WorkflowRun) -> None:
    shutil.rmtree(copied_run.folder / "my videos")
    assert copied_run.planned() == {}
    assert copied_run.planned(seed=2) == READERS | CONFIG


def test_a_stop_remakes_nothing_that_is_still_true(copied_run: WorkflowRun) -> None:
    videos = copied_run.folder / "my videos"
    away = videos.rename(copied_run.folder / "away")
    shutil.copytree(away, videos)
    for row in copied_run.rows()[:2]:
        (copied_run.folder / row["color"]).write_bytes(b"damaged")
    done = copied_run.snakemake("results/quarantine.csv")
    assert done.returncode == 1
    assert "samples are quarantined" in done.stderr
    shutil.rmtree(videos)
    away.rename(videos)
    assert copied_run.planned().keys() == VERIFIED.keys()


def test_a_setting_counts_although_the_quarantine_is_listed_anew(finished_run: WorkflowRun) -> None:
    """Snakemake alone does not look behind an `ancient` input whose maker runs."""
    planned = finished_run.planned(verify={"max_quarantined": 0.2}, seed=2)
    assert planned == {"quarantine": 1, **READERS, **CONFIG}


def test_a_changed_label_reruns_no_feature(copied_run: WorkflowRun) -> None:
    rows = copied_run.rows()
    other = "0" if rows[0]["label"] != "0" else "1"
    copied_run.write_rows([{**rows[0], "label": other}, *rows[1:]])
    assert copied_run.planned() == {"duplicates": 1, **READERS}


def test_a_named_signer_reruns_the_scores_only(copied_run: WorkflowRun) -> None:
    rows = copied_run.rows()
    copied_run.write_rows([{**row, "signer": f"of {row['split']}"} for row in rows])
    assert copied_run.planned() == {"duplicates": 1, "evaluate": 1, **SCORES, "submission": 1}


def name_for_a_shard_with_room(run: WorkflowRun) -> str:
    """A sample name that joins an existing train shard without splitting it."""
    data = TableData(layout="table", table=str(run.folder / "samples.csv"))
    size = run.config["shard_size"]
    train = load_samples(data).split("train")
    before = shards(train, size)
    assert len(before) > 1
    for number in range(1000):
        added = dataclasses.replace(train[0], name=f"added{number}")
        if shards([*train, added], size).keys() == before.keys():
            return added.name
    raise AssertionError("every shard is full")


def shard_count(run: WorkflowRun) -> int:
    return len(list(run.folder.glob("results/features/keypoints/*/*.h5")))


def copy_project(folder: Path) -> Path:
    """The project without data and results."""
    ignored = shutil.ignore_patterns(".*", "demo", "results", "tests", "__pycache__", "*.egg-info")
    return Path(shutil.copytree(ROOT, folder / "project", ignore=ignored))
