"""The HDF5 container on a full disk: libhdf5 crashes the process if a write fails."""

import subprocess
import sys
from pathlib import Path

import pytest

WRITE = """
import resource, sys
import numpy as np
from slr_pipeline.errors import run
from slr_pipeline.io.feature_writer import NewClip
from tests.feature_files import write_feature

def main():
    rng = np.random.default_rng(1)
    clips = (NewClip(f"s{n}", rng.random((20, 133, 3), np.float32), 9, 9, 25.0) for n in range(30))
    write_feature(sys.argv[1], "keypoints", clips)

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
run(main)
"""


@pytest.mark.parametrize("limit", [0, 1_000, 70_000, 400_000])
def test_a_failed_write_is_one_line_and_no_crash(tmp_path: Path, limit: int) -> None:
    command = [sys.executable, "-c", WRITE, str(tmp_path / "x.h5"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "cannot be written (file too large); free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
