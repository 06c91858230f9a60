"""Pose networks in the workflow: weights are inputs, heat-maps may come with the keypoints."""

import importlib.util
import os
import re
import shutil
from pathlib import Path

import pytest

from slr_pipeline.io.features import FeatureFile
from tests.pose import networks
from tests.workflow.conftest import WorkflowRun

DARK = networks.DARK


def features(path: Path, **heatmaps: object) -> dict[str, object]:
    keypoints = {
        "estimator": "mmpose",
        "config": DARK,
        "checkpoint": {"path": str(path)},
        "flip_average": False,
    }
    return {"keypoints": keypoints, "heatmaps": heatmaps}


def test_weights_that_are_not_there_are_told_at_once(
    finished_run: WorkflowRun, tmp_path: Path
) -> None:
    path = tmp_path / "hrnet.pth"
    refused = finished_run.snakemake("--dry-run", "features", features=features(path))
    assert refused.returncode != 0
    line = f"error: features.keypoints.checkpoint.path: {path} is not there; get "
    assert line in refused.stderr


def test_the_networks_heatmaps_come_with_the_keypoints(
    finished_run: WorkflowRun, tmp_path: Path
) -> None:
    path = tmp_path / "hrnet.pth"
    path.touch()
    drawn = finished_run.planned("features", features=features(path))
    planned = finished_run.planned("features", features=features(path, source="network"))
    assert drawn["heatmaps"] == drawn["keypoints"] == planned["keypoints"]
    assert planned == {rule: count for rule, count in drawn.items() if rule != "heatmaps"}


def test_a_network_asks_for_the_gpu(finished_run: WorkflowRun, tmp_path: Path) -> None:
    path = tmp_path / "hrnet.pth"
    path.touch()
    for device, gpus in (("auto", 1), ("cpu", 0)):
        done = finished_run.snakemake(
            "--dry-run", "-p", "features", features=features(path), device=device
        )
        job = re.search(r"rule keypoints:(.*?)\n\n", done.stdout, re.DOTALL)
        assert job is not None, done.stderr
        assert f"gpu={gpus}" in job[1]


@pytest.mark.skipif(importlib.util.find_spec("mmpose") is None, reason="mmpose is not installed")
def test_changed_weights_make_both_anew(finished_run: WorkflowRun, tmp_path: Path) -> None:
    folder = tmp_path / "a copy"
    shutil.copytree(finished_run.folder, folder)
    run = WorkflowRun(folder, finished_run.config)
    path = Path(networks.save(networks.build(DARK), folder / "dark.pth"))
    ours = features(Path("dark.pth"), source="network")
    shard = next((folder / "results/features/keypoints/test").glob("*.h5")).name
    targets = [f"results/features/{name}/test/{shard}" for name in ("keypoints", "heatmaps")]
    done = run.snakemake(*targets, features=ours)
    assert done.returncode == 0, done.stderr
    attributes = [
        FeatureFile(folder / target, name).attributes
        for target, name in zip(targets, ("keypoints", "heatmaps"), strict=True)
    ]
    assert {each["estimator"] for each in attributes} == {f"mmpose-1.3.2-{DARK}"}
    assert attributes[1]["source"] == "network"
    assert run.planned(*targets, features=ours) == {}
    networks.save(networks.build(DARK, seed=1), path)
    os.utime(path)
    assert run.planned(*targets, features=ours) == {"keypoints": 1}
