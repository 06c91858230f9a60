"""Trainings in the workflow: stopped and gone on, streams of several features, fine-tuning."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.io.logits import read_logits
from slr_pipeline.planning.plan import make_plan
from tests.workflow.conftest import MISSING, WorkflowRun, quality_of
from tests.workflow.test_interrupt import start, wait_until

HANDS = {
    "model": "vtn",
    "depth": True,
    "backbone": "resnet18",
    "backbone_width": 4,
    "width": 32,
    "heads": 2,
    "layers": 1,
    "frames": 4,
    "size": 32,
    "training": {"epochs": 1, "batch_size": 4, "micro_batch": 2, "overfit_steps": 0},
    "finetune": {"epochs": 1, "batch_size": 4},
}


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(
    copied_run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake and the step are killed after an epoch is saved; then the same command runs."""
    joint = copied_run.config["streams"]["joint"]
    longer = {"joint": {**joint, "training": {**joint["training"], "epochs": 12}}}
    target = "results/streams/joint/train/model.safetensors"
    assert copied_run.snakemake(target, streams=longer).returncode == 0
    undisturbed = {path: path.read_bytes() for path in weights_of(copied_run)}
    for path in undisturbed:
        path.unlink()

    state = copied_run.folder / "results/streams/joint/train/state"
    running = start(copied_run, target)
    wait_until((state / "state.pt").exists, running)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (copied_run.folder / target).exists()
    # slr plan works in a locked folder with incomplete files.
    monkeypatch.chdir(copied_run.folder)
    assert make_plan("config.yaml", nodes=1, cores=2, gpus=0).missing_bytes > 0

    assert copied_run.snakemake("--unlock", streams=longer).returncode == 0
    again = copied_run.snakemake(target, streams=longer)
    assert again.returncode == 0, again.stderr
    log = (copied_run.folder / "results/logs/train/joint/train.log").read_text()
    assert "resumes in epoch" in log
    assert not state.exists()
    assert {path: path.read_bytes() for path in weights_of(copied_run)} == undisturbed


def weights_of(run: WorkflowRun) -> list[Path]:
    folder = run.folder / "results/streams/joint/train"
    return [folder / name for name in ("model.safetensors", "model.json", "history.csv")]


def test_protocol_challenge_finetunes_and_trains_nothing_anew(copied_run: WorkflowRun) -> None:
    joint = {**copied_run.config["streams"]["joint"], "finetune": {"epochs": 1, "batch_size": 4}}
    changes = {
        "protocol": "challenge",
        "streams": {"joint": joint, "hands": HANDS},
        "tracks": {
            "rgb": {"fusion": "published", "streams": {"joint": 1.2}, "untuned": {"joint": 1.5}},
            "rgbd": {"streams": {"joint": 1.0, "hands": 0.5}},
        },
    }
    before = weights_of(copied_run)[0].stat().st_mtime_ns
    assert copied_run.planned(**changes)["train"] == 3
    done = copied_run.snakemake("submission", **changes)
    assert done.returncode == 0, done.stderr
    assert weights_of(copied_run)[0].stat().st_mtime_ns == before
    results = copied_run.folder / "results"
    for stream in ("joint", "hands"):
        for phase, protocol, splits in (
            ("train", "strict", {"val", "test"}),
            ("finetune", "challenge", {"test"}),
        ):
            folder = results / "streams" / stream / phase
            sidecar = json.loads((folder / "model.json").read_text())
            assert (sidecar["phase"], sidecar["protocol"]) == (phase, protocol)
            assert ("val_loss" in sidecar["metrics"]) == (phase == "train")
            metrics = json.loads((folder / "metrics.json").read_text())
            assert metrics["protocol"] == protocol
            assert {"val", "test"} & metrics.keys() == splits
            assert {path.stem for path in (folder / "logits").iterdir()} == splits
            assert read_logits(folder / "logits" / "test.h5").protocol == protocol
    for track in ("rgb", "rgbd"):
        assert len((results / "tracks" / track / "submission.csv").read_text().splitlines()) == 5
    rgb = json.loads((results / "tracks/rgb/metrics.json").read_text())
    assert rgb["protocol"] == "challenge"
    assert rgb["weights"] == {"joint": 1.2, "joint/train": 1.5}
    assert rgb["top1_without"]["test"].keys() == rgb["weights"].keys()


