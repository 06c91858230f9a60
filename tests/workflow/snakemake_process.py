"""Snakemake in processes that need not import it again: each import takes a second.

A server imports Snakemake and forks for each call. It has a process and pipes of its own, because
the fork server of `multiprocessing` is one for all tests. Nothing here may import `slr_pipeline`:
some tests run Snakemake with a modified copy of it.
"""

import atexit
import functools
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What `python -m snakemake` with these arguments prints in a folder and an environment."""
    with tempfile.TemporaryDirectory() as outputs:
        files = [Path(outputs, name) for name in ("stdout", "stderr")]
        words = arguments, str(folder), environment, [str(file) for file in files]
        server = _server()
        assert server.stdin
        assert server.stdout
        print(json.dumps(words), file=server.stdin, flush=True)
        code = os.waitstatus_to_exitcode(int(server.stdout.readline()))
        return subprocess.CompletedProcess(list(arguments), code, *(f.read_text() for f in files))


@functools.cache
def _server() -> "subprocess.Popen[str]":
    """The server of this process of pytest."""
    command = [sys.executable, "-P", __file__]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    return server


def serve() -> None:
    """Run Snakemake for each line of the standard input, and write the status of its process."""
    gc.disable()
    from snakemake.cli import main

    gc.freeze()
    gc.enable()
    for line in sys.stdin:
        if child := os.fork():
            print(os.waitpid(child, 0)[1], flush=True)
            continue
        arguments, folder, environment, outputs = json.loads(line)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(outputs, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:0] = [folder, environment["PYTHONPATH"]]  # as of `python -m`
        os.chdir(folder)
        main(arguments)
        return


if __name__ == "__main__":
    serve()
