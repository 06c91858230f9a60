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
from tests.workflow.conftest import DEMO, ROOT, WorkflowRun

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
    assert f"-m slr_pipeline.steps {rule} " in body
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


@pytest.mark.parametrize(("device", "features_first"), [("cpu", True), ("cuda", False)])
def test_a_training_on_a_cpu_waits_for_all_features_of_its_track(
    tmp_path: Path, device: str, features_first: bool
) -> None:
    demo = yaml.safe_load((ROOT / "config.yaml").read_text())
    demo["data"]["root"] = str(DEMO)
    run = WorkflowRun(tmp_path, demo)
    done = run.snakemake("submission", "--dry-run", "--forceall", device=device)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(
        r"^rule (\w+):\n(?: {4}.*\n)*? {4}wildcards: (.*)\n {4}priority: (\d+)\n",
        done.stdout + done.stderr,
        re.MULTILINE,
    )
    priority = {rule: int(number) for rule, _, number in found if rule in FEATURES}
    trainings = {text: int(number) for rule, text, number in found if rule == "train"}
    assert len(trainings) == 11
    own = trainings.pop("stream=rgb, training=train")
    assert own < priority["frames"]
    assert max(trainings.values()) < own
    later = trainings["stream=vtn_hcpf_d, training=train"]
    assert (priority["flow"] > own) == features_first
    assert (priority["hha"] > later) == features_first
    assert priority["hha"] < min(priority["flow"], trainings["stream=flow, training=train"])
