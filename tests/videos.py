"""Writes small videos in many containers and codecs, and damages them."""

import random
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from av.stream import Disposition

DEMO = Path(__file__).parents[1] / "demo" / "train" / "signer0_sample1_color.mp4"

Pictures = list[np.ndarray]


@cache
def _signer() -> tuple[np.ndarray, ...]:
    with av.open(str(DEMO)) as container:
        return tuple(frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))


def signer(width: int, height: int, frames: int = 4) -> Pictures:
    """RGB pictures of the signer, from the middle of the clip."""
    first = (len(_signer()) - frames) // 2
    chosen = _signer()[first : first + frames]
    return [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in chosen]


def write(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    given: str = "rgb24",
    container: str | None = None,
    flags: str = "",
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode pictures of the format `given`; `times` are in ticks of 1/100 s."""
    movflags = {"movflags": flags} if flags else {}
    with av.open(str(path), "w", format=container, options=movflags) as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        stream.pix_fmt = pixels
        if times:
            stream.codec_context.time_base = Fraction(1, 100)
        for i, picture in enumerate(pictures):
            if i == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format=given)
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 100)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def write_no_frames(path: Path) -> None:
    with av.open(str(path), "w", format="avi") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        out.start_encoding()


ORIENTATIONS = tuple(
    matrix for x in (1, -1) for y in (1, -1) for matrix in ((x, 0, 0, y), (0, x, y, 0))
)
"""(a, b, c, d): the pixel (x, y) is shown at (ax + cy, bx + dy). Four turns, each also mirrored."""


def orient_track(path: Path, matrix: tuple[float, float, float, float]) -> Path:
    """Write a display matrix into the track header of an mp4, as phones do."""
    a, b, c, d = (round(value * (1 << 16)) for value in matrix)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    values = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(data)
    return path


def edit_track(path: Path, edits: list[tuple[int, int]]) -> Path:
    """Replace the edit list of an mp4 of 25 frames/s; an edit is (first, number of frames).

    A first of -1 is a pause. The index must be last, unless the number of edits stays.
    """
    data = path.read_bytes()

    def number(box: bytes, offset: int) -> int:
        at = data.index(box) + offset
        return int.from_bytes(data[at : at + 4], "big")

    movie_scale, media_scale, begin = number(b"mvhd", 16), number(b"mdhd", 16), number(b"elst", 16)
    body = b"elst" + bytes(4) + len(edits).to_bytes(4, "big")
    for first, frames in edits:
        at = begin + first * media_scale // 25 if first >= 0 else -1
        body += (frames * movie_scale // 25).to_bytes(4, "big")
        body += at.to_bytes(4, "big", signed=True) + (1 << 16).to_bytes(4, "big")
    edts = (len(body) + 12).to_bytes(4, "big") + b"edts" + (len(body) + 4).to_bytes(4, "big") + body
    longer = len(edts) - number(b"edts", -4)
    edited = data.replace(data[(at := data.index(b"edts") - 4) : at + len(edts) - longer], edts)
    for parent in (b"moov", b"trak"):
        at, size = edited.index(parent) - 4, number(parent, -4) + longer
        edited = edited[:at] + size.to_bytes(4, "big") + edited[at + 4 :]
    path.write_bytes(edited)
    return path


def shown(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """The picture after its display matrix, pixel by pixel."""
    a, b, c, d = matrix
    y, x = np.indices(picture.shape[:2])
    columns, rows = a * x + c * y, b * x + d * y
    columns, rows = columns - columns.min(), rows - rows.min()
    result = np.empty((rows.max() + 1, columns.max() + 1, *picture.shape[2:]), picture.dtype)
    result[rows, columns] = picture
    return result


def remux(
    source: Path,
    path: Path,
    keep: Callable[[int], bool] = lambda i: True,
    change: Callable[[int, bytes], bytes] = lambda i, data: data,
) -> Path:
    """Packets of the source, by number in decoding order, in another container."""
    with av.open(str(source)) as read, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        packets = [packet for packet in read.demux(video=0) if packet.dts is not None]
        for i, old in enumerate(packets):
            if keep(i):
                packet = av.Packet(change(i, bytes(old)))
                packet.pts, packet.dts, packet.duration = old.pts, old.dts, old.duration
                packet.time_base, packet.is_keyframe = old.time_base, old.is_keyframe
                packet.stream = stream
                out.mux(packet)
    return path


def starts(path: Path) -> set[int]:
    """Numbers of packets, from the first on, that are whole videos: no frame between is missing."""
    with av.open(str(path)) as read:
        times = [packet.pts for packet in read.demux(video=0) if packet.pts is not None]
    ordered = sorted(times)
    return {n for n in range(1, len(times) + 1) if sorted(times[:n]) == ordered[:n]}


def write_sound(path: Path, cover: np.ndarray | None = None) -> None:
    """A second of silence, with a cover picture if given."""
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        if cover is not None:
            picture = out.add_stream("png", rate=1)
            picture.height, picture.width = cover.shape[:2]
            picture.pix_fmt = "rgb24"
            picture.disposition = Disposition.attached_pic
            out.mux(picture.encode(av.VideoFrame.from_ndarray(cover, format="rgb24")))
            out.mux(picture.encode())
        silence = np.zeros((1, 16000), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())


Damage = Callable[[bytearray, random.Random], None]


def cut(share: float) -> Damage:
    """Keep the first `share` of the bytes."""

    def damage(data: bytearray, rng: random.Random) -> None:
        del data[int(len(data) * share) :]

    return damage


def zero_middle(data: bytearray, rng: random.Random) -> None:
    """2,000 bytes in the middle, or the half of a small file."""
    length = min(2000, len(data) // 2)
    start = (len(data) - length) // 2
    data[start : start + length] = bytes(length)


def damage_header(data: bytearray, rng: random.Random) -> None:
    for _ in range(8):
        data[rng.randrange(64)] = rng.randrange(256)


def flip_bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(10):
        flip_bit(data, rng)


def overwrite(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start : start + 100] = rng.randbytes(len(data[start : start + 100]))


def delete(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 200)]


def insert(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = rng.randbytes(rng.randrange(1, 200))


def double(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = data[start : start + rng.randrange(1, 500)]


def damaged(path: Path, source: Path, damage: Damage, rng: random.Random) -> Path:
    """Write the source with that damage; at least one byte changes."""
    whole = source.read_bytes()
    data = bytearray(whole)
    while data == whole:
        damage(data, rng)
    path.write_bytes(data)
    return path
