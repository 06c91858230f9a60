"""Snakemake and its jobs in forks of one process: each start of its own imports for seconds.

The server imports the libraries of both once and forks for each process that `forks/sitecustomize`
passes on. Nothing here may import `slr_pipeline`: some tests run a modified copy of it. What users
start is tested without it: the commands of the documents, killed and interrupted jobs, and SLURM.
"""

import atexit
import functools
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

FORKS = Path(__file__).with_name("forks")


@functools.cache
def address() -> str:
    """Path of the socket of the server of this process of pytest."""
    folder = tempfile.TemporaryDirectory()
    path = str(Path(folder.name, "socket"))
    server = subprocess.Popen(
        [sys.executable, "-P", __file__, path],
        # PyTorch reads the number of threads when it is imported; jobs on a CPU have one.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,  # closed if this process is killed, which ends the server
        stdout=subprocess.PIPE,
    )
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    assert server.stdout
    assert server.stdout.readline(), "the fork server ended"
    return path


class Status:
    """The exit status of a process: by default that of an error that nothing catches."""

    code = 1

    def leave(self) -> None:
        """End without the destruction of all objects, which would copy the server's memory."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.code)


def serve(path: str) -> None:
    """Fork for each connection, until the standard input ends."""
    status = Status()
    atexit.register(status.leave)  # before all others, so that it is called last
    gc.disable()
    import h5py  # noqa: F401
    import lightning_fabric  # noqa: F401
    import scipy.optimize  # noqa: F401
    import snakemake.cli  # noqa: F401
    import torch._dynamo  # noqa: F401

    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    print("ready", flush=True)
    while sys.stdin not in select.select([sys.stdin, listening], [], [])[0]:
        connection, _ = listening.accept()
        if not os.fork():
            listening.close()
            answer(connection, status)
            return
        connection.close()


def answer(connection: socket.socket, status: Status) -> None:
    """Run a module in another fork, and send its status: it may be killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if worker := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
        connection.sendall(str(code).encode())
        os._exit(0)
    module = begin(connection)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status.code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        status.code = end.code or 0


def begin(connection: socket.socket) -> str:
    """Become the process that waits at the other end of a connection; the name of its module."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection, connection.makefile() as file:
        sys.argv[:], sys.path[:], folder, variables = json.load(file)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    return sys.argv[0]


if __name__ == "__main__":
    serve(sys.argv[1])
