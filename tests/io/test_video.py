"""Videos are read as they were written; damaged files give one line that names them.

Other damage, containers and codecs: tests/faults/test_corrupt_videos.py.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.io.video import VideoInfo, probe, read_frames, read_grey_frames, sha256_of
from tests import videos
from tests.shared_data import CASES, NEEDS_CASES
from tests.videos import write, write_no_frames, write_sound

FRAMES = 30


def pictures(height: int = 48, width: int = 64, frames: int = FRAMES) -> np.ndarray:
    """Grey frames that get brighter, with a red patch top left."""
    greys = np.repeat(np.arange(frames, dtype=np.uint8) * 6 + 40, height * width * 3)
    clip = greys.reshape(frames, height, width, 3)
    clip[:, : height // 2, : width // 2] = (230, 20, 20)
    return clip


def write_video(path: Path, frames: np.ndarray, **options: str) -> Path:
    flags = "faststart" if path.suffix == ".mp4" else ""
    options = {"crf": "5", **options}
    return write(path, frames, pixels="yuv444p", flags=flags, options=options)  # odd sizes too


def noise() -> np.ndarray:
    """Frames that compress badly, so damage in the middle hits picture data."""
    return np.random.default_rng(0).integers(0, 256, (FRAMES, 48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (47, 63), (2, 2), (130, 33)])
def test_frames_are_rgb_in_order(tmp_path: Path, height: int, width: int) -> None:
    expected = pictures(height, width)
    path = write_video(tmp_path / "a.mp4", expected)
    read = np.stack(list(read_frames(path)))
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 4
    assert probe(path) == VideoInfo(frames=FRAMES, width=width, height=height, fps=25.0)


def test_b_frames_are_read_in_display_order(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(), bf="3", crf="1")
    brightness = [int(frame[-1, -1, 0]) for frame in read_frames(path)]
    assert brightness == sorted(brightness)
    assert len(set(brightness)) == FRAMES


def without_rate(path: Path) -> Path:
    """Blank the frame duration of a Matroska file, which a browser's recorder does not write."""
    data = path.read_bytes()
    at = data.index(b"\x23\xe3\x83\x84")
    path.write_bytes(data[:at] + b"\xec\x86" + bytes(6) + data[at + 8 :])
    return path


@pytest.mark.parametrize(
    ("name", "times", "fps"),
    [
        ("a.webm", [0, 3, 7, 10, 13, 17, 20, 23, 27, 30], 30.0),
        ("a.mkv", [5, 9, 30, 34, 60], 4 / 0.55),
        ("a.webm", [50], 0.0),
    ],
)
def test_times_give_the_rate_that_no_header_states(
    tmp_path: Path, name: str, times: list[int], fps: float
) -> None:
    codec = "libvpx" if name == "a.webm" else "libx264"
    path = write(tmp_path / name, pictures(frames=len(times)), codec=codec, times=times)
    assert probe(without_rate(path)).fps == pytest.approx(fps, rel=0.01)


@NEEDS_CASES
def test_a_browser_recording_has_a_rate() -> None:
    info = probe(CASES / "webm" / "mediarecorder.webm")
    assert (info.frames, round(info.fps, 2)) == (25, round(24 / 0.779, 2))


def test_a_stated_rate_that_the_frames_do_not_keep_is_not_believed(tmp_path: Path) -> None:
    times = [8 * t for t in range(10)]
    path = write(tmp_path / "a.mkv", pictures(frames=10), times=times)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25
    assert probe(path).fps == pytest.approx(12.5)


@pytest.mark.parametrize("name", ["with blanks and é.mp4", "100%03d.mp4", "a:b.mp4", "[x]*?.mp4"])
def test_any_file_name(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, pictures())
    assert probe(str(path)).frames == FRAMES


def test_grey_is_full_range(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None], (3, 16, 256, 3)).copy()
    path = write_video(tmp_path / "depth.mp4", ramp, crf="1")
    grey = np.stack(list(read_grey_frames(path)))
    assert grey.shape == (3, 16, 256)
    assert np.abs(grey.astype(int) - np.arange(256)).max() <= 2
    rgb = np.stack(list(read_frames(path)))
    assert np.abs(grey.astype(int) - rgb[..., 1]).max() <= 2


