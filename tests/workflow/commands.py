"""The shell commands of jobs, as printed by Snakemake."""

import os
import shlex
import sys
from pathlib import Path

from tests.workflow.conftest import ROOT


def output_of(command: str) -> Path:
    """The first file that a command writes."""
    words = shlex.split(command)
    return Path(words[words.index("--out") + 1])


def environment() -> dict[str, str]:
    """Environment of a job: this Python, the package of this folder, and one thread."""
    path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    home = os.environ.get("HOME", "/")
    return {"PYTHONPATH": str(ROOT), "PATH": path, "HOME": home, "OMP_NUM_THREADS": "1"}
