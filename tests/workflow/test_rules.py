"""One name everywhere: rule = step = log; every rule says what it does; plans stay small."""

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from slr_pipeline.config.experiment import check_config
from slr_pipeline.config.weights import configured_weights
from slr_pipeline.schema import FEATURES
from tests.workflow.conftest import ROOT, WorkflowRun, job_counts

RULES = {
    name: body
    for path in sorted(ROOT.glob("workflow/rules/*.smk"))
    for name, body in re.findall(
        r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL
    )
}
TARGETS = {"submission", "features"}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_has_docstring_step_log_and_resources(rule: str) -> None:
    body = RULES[rule]
    assert body.lstrip().startswith('"""')
    assert "message:" in body
    if rule in TARGETS:
        return
    assert (ROOT / "slr_pipeline" / "steps" / f"{rule}.py").exists()
    assert f"-m slr_pipeline.steps.{rule} " in body
    assert f"<logs>/{rule}" in body
    if "localrule" not in body:
        assert f"<benchmarks>/{rule}" in body
        assert all(word in body for word in ("threads:", "mem_mb=", "runtime="))


def test_every_step_has_a_rule() -> None:
    steps = {path.stem for path in ROOT.glob("slr_pipeline/steps/[!_]*.py")}
    assert steps == set(RULES) - TARGETS


@pytest.mark.parametrize(
    ("config", "protocol", "trainings"),
    [("autsl", "strict", 11), ("autsl", "challenge", 22), ("autsl_published", "challenge", 22)],
)
def test_autsl_is_planned_in_few_jobs_without_opening_a_video(
    tmp_path: Path, config: str, protocol: str, trainings: int
) -> None:
    root = tmp_path / "data" / "autsl"
    root.mkdir(parents=True)
    (root / "SignList_ClassId_TR_EN.csv").write_text(
        "ClassId,TR,EN\n" + "".join(f"{k},tr{k},en{k}\n" for k in range(226))
    )
    # Signers and samples per split: AUTSL, 36,302 samples by 43 signers.
    for split, count, signers in (
        ("train", 28142, range(12, 43)),
        ("val", 4418, range(6, 12)),
        ("test", 3742, range(6)),
    ):
        with (root / f"{split}_labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                (f"signer{signers[i % len(signers)]}_sample{i // len(signers)}", i % 226)
                for i in range(count)
            )
    values = yaml.safe_load((ROOT / "config" / f"{config}.yaml").read_text())
    run = WorkflowRun(tmp_path, json.loads(json.dumps({**values, "protocol": protocol})))
    refused = run.snakemake("--dry-run", "all")
    assert " is not there; get " in refused.stderr
    (tmp_path / "weights").mkdir()
    for weights in configured_weights(check_config(run.config)):
        (tmp_path / weights.path).touch()
    done = run.snakemake("--dry-run", "all")
    assert done.returncode == 0, done.stderr
    counts = job_counts(done.stdout)
    assert counts["train"] == trainings
    assert counts["predict"] == 11 * 2 + (11 if protocol == "challenge" else 0)
    # AUTSL's two tracks read every feature: nine, of 88 shards each, and the shards are verified.
    # The published heat-maps are the pose network's own and come with the keypoints.
    features = {*FEATURES} & {*counts}
    assert {*FEATURES} - features == ({"heatmaps"} if config == "autsl_published" else set())
    assert {counts[feature] for feature in features} == {counts["verify"]}
    assert counts["verify"] < 120
    assert counts["quality"] == 3
    assert sum(counts.values()) < 1100
