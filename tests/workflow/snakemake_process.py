"""Snakemake in a process that need not import it again: each import takes two seconds.

Nothing here may import `slr_pipeline`: some tests run Snakemake with a modified copy of it.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["snakemake.cli"])


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What `python -m snakemake` with these arguments prints in a folder and an environment."""
    with tempfile.TemporaryDirectory() as outputs:
        files = [Path(outputs, name) for name in ("stdout", "stderr")]
        values = (arguments, folder, environment, *files)
        process = PROCESSES.Process(target=_snakemake, args=values)
        process.start()
        process.join()
        texts = [file.read_text() for file in files]
    assert process.exitcode is not None
    return subprocess.CompletedProcess(list(arguments), process.exitcode, *texts)


def _snakemake(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
) -> None:
    from snakemake.cli import main

    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [str(folder), environment["PYTHONPATH"]]  # as of `python -m`
    os.chdir(folder)
    main(list(arguments))
