"""Imported keypoints in the workflow: `{sample}` in a path is not a wildcard of Snakemake."""

from pathlib import Path

import yaml

from tests.workflow.conftest import DEMO, ROOT, WorkflowRun


def test_the_path_with_sample_reaches_the_step_unchanged(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["data"]["root"] = str(DEMO)
    config["features"]["keypoints"] = {
        "estimator": "imported",
        "format": "openpose",
        "path": "json/{sample}",
    }
    done = WorkflowRun(tmp_path, config).snakemake("--dry-run", "--printshellcmds", "features")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert '"estimator":"imported","format":"openpose","path":"json/{sample}"' in output
