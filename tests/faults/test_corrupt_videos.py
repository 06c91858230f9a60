"""Damaged, unusual or hostile videos are quarantined with a reason, or they work."""

import csv
import hashlib
import random
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from slr_pipeline.config.estimators import MediapipeSettings
from slr_pipeline.config.experiment import TableData
from slr_pipeline.errors import DataError
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.verified import Verified, read_verified
from slr_pipeline.io.video import read_frames, read_grey_frames, sha256_of
from slr_pipeline.steps.keypoints import keypoints
from slr_pipeline.steps.verify import verify
from tests import videos
from tests.shared_data import SHARED
from tests.steps.test_features import MADE, Shard, check
from tests.videos import orient_track, signer, write, write_no_frames, write_sound

FEW, WIDTH, HEIGHT = 4, 256, 192

Make = Callable[[Path], Path | None]
"""Writes a colour video and returns its depth video; None: the colour video serves as depth."""


def verify_all(
    folder: Path, files: Iterable[tuple[Path, Path | None, str]], seconds: int = 60
) -> dict[str, Verified]:
    """Verify files given as (colour, depth, SHA-256 or empty); the rows by file name."""
    columns = ["sample", "split", "label", "color", "depth", "color_sha256"]
    rows = [
        (f"s{i}", "train", "0", color, depth or "", sha256)
        for i, (color, depth, sha256) in enumerate(files)
    ]
    with (folder / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
        for split in ("val", "test"):
            writer.writerow((split, split, "1", "none.mp4", "", ""))
    table = TableData(layout="table", table=str(folder / "samples.csv"), root="/")
    verify(table, "train", "all", len(rows), seconds, str(folder / "verified.csv"))
    verified = read_verified(folder / "verified.csv")
    assert len(verified) == len(rows)
    return {Path(row.color).name: row for row in verified}


def made(width: int = WIDTH, height: int = HEIGHT, frames: int = FEW, **options: Any) -> Make:
    def make(path: Path) -> None:
        write(path, signer(width, height, frames), **options)

    return make


plain = made(flags="faststart")
lossless = {"codec": "ffv1", "pixels": "bgr0"}


def turned(quarters: int) -> Make:
    """Upright after its display matrix is applied."""
    matrix = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)][quarters]

    def make(path: Path) -> None:
        upright = signer(WIDTH, HEIGHT)
        write(path, [np.ascontiguousarray(np.rot90(p, quarters)) for p in upright])
        orient_track(path, matrix)

    return make


def broken(damage: videos.Damage, flags: str = "faststart") -> Make:
    def make(path: Path) -> None:
        source = write(path.with_name(f"whole_{path.name}"), signer(WIDTH, HEIGHT), flags=flags)
        videos.damaged(path, source, damage, random.Random(0))

    return make


def no_header(data: bytearray, rng: random.Random) -> None:
    data[:64] = bytes(64)


def with_depth(depth: Make, color: Make = plain) -> Make:
    def make(path: Path) -> Path:
        other = path.with_name(f"depth_of_{path.stem}.mkv")
        color(path)
        depth(other)
        return other

    return make


def sound_with_cover(path: Path) -> None:
    write_sound(path, signer(WIDTH, HEIGHT)[0])


def too_large(path: Path) -> None:
    write(path, [np.zeros((4104, 4096, 3), np.uint8)], codec="mjpeg", pixels="yuvj420p")


def larger_than_its_header(path: Path) -> None:
    """Each picture of a small video claims 12,000 x 12,000 pixels."""
    write(path, signer(WIDTH, HEIGHT), codec="mjpeg", pixels="yuvj420p")
    size = HEIGHT.to_bytes(2, "big") + WIDTH.to_bytes(2, "big")
    path.write_bytes(path.read_bytes().replace(b"\x08" + size, b"\x08" + b"\x2e\xe0\x2e\xe0"))


def list_of(text: str) -> Make:
    """A text that names a valid video beside it."""

    def make(path: Path) -> None:
        plain(path.with_name("other.mp4"))
        path.write_text(text)

    return make


def picture_file(path: Path) -> None:
    path.write_bytes(cv2.imencode(".png", signer(WIDTH, HEIGHT)[0])[1].tobytes())


def archive(path: Path) -> None:
    plain(path.with_name("inside.mp4"))
    with zipfile.ZipFile(path, "w") as file:
        file.write(path.with_name("inside.mp4"), "inside.mp4")


