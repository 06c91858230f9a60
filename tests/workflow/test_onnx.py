"""A stream of a finished run, exported: its ONNX file gives the logits that the run wrote."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.logits import read_logits
from slr_pipeline.steps.predict import load_trained
from slr_pipeline.training.streams import build_dataset
from tests.workflow.conftest import WorkflowRun


def results_of_a_longer_training(finished: WorkflowRun, folder: Path) -> Path:
    """After two epochs the norms know nothing and logits are millions."""
    shutil.copytree(finished.folder, folder)
    run = WorkflowRun(folder, finished.config)
    recipe = {"epochs": 12, "batch_size": 4, "optimizer": "adam", "learning_rate": 0.002}
    recipe |= {"warmup_epochs": 0, "overfit_steps": 0}
    joint = {**run.config["streams"]["joint"], "frames": 40, "window": 30, "training": recipe}
    targets = ("results/config.yaml", "results/streams/joint/train/logits/test.h5")
    done = run.snakemake(*targets, streams={"joint": joint})
    assert done.returncode == 0, done.stderr
    return folder / "results"


@pytest.mark.slow
def test_the_logits_of_the_run(
    finished_run: WorkflowRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = results_of_a_longer_training(finished_run, tmp_path / "run")
    out = tmp_path / "out"
    main(["export", "--onnx", "joint", "--results", str(results), "--out", str(out)])
    assert " on 4 clips of the run\n" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(out / "joint.onnx")
    logits = read_logits(results / "streams/joint/train/logits/test.h5")
    names = [name for name, there in zip(logits.samples, logits.answered, strict=True) if there]
    store = FeatureStore("keypoints", sorted(results.glob("features/keypoints/test/*.h5")))
    settings = load_trained(str(results / "streams/joint/train/model.safetensors")).settings
    samples = [(name, -1) for name in names]
    dataset = build_dataset(settings, {"keypoints": store}, samples, train=False, seed=0)
    skeletons = np.stack([dataset[n][0][0].numpy() for n in range(len(dataset))])
    (found,) = session.run(["logits"], {"skeleton": skeletons})
    assert len(found) == 4
    assert np.abs(found - logits.values[logits.answered]).max() < 1e-4
