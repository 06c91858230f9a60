"""Pose networks in the workflow: changed weights run keypoints and heat-maps again."""

import importlib.util
import os
from pathlib import Path

import pytest

from slr_pipeline.io.features import FeatureFile
from tests.pose import networks
from tests.workflow.conftest import WorkflowRun

DARK = networks.DARK


@pytest.mark.skipif(importlib.util.find_spec("mmpose") is None, reason="mmpose is not installed")
def test_changed_weights_rerun_keypoints_and_heatmaps(copied_run: WorkflowRun) -> None:
    folder = copied_run.folder
    path = Path(networks.save(networks.build(DARK), folder / "dark.pth"))
    keypoints = {"estimator": "mmpose", "config": DARK, "flip_average": False}
    features = {
        "keypoints": {**keypoints, "checkpoint": {"path": "dark.pth"}},
        "heatmaps": {"source": "network"},
    }
    shard = next((folder / "results/features/keypoints/test").glob("*.h5")).name
    targets = [f"results/features/{name}/test/{shard}" for name in ("keypoints", "heatmaps")]
    done = copied_run.snakemake(*targets, features=features)
    assert done.returncode == 0, done.stderr
    attributes = [
        FeatureFile(folder / target, name).attributes
        for target, name in zip(targets, ("keypoints", "heatmaps"), strict=True)
    ]
    assert {each["estimator"] for each in attributes} == {f"mmpose-1.3.2-{DARK}"}
    assert attributes[1]["source"] == "network"
    assert copied_run.planned(*targets, features=features) == {}
    networks.save(networks.build(DARK, seed=1), path)
    os.utime(path)
    assert copied_run.planned(*targets, features=features) == {"keypoints": 1}
