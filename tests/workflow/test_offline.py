"""A run on a machine without a network, as the nodes of many clusters are."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import make_run

# A network of its own, with no way out of it.
WITHOUT_NETWORK = ("unshare", "-rn")
CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"


def test_a_run_without_a_network(tmp_path: Path) -> None:
    able = subprocess.run([*WITHOUT_NETWORK, "true"], check=False, capture_output=True)
    if able.returncode != 0:
        pytest.skip("no network namespace can be made here")
    connected = subprocess.run(
        [*WITHOUT_NETWORK, sys.executable, "-c", CONNECT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Network is unreachable" in connected.stderr
    run = make_run(tmp_path / "offline")
    done = run.snakemake("all", inside=WITHOUT_NETWORK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (run.folder / "results/report/index.html").stat().st_size > 100_000
    assert (run.folder / "results/tracks/rgb/submission.csv").read_text().count("\n") == 5
