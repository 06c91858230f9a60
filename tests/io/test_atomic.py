"""Two writers of one file, e.g. one on a node that the cluster has given up; odd file systems."""

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.io.atomic import atomic_write, write_text
from tests.machines import NEEDS_OTHER_USER, OTHER_USER, shim
from tests.shared_data import CASES, NEEDS_CASES

NO_FSYNC = """
#include <errno.h>
#include <stdlib.h>
int fsync(int fd) { errno = atoi(getenv("SHIM_ERRNO")); return -1; }
"""

WRITE = """
import sys
from slr_pipeline.errors import run
from slr_pipeline.io.atomic import write_text
run(lambda: write_text(sys.argv[1], "whole"))
"""


def write(path: Path, inside: Sequence[str] = (), **environment: str) -> str:
    """Write a file in a new process, started by the command `inside`; returns what it prints."""
    done = subprocess.run(
        [*inside, sys.executable, "-c", WRITE, str(path)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (1 if done.stderr else 0), done.stderr
    return done.stderr


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "a[1].h5.0123abcd.partial"
    left.write_text("half")
    other = tmp_path / "b.h5.0123abcd.partial"
    other.write_text("of another file")
    write_text(tmp_path / "a[1].h5", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a[1].h5", other.name}


def test_a_writer_cut_off_spoils_nothing(tmp_path: Path) -> None:
    """It still writes while its restarted job writes the same file."""
    path = tmp_path / "a.h5"
    cut_off = atomic_write(path)
    with cut_off.__enter__().open("w") as file:
        file.write("o")
        with atomic_write(path) as partial:
            file.write("ld")
            file.flush()
            partial.write_text("new")
    with pytest.raises(DataError, match="another process writes the same file"):
        cut_off.__exit__(None, None, None)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@NEEDS_CASES
def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path: Path) -> None:
    """As on SMB and some FUSE file systems."""
    library = shim(CASES / "shims/shim_fsync.c", tmp_path)
    assert write(tmp_path / "a.txt", LD_PRELOAD=library) == ""
    assert (tmp_path / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("name", ["EINVAL", "ENOTSUP", "EBADF", "EPERM", "EACCES", "ENOSYS"])
def test_a_file_system_without_fsync_is_no_error(tmp_path: Path, name: str) -> None:
    source = tmp_path / "shim.c"
    source.write_text(NO_FSYNC)
    code = str(getattr(errno, name))
    out = tmp_path / "out/a.txt"
    assert write(out, LD_PRELOAD=shim(source, tmp_path), SHIM_ERRNO=code) == ""
    assert [path.read_text() for path in out.parent.iterdir()] == ["whole"]


def test_data_that_the_disk_refuses_are_an_error(tmp_path: Path) -> None:
    source = tmp_path / "shim.c"
    source.write_text(NO_FSYNC)
    out = tmp_path / "out/a.txt"
    printed = write(out, LD_PRELOAD=shim(source, tmp_path), SHIM_ERRNO=str(errno.ENOSPC))
    assert "cannot be written (no space left on device)" in printed
    assert list(out.parent.iterdir()) == []


@NEEDS_OTHER_USER
def test_a_folder_that_may_not_be_opened_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "drop box"
    folder.mkdir(mode=0o333)
    assert write(folder / "a.txt", inside=OTHER_USER) == ""
    folder.chmod(0o777)
    assert [path.read_text() for path in folder.iterdir()] == ["whole"]


@NEEDS_OTHER_USER
def test_a_folder_of_another_user_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    for out in (folder / "a.txt", folder / "new/a.txt"):
        printed = write(out, inside=OTHER_USER)
        assert printed.startswith(f"error: {out}: cannot be written (permission denied); choose")
        assert printed.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_an_input_that_may_not_be_read_keeps_its_error(tmp_path: Path) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "input.mp4"))
    cause = DataError("input.mp4: cannot be opened")
    cause.__cause__ = error
    for raised in (error, cause):
        with pytest.raises(type(raised)) as found, atomic_write(tmp_path / "a.txt"):
            raise raised
        assert found.value is raised
    assert list(tmp_path.iterdir()) == []
