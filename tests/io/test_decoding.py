"""Frames are those that a player shows; odd videos pass, damaged ones do not.

Damage at random places: tests/faults/test_corrupt_videos.py.
"""

from collections.abc import Callable
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.io.video import probe, read_frames
from tests import videos
from tests.shared_data import CASES, NEEDS_CASES
from tests.videos import remux, signer, write

FRAMES = 24
GROUP = 8


def moving() -> list[np.ndarray]:
    return [np.roll(signer(128, 96, 1)[0], 3 * i, axis=1) for i in range(FRAMES)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A maker of videos of 24 frames in groups of 8, by file name."""
    folder = tmp_path_factory.mktemp("whole")
    codecs = {
        "h264": {"options": {"x264-params": f"keyint={GROUP}:scenecut=0:bframes=3:open-gop=1"}},
        "hevc": {
            "codec": "libx265",
            "options": {"x265-params": f"log-level=none:keyint={GROUP}:open-gop=1"},
        },
        "mpeg4": {"codec": "mpeg4", "options": {"g": str(GROUP), "bf": "2"}},
        "vp9": {"codec": "libvpx-vp9", "options": {"g": str(GROUP)}},
        "ffv1": {"codec": "ffv1", "pixels": "bgr0"},
        "mjpeg": {"codec": "mjpeg", "pixels": "yuvj420p"},
    }

    def make(name: str) -> Path:
        path = folder / name
        if not path.exists():
            write(path, moving(), **codecs[path.stem])
        return path

    return make


def frames(path: Path) -> np.ndarray:
    return np.stack(list(read_frames(path)))


def logs_errors(path: Path) -> bool:
    with av.logging.Capture() as logged, av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                packet.decode()
            except av.error.FFmpegError:
                return True
    return bool(logged)


@NEEDS_CASES
@pytest.mark.parametrize(("name", "shown"), [("head_hidden", 13), ("quicktime_trim", 24)])
def test_reported_edit_lists(name: str, shown: int) -> None:
    assert probe(CASES / "edits" / f"{name}.mp4").frames == shown


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg4"])
@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(20, 4)], [*range(20, 24)]),
        ([(0, 5)], [*range(5)]),
        ([(-1, 10), (10, 5)], [*range(10, 15)]),
        ([(17, 6), (2, 4)], [*range(17, 23), *range(2, 6)]),
    ],
)
def test_frames_that_an_edit_list_hides_are_not_missing(
    whole: Callable[[str], Path],
    tmp_path: Path,
    codec: str,
    edits: list[tuple[int, int]],
    shown: list[int],
) -> None:
    """Edits are (begin, length) in frames; -1 shows nothing."""
    source = whole(f"{codec}.mp4")
    path = tmp_path / "edited.mp4"
    path.write_bytes(source.read_bytes())
    videos.edit_track(path, edits)
    assert np.array_equal(frames(path), frames(source)[shown])
    assert probe(path).frames == len(shown)


def test_an_edited_video_that_is_cut_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", moving(), flags="faststart")
    videos.edit_track(path, [(10, 10)])
    assert probe(path).frames == 10
    with av.open(str(path)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: positions[-1]])
    with pytest.raises(DataError, match=f"ends after {len(positions) - 1} of {len(positions)}"):
        probe(path)


def unit(data: bytes) -> bytes:
    """A unit of h264 in mp4."""
    return len(data).to_bytes(4, "big") + data


def cut_message(i: int, data: bytes) -> bytes:
    """With supplemental information that is shorter than it says."""
    return unit(b"\x06\x05\x40abc\x80") + data


def broken_exif(i: int, data: bytes) -> bytes:
    return data[:2] + b"\xff\xe1\x00\x20Exif\0\0II*\0" + b"\xff" * 4 + bytes(16) + data[2:]


def unused_parameters(i: int, data: bytes) -> bytes:
    return unit(b"\x67\xff") + data


@pytest.mark.parametrize(
    ("name", "options", "first"),
    [
        ("h264.mp4", {"change": cut_message}, 0),
        ("h264.mp4", {"change": unused_parameters}, 0),
        ("mjpeg.avi", {"change": broken_exif}, 0),
        # Begins in the middle of a group, as a recording of a live stream does.
        ("h264.ts", {"keep": lambda i: i >= 3}, GROUP),
        ("hevc.ts", {"keep": lambda i: i >= 3}, GROUP),
        ("vp9.webm", {"keep": lambda i: i >= 3}, GROUP),
    ],
)
def test_an_odd_video_shows_what_players_show(
    whole: Callable[[str], Path], tmp_path: Path, name: str, options: dict, first: int
) -> None:
    """FFmpeg logs errors about it, and all its frames are right."""
    path = remux(whole(name), tmp_path / name, **options)
    assert logs_errors(path)
    assert np.array_equal(frames(path), frames(whole(name))[first:])


def test_a_matroska_file_that_lost_its_index_only(
    whole: Callable[[str], Path], tmp_path: Path
) -> None:
    data = whole("h264.mkv").read_bytes()
    path = tmp_path / "a.mkv"
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    path.write_bytes(data[:cues])
    assert logs_errors(path)
    assert np.array_equal(frames(path), frames(whole("h264.mkv")))
    path.write_bytes(data[: cues - 200])
    with pytest.raises(DataError, match="is damaged"):
        probe(path)


def damage_end(i: int, data: bytes) -> bytes:
    return data if i != 13 else data[: len(data) // 2] + b"\x55" * (len(data) - len(data) // 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {"change": damage_end}) for name in ("h264.mp4", "mpeg4.avi", "mjpeg.avi")),
        *((name, {"change": damage_end}) for name in ("hevc.mp4", "ffv1.mkv")),
        # Reference frames that are lost, at the beginning and in the middle.
        ("mpeg4.mp4", {"keep": lambda i: i >= 3}),
        ("h264.mp4", {"keep": lambda i: i != GROUP + 1}),
        ("hevc.mp4", {"keep": lambda i: i != GROUP + 1}),
        # The first key frame fails.
        ("h264.mp4", {"change": lambda i, data: data if i else b"\xff" * len(data)}),
    ],
)
def test_a_damaged_video_is_refused(
    whole: Callable[[str], Path], tmp_path: Path, name: str, options: dict
) -> None:
    path = remux(whole(name), tmp_path / name, **options)
    with pytest.raises(DataError, match=rf"{name}: is damaged after \d+ frames \(.*\); copy it"):
        probe(path)
