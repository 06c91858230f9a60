"""Segments of a recording have the frames of the whole decode, whatever is skipped before them."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.io import recordings as module
from slr_pipeline.io.recordings import Recordings
from slr_pipeline.io.video import probe, read_frames, read_grey_frames
from slr_pipeline.samples.segments import Segment
from tests import videos
from tests.videos import signer, write

FRAMES = 240
OPEN = "keyint=40:scenecut=0:bframes=3"
X265 = "log-level=none:keyint=40:min-keyint=40:open-gop=1:bframes=4"
IRREGULAR = sorted(random.Random(1).sample(range(4 * FRAMES), FRAMES))

SPECS: dict[str, dict[str, Any]] = {
    "open.mp4": {"options": {"x264-params": f"{OPEN}:open-gop=1"}},
    "open.mkv": {"options": {"x264-params": f"{OPEN}:open-gop=1"}},
    "one_key.mp4": {"options": {"x264-params": "keyint=1000:scenecut=0"}},
    "refresh.mp4": {"options": {"x264-params": "keyint=30:intra-refresh=1:bframes=0"}},
    "variable.mp4": {"options": {"x264-params": OPEN}, "times": IRREGULAR},
    "variable.mkv": {"options": {"x264-params": OPEN}, "times": IRREGULAR},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": X265}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "30", "lag-in-frames": "16"}},
    "stream.ts": {"options": {"x264-params": f"{OPEN}:open-gop=1"}},
    "old.avi": {"codec": "mpeg4", "options": {"g": "30", "bf": "2"}},
}
EDITS = {
    "trimmed.mp4": ("open.mp4", [(60, 150)]),
    "paused.mp4": ("hevc.mp4", [(-1, 10), (33, 150)]),
    "reordered.mp4": ("open.mp4", [(120, 100), (20, 80)]),
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A maker of moving recordings of 240 frames, by name."""
    folder = tmp_path_factory.mktemp("recordings")
    picture = signer(96, 64, 1)[0]

    def make(name: str) -> Path:
        path = folder / name
        if name in EDITS and not path.exists():
            source, edits = EDITS[name]
            path.write_bytes(make(source).read_bytes())
            videos.edit_track(path, edits)
        elif not path.exists():
            write(path, (np.roll(picture, 3 * i, 1) for i in range(FRAMES)), **SPECS[name])
        return path

    return make


def whole(path: Path) -> tuple[list[int], list[np.ndarray]]:
    """Times in ms, and pictures, of a decode by PyAV alone."""
    with videos.av.open(str(path)) as container:
        origin = max(0, container.start_time or 0) / 1e6
        frames = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    return [round(1000 * (time - origin)) for time, _ in frames], [p for _, p in frames]


@pytest.mark.parametrize("name", [*SPECS, *EDITS])
def test_segments_have_the_frames_of_the_whole_decode(
    recording: Callable[[str], Path], name: str
) -> None:
    """In order of time, in any order, and alone."""
    path, rng = recording(name), random.Random(2)
    times, pictures = whole(path)
    starts = [rng.randrange(times[-1] - 400) for _ in range(16)]
    segments = [(start, start + rng.randrange(90, 1300)) for start in starts]
    for order in (sorted(segments), segments, segments[:4]):
        with Recordings() as recordings:
            shared = recordings if order != segments[:4] else None
            for start, end in order:
                segment = Segment(start / 1000, min(end, times[-1]) / 1000)
                shown = [start <= time < segment.end_ms for time in times]
                expected = [
                    picture for picture, is_in in zip(pictures, shown, strict=True) if is_in
                ]
                if expected:
                    read = list(read_frames(path, segment, recordings=shared))
                    assert np.array_equal(read, expected)


def test_a_segment_equals_the_clip_cut_out_without_loss(
    recording: Callable[[str], Path], tmp_path: Path
) -> None:
    path, segment = recording("open.mp4"), Segment(2.2, 4.0)
    clip = write(tmp_path / "clip.mkv", read_frames(path, segment), codec="ffv1", pixels="bgr0")
    assert np.array_equal(list(read_frames(clip)), list(read_frames(path))[55:100])
    assert probe(clip) == probe(path, segment)
    greys = read_grey_frames(path, segment)
    assert np.array_equal(list(greys), list(read_grey_frames(clip)))


