"""Imported keypoints, and imported logits as a stream of a track."""

import json

import numpy as np
import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.io.logits import read_logits
from tests.workflow.conftest import WorkflowRun


def test_the_path_with_sample_reaches_the_step_unchanged(finished_run: WorkflowRun) -> None:
    """`{sample}` is no wildcard of Snakemake."""
    keypoints = {"estimator": "imported", "format": "openpose", "path": "json/{sample}"}
    targets = ("--dry-run", "--printshellcmds", "features")
    done = finished_run.snakemake(*targets, features={"keypoints": keypoints})
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert '"estimator":"imported","format":"openpose","path":"json/{sample}"' in output


def test_imported_logits_are_a_stream(copied_run: WorkflowRun) -> None:
    run, folder = copied_run, copied_run.folder
    (folder / "config.yaml").write_text(json.dumps(run.config))
    data = {"layout": "table", "table": str(folder / "samples.csv")}
    here = folder / "absolute.yaml"
    here.write_text(json.dumps({**run.config, "data": data}))
    for split in ("val", "test"):
        made = read_logits(folder / f"results/streams/joint/train/logits/{split}.h5")
        source = folder / f"{split}.npz"
        np.savez(source, sample=np.asarray(made.samples), logits=made.values * 2)
        flags = ["--config", str(here), "--split", split, "--protocol", "strict"]
        out = str(folder / f"{split}.h5")
        main(["import-logits", str(source), out, *flags, "--reads", "keypoints"])
    other = {"model": "imported", "reads": ["keypoints"], "val": "val.h5", "test": "test.h5"}
    changes = {
        "streams": {**run.config["streams"], "other": other},
        "tracks": {"rgb": {"streams": {"joint": None, "other": None}}},
    }
    missing = run.snakemake(
        "--dry-run",
        "submission",
        **{**changes, "streams": {**run.config["streams"], "other": {**other, "val": "none.h5"}}},
    )
    assert "error: streams.other.val: none.h5 is not there; create it" in missing.stderr
    expected = {"config": 1, "evaluate": 1, "ensemble": 1, "overview": 1, "submission": 1}
    assert run.planned(**changes) == expected
    done = run.snakemake("submission", **changes)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "results/tracks/rgb/metrics.json").read_text())
    assert metrics["streams"] == ["joint", "other"]
    # The same logits at twice the scale: calibration removes the scale, but for its prior.
    ratio = metrics["temperatures"]["other"] / metrics["temperatures"]["joint"]
    assert ratio == pytest.approx(2, abs=0.1)
    assert abs(metrics["weights"]["joint"] - 0.5) < 1e-3
    deep = {**changes, "streams": {**changes["streams"], "other": {**other, "reads": ["hha"]}}}
    refused = run.snakemake("--dry-run", "submission", **deep)
    assert "error: config: tracks.rgb.streams.other: it reads hha, and track rgb" in refused.stderr