def test_more_seeds_train_only_those_that_are_missing(copied_run: WorkflowRun) -> None:
    """The first seed stays as it is; their logits are averaged; fewer seeds train nothing."""
    results = copied_run.folder / "results"
    folder = results / "streams/joint/train"

    def changes(seeds: int, **more: Any) -> dict[str, Any]:
        joint = {**copied_run.config["streams"]["joint"], "seeds": seeds, **more}
        return {"streams": {"joint": joint}}

    first = {path: path.read_bytes() for path in weights_of(copied_run)}
    alone = {split: read_logits(folder / f"logits/{split}.h5") for split in ("val", "test")}
    done = copied_run.snakemake("all", **changes(2))
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in weights_of(copied_run)} == first
    sidecar = json.loads((folder / "seed2/model.json").read_text())
    assert (sidecar["seed"], sidecar["phase"]) == (2, "train")
    assert (results / "logs/train/joint/train/seed2.log").exists()
    metrics = json.loads((folder / "metrics.json").read_text())
    for split, before in alone.items():
        logits = read_logits(folder / f"logits/{split}.h5")
        assert logits.seeds is not None
        assert (logits.seeds[:, 0] == before.values).all()
        assert (logits.seeds[:, 1] != before.values).any()
        mean = logits.seeds.mean(axis=1, dtype=np.float64).astype(np.float32)
        assert (logits.values == mean).all()
        assert [seed["samples"] for seed in metrics[split]["seeds"]] == [4, 4]
    second = (folder / "seed2/model.safetensors").read_bytes()
    planned = copied_run.planned("all", **changes(3))
    assert (planned["train"], planned["predict"], planned["report"]) == (1, 1, 1)
    planned = copied_run.planned("all", **changes(1))
    assert "train" not in planned
    assert planned["predict"] == 1
    tuned = {**changes(3, finetune={"epochs": 1}), "protocol": "challenge"}
    assert copied_run.planned(**tuned)["train"] == 1 + 3
    assert copied_run.planned(**changes(2), seed=2)["train"] == 2
    # The second seed is the first one of an experiment with the next seed.
    done = copied_run.snakemake("results/streams/joint/train/model.safetensors", seed=2)
    assert done.returncode == 0, done.stderr
    assert (folder / "model.safetensors").read_bytes() == second


def test_folds_fit_the_track_to_signers_their_models_did_not_see(copied_run: WorkflowRun) -> None:
    rows = copied_run.rows()
    first: set[str] = set()
    for row in rows:  # two clips of each sign in train, one by each
        number = "second" if row["label"] in first else "first"
        row["signer"] = number if row["split"] == "train" else row["split"]
        first.add(row["label"])
    copied_run.write_rows(rows)
    refused = copied_run.snakemake("--dry-run", "submission", folds=3)
    assert "error: folds: 3 needs as many signers in train, found 2; set" in refused.stderr
    planned = copied_run.planned(folds=2)
    assert (planned["train"], planned["predict_fold"]) == (2, 2)
    assert "predict" not in planned
    streams = {"joint": {**copied_run.config["streams"]["joint"], "seeds": 2}}
    planned = copied_run.planned(folds=2, streams=streams)
    assert (planned["train"], planned["predict_fold"], planned["predict"]) == (1 + 2 * 2, 2, 1)
    done = copied_run.snakemake("submission", folds=2, streams=streams)
    assert done.returncode == 0, done.stderr
    results = copied_run.folder / "results"
    signer_of = {row["sample"]: row["signer"] for row in rows if row["split"] == "train"}
    answered = []
    for fold in ("fold1", "fold2"):
        folder = results / "streams/joint" / fold
        logits = read_logits(folder / "logits/train.h5")
        sidecar = json.loads((folder / "model.json").read_text())
        other = json.loads((folder / "seed2/model.json").read_text())
        assert (sidecar["seed"], other["seed"]) == (1, 2)
        assert tuple(sidecar["held_out"]) == tuple(other["held_out"]) == logits.samples
        assert len({signer_of[name] for name in logits.samples}) == 1
        assert logits.protocol == "strict"
        assert logits.answered.all()
        answered += logits.samples
    assert sorted(answered) == sorted(signer_of)
    metrics = json.loads((results / "tracks/rgb/metrics.json").read_text())
    assert metrics["fitted_on"] == "train, out of fold"
    assert metrics["val_left_out"] is None


