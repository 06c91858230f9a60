"""One name everywhere: rule = step = log; every rule says what it does; plans stay small."""

import csv
import re
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT, Run, job_counts

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
    if rule in TARGETS:
        return
    assert (ROOT / "slr_pipeline" / "steps" / f"{rule}.py").exists()
    assert f"-m slr_pipeline.steps.{rule} " in body
    assert f"/logs/{rule}" in body
    if "localrule" not in body:
        assert f"/benchmarks/{rule}" in body
        assert all(word in body for word in ("threads:", "mem_mb=", "runtime="))


def test_every_step_has_a_rule() -> None:
    steps = {path.stem for path in ROOT.glob("slr_pipeline/steps/[!_]*.py")}
    assert steps == set(RULES) - TARGETS


def test_autsl_is_planned_in_few_jobs_without_opening_a_video(tmp_path: Path) -> None:
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
    text = (ROOT / "config" / "autsl.yaml").read_text()
    import yaml

    run = Run(tmp_path, yaml.safe_load(text))
    done = run.snakemake("--dry-run", "--quiet", "rules", "all")
    assert done.returncode == 0, done.stderr
    counts = job_counts(run.snakemake("--dry-run", "all").stdout)
    assert counts["verify"] == counts["keypoints"] < 120
    assert sum(counts.values()) < 300