NO_VIDEO = r"cannot be opened as a video \(Inv.*\); copy it again"
TOO_LARGE = "has pictures of more than 16777216 pixels; scale it down"
DAMAGED = r"is damaged (after \d frames )?\(.*\); copy it again"
CASES: dict[str, tuple[Make, str]] = {
    "whole.mp4": (plain, ""),
    "cut_1.mp4": (broken(videos.cut(0.01)), DAMAGED),
    "cut_50.mp4": (broken(videos.cut(0.5)), DAMAGED),
    "cut_99.mp4": (broken(videos.cut(0.99)), DAMAGED),
    "cut_50.mkv": (broken(videos.cut(0.5), ""), DAMAGED),
    "cut_99.mkv": (broken(videos.cut(0.99), ""), DAMAGED),
    "cut_50_index_last.mp4": (broken(videos.cut(0.5), ""), NO_VIDEO),
    "no_header.mp4": (broken(no_header), NO_VIDEO),
    "no_header.mkv": (broken(no_header, ""), NO_VIDEO),
    "zeroed.mp4": (broken(videos.zero_middle), DAMAGED),
    "zeroed.mkv": (broken(videos.zero_middle, ""), DAMAGED),
    "no_frame.avi": (write_no_frames, "has no frames"),
    "one_frame.mp4": (made(frames=1), ""),
    "sound.mp4": (write_sound, "has no video stream"),
    "sound_with_cover.mp4": (sound_with_cover, "has no video stream"),
    "an_mp4.avi": (made(container="mp4"), ""),
    "text.mp4": (list_of("other.mp4\n" * 50), NO_VIDEO),
    "playlist.mp4": (list_of("#EXTM3U\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n"), NO_VIDEO),
    "concat.mp4": (list_of("ffconcat version 1.0\nfile other.mp4\n"), NO_VIDEO),
    "subtitles.mp4": (list_of("[Script Info]\nVideo File: other.mp4\n[Events]\n"), NO_VIDEO),
    "paper.mp4": (list_of("%PDF-1.7\n(other.mp4) /F\n%%EOF\n"), NO_VIDEO),
    "picture.mp4": (picture_file, NO_VIDEO),
    "archive.mp4": (archive, NO_VIDEO),
    "variable_rate.mkv": (made(times=[0, 4, 30, 34]), ""),
    "turned_90.mp4": (turned(1), ""),
    "turned_180.mp4": (turned(2), ""),
    "turned_270.mp4": (turned(3), ""),
    "ten_bits.mp4": (with_depth(plain, made(pixels="yuv420p10le")), ""),
    "ten_bits_hevc.mp4": (with_depth(plain, made(codec="libx265", pixels="yuv420p10le")), ""),
    "ten_bit_depth.mp4": (
        with_depth(made(pixels="yuv420p10le")),
        "yuv420p10le has more than 8 bits a pixel",
    ),
    "shorter_depth.mp4": (
        with_depth(made(frames=FEW - 1)),
        r"depth has \(frames, width, height\) \(3, 256, 192\)",
    ),
    "smaller_depth.mp4": (
        with_depth(made(HEIGHT, WIDTH)),
        r"depth has \(frames, width, height\) \(4, 192, 256\)",
    ),
    "odd.mkv": (made(321, 243, **lossless), ""),
    "one_pixel.mkv": (made(1, 1, **lossless), ""),
    "four_pixels.mkv": (made(4, 4, **lossless), ""),
    "line.mkv": (made(300, 2, **lossless), ""),
    "column.mkv": (made(3, 400, **lossless), ""),
    "vp9.webm": (made(codec="libvpx-vp9"), ""),
    "mpeg2.mpg": (made(codec="mpeg2video"), ""),
    "full_chroma.ts": (made(pixels="yuv444p"), ""),
    "large.mkv": (too_large, TOO_LARGE),
    "larger.avi": (larger_than_its_header, DAMAGED),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shard, dict[str, Verified]]:
    """Every case in one shard, verified."""
    folder = tmp_path_factory.mktemp("mixed")
    files = []
    for name, (make, _) in CASES.items():
        depth = make(folder / name)
        files.append((folder / name, depth or folder / name, ""))
    return Shard(folder), verify_all(folder, files)


