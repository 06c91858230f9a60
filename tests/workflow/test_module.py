"""The pipeline as a module of another workflow, from a folder and from a git repository."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, WorkflowRun, job_counts, make_run

PAGE = (ROOT / "docs/how-to/module.md").read_text(encoding="utf-8")
[OUTER] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
INNER = "/path/to/slr_pipeline/workflow/Snakefile"


@pytest.fixture
def run(tmp_path: Path) -> WorkflowRun:
    """A folder with the documented workflow and a config below the key `slr`."""
    run = make_run(tmp_path / "outer")
    outer = {"slr": {**run.config, "results": "out"}}
    (run.folder / "config.yaml").write_text(yaml.safe_dump(outer), encoding="utf-8")
    return run


def snakemake(folder: Path, snakefile: str, *words: str) -> dict[str, int]:
    """Job counts of a run of the given workflow in the folder."""
    (folder / "Snakefile").write_text(snakefile, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return job_counts(done.stdout + done.stderr)


def test_the_documented_workflow_runs(run: WorkflowRun) -> None:
    outer = OUTER.replace(INNER, str(ROOT / "workflow/Snakefile"))
    planned = snakemake(run.folder, outer, "--dry-run", "accuracy")
    assert planned["accuracy"] == planned["slr_ensemble"] == planned["slr_train"] == 1
    snakemake(run.folder, outer, "slr_quarantine")
    assert (run.folder / "out/quarantine.csv").read_text(encoding="utf-8").count("signer_gone") == 1
    assert not (run.folder / "results").exists()


def test_two_modules_are_two_experiments(run: WorkflowRun) -> None:
    config = run.folder / "config.yaml"
    text = yaml.safe_load(config.read_text(encoding="utf-8"))
    text["second"] = {**text["slr"], "results": "out2", "shard_size": 100}
    config.write_text(yaml.safe_dump(text), encoding="utf-8")
    first, _, _ = OUTER.partition("rule accuracy")
    _, start, module = first.partition("module")
    second = start + re.sub(r"\bslr\b(?!_pipeline)|slr(?=_\*)", "second", module)
    outer = (first + second).replace(INNER, str(ROOT / "workflow/Snakefile"))
    targets = ("out/quarantine.csv", "out2/quarantine.csv")
    assert snakemake(run.folder, outer, "--dry-run", *targets) == {
        "slr_verify": 4,
        "slr_quarantine": 1,
        "second_verify": 3,
        "second_quarantine": 1,
    }


def test_a_git_repository_is_a_module(run: WorkflowRun, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x"]
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, repository / name)
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1"]):
        subprocess.run([*git, *words], check=True)
    outer = OUTER.replace(INNER, f"git+file://{repository}/workflow/Snakefile@v1")
    assert snakemake(run.folder, outer, "--dry-run", "slr_submission")["slr_train"] == 1
