"""Finished runs that are made once for all processes of a test session."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def copy_of_run(
    name: str, make: Callable[[Path], object], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """This process's copy of a folder that `make` fills; the first process that needs it calls it.

    `make` gets the path of a new folder beside the final one.
    """
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    finished = common / name
    with (common / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            make(common / f"{name} in the making")
            (common / f"{name} in the making").rename(finished)
    return Path(shutil.copytree(finished, own / f"{name} of this process" / "a folder with spaces"))
