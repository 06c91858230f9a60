"""Two writers of one file, e.g. one on a node that the cluster has given up."""

from pathlib import Path

import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.io.atomic import atomic_write, write_text


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