@pytest.mark.parametrize(("name", "most"), [("open.mp4", 1.1), ("stream.ts", 1.1), ("far", 0.7)])
def test_a_recording_is_decoded_once(
    recording: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str, most: float
) -> None:
    """Packets decoded of 240: one segment after another, and two that are far apart."""
    packets, decode = [], module.next_decoded
    monkeypatch.setattr(module, "next_decoded", lambda it: packets.append(1) or decode(it))
    path = recording("open.mp4" if name == "far" else name)
    starts = (1, 8.5) if name == "far" else [second / 2 for second in range(19)]
    with Recordings() as recordings:
        for start in starts:
            frames = list(read_frames(path, Segment(start, start + 0.5), recordings=recordings))
            assert len(frames) in (12, 13)
    assert len(packets) <= most * FRAMES


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (
            Segment(9.0, 9.7),
            "is 9.600 s long, and the segment is 9.000 to 9.700 s; correct start_s",
        ),
        (Segment(12.0), "is 9.600 s long, and the segment is 12.000 s to the end; correct"),
        (Segment(1.01, 1.03), "has no frame in 1.010 to 1.030 s; correct start_s and end_s"),
    ],
)
@pytest.mark.parametrize("name", ["open.mp4", "open.mkv", "stream.ts"])
def test_a_segment_that_is_not_in_the_recording_is_one_line(
    recording: Callable[[str], Path], name: str, segment: Segment, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        probe(recording(name), segment)
    assert len(str(caught.value).splitlines()) == 1
    assert probe(recording(name), Segment(9.0, 9.6)).frames == 15


def test_damage_concerns_the_segments_that_show_it(
    recording: Callable[[str], Path], tmp_path: Path
) -> None:
    """A broken packet in the middle of a group; groups of 40 frames."""
    path = videos.remux(
        recording("open.mp4"),
        tmp_path / "a.mkv",
        change=lambda i, data: b"\xff" * len(data) if i == 90 else data,
    )
    intact = list(read_frames(recording("open.mp4")))
    with pytest.raises(DataError, match="is damaged"):
        probe(path)
    with Recordings() as recordings:
        for first in (40, 85, 160, 200):
            segment = Segment(first / 25, (first + 20) / 25)
            if first == 85:
                with pytest.raises(DataError, match=r"a\.mkv: is damaged after .* copy it again"):
                    list(read_frames(path, segment, recordings=recordings))
                continue
            read = list(read_frames(path, segment, recordings=recordings))
            assert np.array_equal(read, intact[first : first + 20])


def test_a_recording_that_is_cut_lacks_its_last_segments(
    recording: Callable[[str], Path], tmp_path: Path
) -> None:
    data = recording("open.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    assert probe(tmp_path / "a.mkv", Segment(1, 2)).frames == 25
    with pytest.raises(DataError, match=r"a\.mkv: "):
        probe(tmp_path / "a.mkv", Segment(6, 7))


def test_two_recordings_in_turns(recording: Callable[[str], Path]) -> None:
    """Colour and depth."""
    paths = [recording("open.mp4"), recording("hevc.mp4"), recording("stream.ts")]
    expected = [list(read_frames(path)) for path in paths]
    with Recordings() as recordings:
        for first in range(0, 200, 40):
            segment = Segment(first / 25, (first + 10) / 25)
            readers = [read_frames(path, segment, recordings=recordings) for path in paths[:2]]
            for i, pair in enumerate(zip(*readers, strict=True)):
                for picture, frames in zip(pair, expected, strict=False):
                    assert np.array_equal(picture, frames[first + i])
            third = list(read_frames(paths[2], segment, recordings=recordings))
            assert np.array_equal(third, expected[2][first : first + 10])