@pytest.mark.parametrize("matrix", videos.ORIENTATIONS)
def test_pictures_are_turned_and_mirrored_as_players_show_them(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(frames=3))
    stored = np.stack(list(read_frames(path)))
    expected = [videos.shown(picture, matrix) for picture in stored]
    videos.orient_track(path, matrix)
    read, grey = list(read_frames(path)), list(read_grey_frames(path))
    assert np.array_equal(read, expected)
    assert all(picture.flags.c_contiguous for picture in (*read, *grey))
    for depth, picture in zip(grey, expected, strict=True):
        assert np.array_equal(depth, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    info = probe(path, grey=True)
    assert (info.height, info.width) == expected[0].shape[:2]


@pytest.mark.parametrize(("turned", "size"), [(False, (128, 72)), (True, (72, 128))])
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path, turned: bool, size: tuple[int, int]
) -> None:
    """96 x 72 pixels of 4:3, as of a camcorder, are shown as 128 x 72; 145:144 is rounding."""
    for name, aspect in (("wide", Fraction(4, 3)), ("square", Fraction(145, 144))):
        with av.open(str(tmp_path / f"{name}.mp4"), "w") as out:
            stream = out.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
            stream.codec_context.sample_aspect_ratio = aspect
            for _ in range(3):
                picture = np.zeros((72, 96, 3), np.uint8)
                picture[:, :48] = 255
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode())
        if turned:
            videos.orient_track(tmp_path / f"{name}.mp4", (0, 1, -1, 0))
    info = probe(tmp_path / "wide.mp4")
    assert (info.width, info.height) == size
    for picture in read_frames(tmp_path / "wide.mp4"):
        bright = picture[..., 0] > 128
        assert abs(bright.mean(axis=int(not turned)) - 0.5).max() < 0.03
    square = probe(tmp_path / "square.mp4")
    assert {square.width, square.height} == {96, 72}


@NEEDS_CASES
def test_the_front_camera_of_a_report() -> None:
    """Both files show the same; one stores it mirrored, with a display matrix."""
    plain, mirrored = (read_frames(CASES / "matrix" / f"{name}.mp4") for name in ("plain", "hflip"))
    assert np.abs(np.stack(list(mirrored)).astype(int) - np.stack(list(plain))).mean() < 2