@pytest.mark.parametrize("name", CASES)
def test_each_works_or_has_its_reason(mixed: tuple[Shard, dict[str, Verified]], name: str) -> None:
    row = mixed[1][name]
    reason = CASES[name][1]
    if not reason:
        assert row.reason == ""
        assert len(row.color_sha256) == len(row.depth_sha256) == 64
        read = list(read_frames(row.color))
        grey = list(read_grey_frames(row.depth))
        assert len(read) == len(grey) == row.frames == (1 if name == "one_frame.mp4" else FEW)
        assert {picture.shape for picture in read} == {(row.height, row.width, 3)}
        assert {picture.shape for picture in grey} == {(row.height, row.width)}
        return
    file = row.depth if "depth" in name else row.color
    assert re.match(f"{re.escape(file)}: {reason}", row.reason), row.reason
    assert row.reason.isprintable()
    assert (row.frames, row.width, row.height, row.color_sha256) == (0, 0, 0, "")


@pytest.mark.parametrize(
    "name", ["turned_90.mp4", "turned_180.mp4", "turned_270.mp4", "variable_rate.mkv"]
)
def test_pictures_are_upright_and_each_is_there_once(
    mixed: tuple[Shard, dict[str, Verified]], name: str
) -> None:
    read = list(read_frames(mixed[1][name].color))
    assert all(picture.flags.c_contiguous for picture in read)
    assert np.abs(np.stack(read) - np.stack(signer(WIDTH, HEIGHT)).astype(int)).mean() < 4


@pytest.mark.slow
def test_a_mixed_shard_goes_through_every_step(
    mixed: tuple[Shard, dict[str, Verified]],
) -> None:
    shard, rows = mixed
    keypoints(MediapipeSettings(), "cpu", shard.verified, [shard.keypoints])
    store = FeatureStore("keypoints", [shard.keypoints])
    for feature in MADE:
        check(shard.make(feature), shard)
    for name in ("whole.mp4", "turned_90.mp4", "turned_180.mp4", "turned_270.mp4"):
        points = store.read(rows[name].sample).values
        nose, shoulders = points[:, 0, 1], points[:, 5:7, 1]
        assert (points[:, [0, 5, 6], 2] > 0).all(), name
        assert (nose[:, None] < shoulders).all(), name


def test_a_video_damaged_after_verify_is_named(tmp_path: Path) -> None:
    plain(tmp_path / "a.mp4")
    rows = verify_all(tmp_path, [(tmp_path / "a.mp4", None, "")])
    assert rows["a.mp4"].reason == ""
    videos.damaged(tmp_path / "a.mp4", tmp_path / "a.mp4", videos.zero_middle, random.Random(0))
    with pytest.raises(DataError, match=rf"^sample s0: .*a\.mp4: {DAMAGED}"):
        keypoints(MediapipeSettings(), "cpu", Shard(tmp_path).verified, [str(tmp_path / "k.h5")])
    assert not (tmp_path / "k.h5").exists()