def test_clips_with_bad_keypoints_are_left_out_and_still_answered(copied_run: WorkflowRun) -> None:
    results = copied_run.folder / "results"
    jitter = {
        split: {name: float(row["jitter"] or 0) for name, row in quality_of(results, split).items()}
        for split in ("train", "val", "test")
    }
    second, worst = sorted(jitter["train"].values())[-2:]
    limit = (second + worst) / 2
    bad = {
        split: {name for name, value in found.items() if value > limit}
        for split, found in jitter.items()
    }
    assert len(bad["train"]) == 1
    assert bad["test"]
    done = copied_run.snakemake("submission", quality={"max_jitter": limit, "max_quarantined": 0.9})
    assert done.returncode == 0, done.stderr
    for split, expected in bad.items():
        rows = quality_of(results, split)
        assert {name for name, row in rows.items() if row["reason"]} == expected
    log = (results / "logs/train/joint/train.log").read_text()
    samples = {split: len(found) for split, found in jitter.items()}
    assert f"train: {samples['train'] - 1} of {samples['train']} samples" in log
    logits = read_logits(results / "streams/joint/train/logits/test.h5")
    answered = dict(zip(logits.samples, logits.answered.tolist(), strict=True))
    assert {name for name, known in answered.items() if not known} == {MISSING, *bad["test"]}
    metrics = json.loads((results / "tracks/rgb/metrics.json").read_text())
    assert metrics["answered_by"]["test"]["0"] == 1 + len(bad["test"])
    submission = (results / "tracks/rgb/submission.csv").read_text().splitlines()
    assert len(submission) == samples["test"]


def test_weights_without_training_need_the_samples_of_test_alone(copied_run: WorkflowRun) -> None:
    """Protocol challenge, no videos of train and val; the answers are those of the weights."""
    folder = copied_run.folder
    trained = folder / "results/streams/joint/train"
    expected = read_logits(trained / "logits/test.h5")
    for ending in ("safetensors", "json"):
        (trained / f"model.{ending}").rename(folder / f"given.{ending}")
    for path in ("streams", "tracks", "report", "config.yaml"):
        remove(folder / "results" / path)
    for split in ("train", "val"):
        for path in ("features/keypoints", "verify", "videos", "quality"):
            remove(*folder.glob(f"results/{path}/{split}*"))
        remove(*(folder / row["color"] for row in copied_run.rows() if row["split"] == split))
    joint = copied_run.config["streams"]["joint"]
    changes: dict[str, Any] = {
        "protocol": "challenge",
        "verify": {"max_quarantined": 0.5},  # one of five has no video
        "streams": {
            "joint": {**joint, "init": {"path": "given.safetensors"}, "training": {"epochs": 0}}
        },
        "tracks": {"rgb": {"fusion": "published", "streams": {"joint": 1.0}}},
    }
    done = copied_run.snakemake("all", **changes)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (folder / "results/streams/joint").iterdir()] == ["train"]
    logits = read_logits(trained / "logits/test.h5")
    assert logits.protocol == "challenge"
    assert (logits.values == expected.values).all()
    metrics = json.loads((folder / "results/tracks/rgb/metrics.json").read_text())
    assert metrics["val"] is None
    for kind in ("features/keypoints", "verify", "videos", "quality"):
        found = {path.stem for path in (folder / "results" / kind).iterdir()}
        assert found == {"test"}, kind


def remove(*paths: Path) -> None:
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
