"""Videos are copied to the node's local disk while they are read, and nothing stays there."""

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.video import probe, read_frames, read_grey_frames
from tests.io.test_video import pictures, write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "my clip.mp4", pictures())


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "node disk"
    folder.mkdir()
    monkeypatch.setenv("JOB_DISK", str(folder))
    monkeypatch.setenv("SLR_SCRATCH", "$JOB_DISK")
    return folder


def test_frames_equal_those_of_the_video(
    video: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLR_SCRATCH")
    in_place = [np.stack(list(read(video))) for read in (read_frames, read_grey_frames)]
    info = probe(video)
    monkeypatch.setenv("SLR_SCRATCH", "$JOB_DISK")
    copied = [np.stack(list(read(video))) for read in (read_frames, read_grey_frames)]
    assert all(np.array_equal(a, b) for a, b in zip(in_place, copied, strict=True))
    assert probe(video) == info
    assert list(scratch.iterdir()) == []
    assert video.exists()


def test_the_copy_is_read(video: Path, scratch: Path) -> None:
    """The video is emptied after its first frame; the rest comes from the copy."""
    frames = read_frames(video)
    next(frames)
    video.write_bytes(b"")
    assert len(list(frames)) == len(pictures()) - 1


def test_nothing_stays_behind_a_reader_that_stops_or_fails(video: Path, scratch: Path) -> None:
    frames = read_frames(video)
    assert len(list(islice(frames, 3))) == 3
    assert list(scratch.iterdir()) == []  # already unlinked: a killed job leaves nothing
    damaged = video.with_name("damaged.mp4")
    damaged.write_bytes(b"no video" * 100)
    with pytest.raises(DataError, match=r"damaged\.mp4: cannot be opened as a video"):
        probe(damaged)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("folder", ["$NO_SUCH_VARIABLE", "/no/such/folder"])
def test_a_folder_that_is_not_there_is_named(
    video: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("SLR_SCRATCH", folder)
    with pytest.raises(ConfigError) as error:
        probe(video)
    assert str(error.value) == (
        f"scratch: cannot create a file in {folder} (No such file or directory); name another "
        "folder, or null to read videos in place"
    )


def test_a_full_disk_is_named(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, copy: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("SLR_SCRATCH", str(video.parent))
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ConfigError, match=r"my clip\.mp4 cannot be copied to .*No space left"):
        probe(video)
    assert [path.name for path in video.parent.iterdir()] == ["my clip.mp4"]