def test_a_video_that_takes_for_ever_costs_its_time_only(tmp_path: Path) -> None:
    """A file of 30 MB with 60,000 pictures of 512 x 512: minutes of work."""
    stream = write(tmp_path / "one.h264", signer(512, 512))
    bomb, after = tmp_path / "bomb.h264", tmp_path / "whole.mp4"
    bomb.write_bytes(stream.read_bytes() * (30_000_000 // stream.stat().st_size))
    plain(after)
    rows = verify_all(tmp_path, [(bomb, None, ""), (after, None, "")], seconds=2)
    assert rows["bomb.h264"].reason.startswith(f"{bomb}: takes more than 2 s of processor time")
    assert rows["whole.mp4"].reason == ""


def test_a_checksum_detects_any_change(tmp_path: Path) -> None:
    plain(tmp_path / "whole.mp4")
    expected = sha256_of(tmp_path / "whole.mp4")
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "longer.mp4").write_bytes(data + b"\0")  # it decodes
    names = ("whole.mp4", "longer.mp4")
    rows = verify_all(tmp_path, [(tmp_path / name, None, expected.upper()) for name in names])
    assert rows["whole.mp4"].reason == ""
    assert rows["longer.mp4"].reason == (
        f"{tmp_path}/longer.mp4: has SHA-256 {sha256_of(tmp_path / 'longer.mp4')}, the sample "
        f"table says {expected}; copy it again from its source"
    )


DAMAGES: dict[str, videos.Damage] = {
    "cut at 1 %": videos.cut(0.01),
    "cut at 50 %": videos.cut(0.5),
    "cut at 99 %": videos.cut(0.99),
    "header damaged": videos.damage_header,
    "2,000 bytes zeroed": videos.zero_middle,
    "a bit flipped": videos.flip_bit,
    "10 bits flipped": videos.flip_bits,
    "100 bytes overwritten": videos.overwrite,
    "bytes deleted": videos.delete,
    "bytes inserted": videos.insert,
    "bytes doubled": videos.double,
}
ONCE = {"cut at 1 %", "cut at 50 %", "cut at 99 %", "2,000 bytes zeroed"}
"""Kinds of damage without randomness."""
SAME, OTHER = "with the same pictures", "with other pictures"

Files = dict[str, tuple[str, Path]]
"""Kind of damage and source of each damaged file, by name."""


def rendered(folder: Path) -> list[Path]:
    """The demo's signer in many containers and codecs."""
    pictures = signer(128, 128, frames=12)
    return [
        write(folder / "h264.mp4", pictures, flags="faststart"),
        write(folder / "h264_index_last.mp4", pictures),
        write(folder / "mpeg4.avi", pictures, codec="mpeg4"),
        write(folder / "mjpeg.avi", pictures, codec="mjpeg", pixels="yuvj420p"),
        write(folder / "mpeg2.mpg", pictures, codec="mpeg2video"),
        write(folder / "vp9.webm", pictures, codec="libvpx-vp9"),
        write(folder / "hevc.mp4", pictures, codec="libx265"),
        write(folder / "ffv1.mkv", pictures, codec="ffv1"),
        videos.DEMO,
        *(videos.remux(videos.DEMO, folder / f"demo.{end}") for end in ("mkv", "ts", "flv")),
    ]


def real(folder: Path) -> list[Path]:
    """Eight videos of signers (MPEG-4 in mp4), and the same in Matroska."""
    clips = sorted((SHARED / "wlasl20" / "videos").glob("*.mp4"))[:8]
    if not clips:
        pytest.skip("no real clips: SLR_SHARED_DATA or ../shared/data has no wlasl20")
    return [*clips, *(videos.remux(path, folder / f"{path.stem}.mkv") for path in clips)]


def mutated(folder: Path, sources: list[Path]) -> Files:
    """Each video with each kind of damage."""
    rng = random.Random(9)
    files = {}
    for source in sources:
        for number, (kind, damage) in enumerate(DAMAGES.items()):
            for turn in range(1 if kind in ONCE else 4):
                path = folder / f"{source.stem}_{number}_{turn}{source.suffix}"
                videos.damaged(path, source, damage, rng)
                files[path.name] = (kind, source)
    return files


def digests(path: str | Path) -> list[bytes]:
    """SHA-256 of each frame."""
    return [hashlib.sha256(picture).digest() for picture in read_frames(path)]


def outcomes(folder: Path, sources: list[Path], files: Files) -> Counter[tuple[str, str]]:
    """Number of files by kind of damage and outcome, from `verify` and then the reader."""
    pictures = {path: digests(path) for path in sources}
    rows = verify_all(folder, [(folder / name, None, "") for name in files], seconds=30)
    counts: Counter[tuple[str, str]] = Counter()
    for name, (kind, source) in files.items():
        row = rows[name]
        if row.reason:
            assert row.reason.startswith(f"{folder / name}: ")
            assert row.reason.isprintable()
            assert row.frames == 0
            counts[kind, "quarantined"] += 1
            continue
        read = digests(row.color)
        assert len(read) == row.frames > 0
        counts[kind, SAME if read == pictures[source] else OTHER] += 1
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("make", [rendered, real])
def test_damaged_videos_are_quarantined_or_show_what_they_showed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], list[Path]]
) -> None:
    """Flipped bits may give another valid picture: only a checksum detects that."""
    sources = make(tmp_path)
    files = mutated(tmp_path, sources)
    assert len(files) >= 300
    counts = outcomes(tmp_path, sources, files)
    sums = {path: sha256_of(path) for path in sources}
    rows = verify_all(tmp_path, [(tmp_path / n, None, sums[s]) for n, (_, s) in files.items()])
    totals = Counter(outcome for _, outcome in counts.elements())
    detected = sum("has SHA-256" in row.reason for row in rows.values())
    with capsys.disabled():
        print(f"\n{len(files)} damaged files of {len(sources)} {make.__name__} videos: {totals}")
        print(counts)
    assert detected == len(files)
    assert totals[OTHER] < 0.1 * len(files)
    for kind in ("cut at 1 %", "header damaged", "2,000 bytes zeroed"):
        assert counts[kind, OTHER] == 0
