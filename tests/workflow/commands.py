"""The commands of a run's jobs, as Snakemake prints them."""

import os
import shlex
import sys
from pathlib import Path

from tests.workflow.conftest import ROOT, Run


def printed_commands(run: Run, *targets: str) -> dict[str, list[str]]:
    """Of each rule that these targets need, the command of every job."""
    done = run.snakemake("--dry-run", "--forceall", "--printshellcmds", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for line in (done.stdout + done.stderr).splitlines():
        command = line.removeprefix("Shell command: ").strip()
        if command.startswith("python -m slr_pipeline.steps."):
            rule = command.split()[2].rpartition(".")[2]
            found.setdefault(rule, []).append(command)
    return {rule: sorted(jobs) for rule, jobs in found.items()}


def output_of(command: str) -> Path:
    """The first file that a command writes."""
    words = shlex.split(command)
    return Path(words[words.index("--out") + 1])


def environment() -> dict[str, str]:
    """What a job finds: this Python, the package of this folder, and Snakemake's one thread."""
    path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    home = os.environ.get("HOME", "/")
    return {"PYTHONPATH": str(ROOT), "PATH": path, "HOME": home, "OMP_NUM_THREADS": "1"}
