"""A small run of the whole workflow on demo clips, shared by the tests of this folder."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.shared_run import copy_of_run
from tests.videos import remux, starts
from tests.workflow import fork_server

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "demo"
SIGNS = 4
FRAMES = 12  # at least: short clips save time
MISSING = "signer_gone"
CONFIG: dict[str, Any] = {
    "name": "tiny",
    "device": "cpu",
    "shard_size": 6,  # two shards of train
    "data": {"layout": "table", "table": "samples.csv"},
    "verify": {"max_quarantined": 0.1},
    "streams": {
        "joint": {
            "model": "slgcn",
            "width": 16,
            "training": {"epochs": 2, "batch_size": 4, "warmup_epochs": 1},
        }
    },
    "tracks": {"rgb": {"streams": {"joint": 1.0}}},
}


@dataclass(frozen=True)
class WorkflowRun:
    """A working folder with a config in which Snakemake runs."""

    folder: Path
    config: dict[str, Any]

    def snakemake(
        self,
        *arguments: str,
        project: Path = ROOT,
        cores: int = 2,
        gpus: int = 1,
        inside: Sequence[str] = (),
        **changes: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in this folder; `changes` replace top-level keys of the config.

        `inside` is a command that runs another command.
        """
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump({**self.config, **changes}))
        command = [*arguments, "--snakefile", str(project / "Snakefile")]
        command += ["--directory", str(self.folder), "--configfile", str(path)]
        command += ["--cores", str(cores), "--resources", f"gpu={gpus}"]
        # PYTHONPATH: a modified copy of the project must not import the installed package.
        environment = {
            "PYTHONPATH": str(project),
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder.parent),
        }
        if not inside:
            environment["PYTHONPATH"] += f"{os.pathsep}{fork_server.FORKS}"
            environment["FORK_SERVER"] = fork_server.address()
        return subprocess.run(
            [*inside, sys.executable, "-P", "-m", "snakemake", *command],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def planned(self, *targets: str, project: Path = ROOT, **changes: Any) -> dict[str, int]:
        """Number of jobs per rule in a dry run of the targets, by default of `submission`."""
        targets = targets or ("submission",)
        done = self.snakemake("--dry-run", *targets, project=project, **changes)
        assert done.returncode == 0, done.stdout + done.stderr
        return job_counts(done.stdout + done.stderr)

    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "samples.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def write_rows(self, rows: list[dict[str, str]]) -> None:
        with (self.folder / "samples.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["sample", "split", "label", "signer", "color", "depth"])
            writer.writeheader()
            writer.writerows(rows)


def quality_of(results: Path, split: str) -> dict[str, dict[str, str]]:
    with (results / f"quality/{split}.csv").open(newline="") as file:
        return {row["sample"]: row for row in csv.DictReader(file)}


def job_counts(output: str) -> dict[str, int]:
    """Number of jobs per rule from Snakemake's table `Job stats`."""
    lines = output.splitlines()
    if "Job stats:" not in lines:
        assert "Nothing to be done" in output
        return {}
    start = lines.index("Job stats:") + 3
    table = [line.split() for line in lines[start : lines.index("", start)]]
    return {rule: int(count) for rule, count in table if rule != "total"}


def demo_rows() -> list[dict[str, str]]:
    """Two clips of train, one of val and one of test for each of the first signs of the demo."""
    rows = []
    for split, takes in (("train", 2), ("val", 1), ("test", 1)):
        taken: dict[str, int] = {}
        with (DEMO / f"{split}_labels.csv").open(newline="") as file:
            for sample, label in csv.reader(file):
                taken[label] = taken.get(label, 0) + 1
                if int(label) < SIGNS and taken[label] <= takes:
                    videos = {v: f"my videos/{sample}_{v}.mp4" for v in ("color", "depth")}
                    rows.append({"sample": sample, "split": split, "label": label, **videos})
    return rows


def make_run(folder: Path) -> WorkflowRun:
    """Clips, their table and a config in a folder with spaces in its names; nothing runs yet."""
    (folder / "my videos").mkdir(parents=True)
    rows = demo_rows()
    for row in rows:
        videos = {v: DEMO / row["split"] / f"{row['sample']}_{v}.mp4" for v in ("color", "depth")}
        length = min(n for n in set.intersection(*map(starts, videos.values())) if n >= FRAMES)
        for video, source in videos.items():
            remux(source, folder / row[video], keep=range(length).__contains__)
    gone = {"color": "my videos/gone.mp4", "depth": "my videos/gone_depth.mp4"}
    rows.append({"sample": MISSING, "split": "test", "label": "0", **gone})
    run = WorkflowRun(folder, CONFIG)
    run.write_rows(rows)
    return run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> WorkflowRun:
    """A finished run, made once for all processes of a test session."""

    def make(folder: Path) -> None:
        done = make_run(folder).snakemake("all", "features", cores=len(os.sched_getaffinity(0)))
        assert done.returncode == 0, done.stdout + done.stderr

    return WorkflowRun(copy_of_run("run", make, tmp_path_factory), CONFIG)


@pytest.fixture
def copied_run(finished_run: WorkflowRun, tmp_path: Path) -> WorkflowRun:
    """A copy of the finished run that a test may change."""
    return copy_of(finished_run, tmp_path)


def copy_of(run: WorkflowRun, folder: Path) -> WorkflowRun:
    copy = shutil.copytree(run.folder, folder / "a copy")
    return WorkflowRun(copy, run.config)


@pytest.fixture(scope="session")
def commands(finished_run: WorkflowRun) -> dict[str, list[str]]:
    """Shell commands of all jobs by rule, as Snakemake prints them."""
    done = finished_run.snakemake("--dry-run", "--forceall", "--printshellcmds", "all", "features")
    assert done.returncode == 0, done.stdout + done.stderr
    commands: dict[str, list[str]] = {}
    for line in (done.stdout + done.stderr).splitlines():
        command = line.removeprefix("Shell command: ").strip()
        if command.startswith("python -P -m slr_pipeline.steps "):
            rule = command.split()[4]
            commands.setdefault(rule, []).append(command)
    return {rule: sorted(jobs) for rule, jobs in commands.items()}