def test_a_mirrored_video_of_another_container(tmp_path: Path) -> None:
    """Matrix from libavformat, stored as Matroska's projection."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "bgr0"
        stream.set_display_rotation(90, hflip=True)
        stored = pictures(frames=2)
        for picture in stored:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    with av.open(str(path)) as container:
        matrix = next(container.decode(video=0)).side_data["DISPLAYMATRIX"]
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5] >> 16
    assert (a, d) == (0, 0)
    assert np.array_equal(list(read_frames(path)), [videos.shown(p, (a, b, c, d)) for p in stored])


@pytest.mark.parametrize("matrix", [(0.7, 0.7, -0.7, 0.7), (1, 0.3, 0, 1), (1, 0, 0, 0)])
def test_another_display_matrix_is_refused(
    tmp_path: Path, matrix: tuple[float, float, float, float]
) -> None:
    path = videos.orient_track(write_video(tmp_path / "a.mp4", pictures()), matrix)
    with pytest.raises(DataError, match=r"a\.mp4: its display matrix is no turn by 90, 180 or 270"):
        probe(path)


def test_a_matrix_of_zeros_is_ignored(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures())
    stored = list(read_frames(path))
    assert np.array_equal(list(read_frames(videos.orient_track(path, (0, 0, 0, 0)))), stored)


def test_lossless_grey_is_exact(tmp_path: Path) -> None:
    path, expected = tmp_path / "depth.mkv", noise()[..., 0]
    write(path, expected, codec="ffv1", pixels="gray", given="gray")
    assert np.array_equal(np.stack(list(read_grey_frames(path))), expected)


def test_deep_grey_is_refused_as_depth(tmp_path: Path) -> None:
    deep = noise()[..., 0].astype(np.uint16) * 257
    path = tmp_path / "depth.mkv"
    write(path, deep, codec="ffv1", pixels="gray16le", given="gray16le")
    assert probe(path).frames == FRAMES
    for read in (lambda: probe(path, grey=True), lambda: next(iter(read_grey_frames(path)))):
        with pytest.raises(DataError, match=r"depth\.mkv: gray16le has more than 8 bits"):
            read()


def test_frames_are_decoded_lazily(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise(), g="5", bf="0")
    damage_middle(path)
    assert len(list(islice(read_frames(path), 3))) == 3
    with pytest.raises(DataError):
        list(read_frames(path))


def damage_middle(path: Path) -> None:
    """Blank the length of the middle packet and what follows: zeros inside one may go unnoticed."""
    with av.open(str(path)) as container:
        positions = sorted(packet.pos for packet in container.demux(video=0) if packet.size)
    data, start = bytearray(path.read_bytes()), positions[len(positions) // 2]
    data[start : start + 2000] = bytes(2000)
    path.write_bytes(data)


def damaged(path: Path) -> None:
    write_video(path, noise())
    damage_middle(path)


@pytest.mark.parametrize("read", [probe, lambda path: list(read_frames(path))])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.exists, "there is no such file; check the path"),
        (Path.mkdir, "there is no such file; check the path"),
        (Path.touch, "the file is empty; copy it again"),
        (damaged, r"is damaged after \d+ frames \(h264: .*\); copy it again"),
        (write_sound, "has no video stream"),
        (write_no_frames, "has no frames; copy it again"),
    ],
)
def test_bad_files_are_named_in_one_line(
    tmp_path: Path, make: Callable[[Path], None], reason: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "signer0_sample1_color.mp4"
    make(path)
    with pytest.raises(DataError, match=f"signer0_sample1_color.mp4: {reason}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_file_cut_between_frames_is_noticed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise(), bf="0")
    with av.open(str(path)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: positions[20]])
    with pytest.raises(DataError, match=f"ends after 20 of {FRAMES} frames"):
        probe(path)


def test_a_size_that_changes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h264"
    parts = [
        write_video(tmp_path / name, pictures(*size))
        for name, size in (("1.h264", (48, 64)), ("2.h264", (64, 48)))
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(DataError, match="is 48x64, the first is 64x48"):
        probe(path)


def test_each_video_has_its_own_log(tmp_path: Path) -> None:
    """Videos that are read in turns do not hide or share each other's errors."""
    whole = write_video(tmp_path / "whole.mp4", noise(), g="5", bf="0")
    paths = [tmp_path / f"damaged{i}.mp4" for i in range(2)]
    for path in paths:
        path.write_bytes(whole.read_bytes())
        damage_middle(path)
    readers = {path: read_frames(path) for path in (*paths, whole)}
    errors = {}
    for _ in range(FRAMES):
        for path, reader in readers.items():
            if path not in errors:
                try:
                    next(reader)
                except DataError as error:
                    errors[path] = str(error).removeprefix(str(path))
    assert list(errors) == paths
    assert len(set(errors.values())) == 1


def test_a_clip_cut_at_an_open_group_works(tmp_path: Path) -> None:
    """Its decoder logs a missing picture to discard; the pictures it shows are right."""
    moving = np.stack([np.roll(pictures()[0], 2 * t, axis=1) for t in range(FRAMES)])
    options = {"g": "10", "x264-params": "open-gop=1:scenecut=0"}
    whole = write_video(tmp_path / "whole.mp4", moving, **options)
    path = tmp_path / "cut.mp4"
    with av.open(str(whole)) as read, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        packets = [packet for packet in read.demux(video=0) if packet.size]
        start = [i for i, packet in enumerate(packets) if packet.is_keyframe][1]
        for packet in packets[start:]:
            packet.stream = stream
            out.mux(packet)
    with av.logging.Capture() as logged, av.open(str(path)) as container:
        shown = len(list(container.decode(video=0)))
    assert {message for _, _, message in logged} == {"mmco: unref short failure\n"}
    read_again = np.stack(list(read_frames(path)))
    assert shown == len(read_again) == 20
    assert np.array_equal(read_again, np.stack(list(read_frames(whole)))[-shown:])


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a b"
    path.write_bytes(b"abc")
    assert sha256_of(path).startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(DataError, match="nothing: cannot be read"):
        sha256_of(tmp_path / "nothing")
