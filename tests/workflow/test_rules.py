"""Rule, step and log have the same name; every rule has a docstring; AUTSL needs few jobs."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from benchmarks.size import write_experiment
from slr_pipeline.config.experiment import read_config
from slr_pipeline.planning.dry_run import planned_jobs
from slr_pipeline.schema import FEATURES
from tests.workflow.conftest import ROOT

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
    if rule in FEATURES:  # a step takes over clips of the earlier file
        assert re.search(r"output:\s+(update|kept)\(", body)
    if "localrule" not in body:
        assert f"<benchmarks>/{rule}" in body
        assert all(word in body for word in ("threads:", "mem_mb=", "runtime="))


def test_every_step_has_a_rule() -> None:
    steps = {path.stem for path in ROOT.glob("slr_pipeline/steps/[!_]*.py")}
    assert steps == set(RULES) - TARGETS


@pytest.mark.parametrize(
    ("config", "protocol", "finetunings"),
    [("autsl", "strict", 0), ("autsl_published", "challenge", 9)],
)
def test_autsl_is_planned_in_few_jobs_without_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, protocol: str, finetunings: int
) -> None:
    """36,302 samples, as in AUTSL."""
    monkeypatch.chdir(tmp_path)
    path = write_experiment(tmp_path, str(ROOT / "config" / f"{config}.yaml"), 36302, 512)
    path.write_text(json.dumps({**yaml.safe_load(path.read_text()), "protocol": protocol}))
    jobs = planned_jobs("config.yaml", read_config("config.yaml"))
    counts = Counter(job.rule for job in jobs)
    assert counts["train"] == 11 + finetunings
    assert (counts["predict"], counts["predict_test"]) == (11, finetunings)
    # The two tracks of AUTSL read all nine features, in equal shards.
    # The published heat-maps are the pose network's own and come with the keypoints.
    features = {*FEATURES} & {*counts}
    assert {*FEATURES} - features == ({"heatmaps"} if config == "autsl_published" else set())
    assert {counts[feature] for feature in features} == {counts["verify"]}
    assert counts["verify"] < 120
    assert counts["quality"] == 3
    assert sum(counts.values()) < 1100
