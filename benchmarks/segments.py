"""Processor time of `verify` and `frames` for segments of a recording, against clips.

    python -m benchmarks.segments --tenths 10 [--pause 1] [--shard-size 512] [--frames]

Each tenth of an hour has 100 segments, with pauses of `pause` times their length between them. They
are in one split and, as for a recording of one signer, dealt to three. The clips have the same
frames. The recording has x264's default key frames, up to 250 frames apart; all tenths are the
first one again, and so are their clips.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from itertools import repeat as again
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from slr_pipeline.config.experiment import SPLITS, TableData
from slr_pipeline.config.features import FidelitySettings
from slr_pipeline.io.feature_writer import create_feature_file
from slr_pipeline.io.shards import clip_of, rows_to_make
from slr_pipeline.io.verified import read_verified
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.splits import clip_split
from slr_pipeline.samples.table import load_samples
from slr_pipeline.steps.frames import frames
from slr_pipeline.steps.verify import verify

FPS, WIDTH, HEIGHT = 25, 320, 240
SEGMENTS = 100
"""In a tenth of an hour."""
STEP = 360 * FPS // SEGMENTS
"""Frames from one segment to the next."""


def main() -> None:
    """Print the seconds and their ratio to those of the clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenths", type=int, default=1, help="tenths of an hour")
    parser.add_argument("--pause", type=float, default=1)
    parser.add_argument("--shard-size", type=int, default=512)
    parser.add_argument("--frames", action="store_true", help="measure `frames` too")
    flags = parser.parse_args()
    length = round(STEP / (1 + flags.pause))
    number = SEGMENTS * flags.tenths
    print(
        "| samples | shards | verify, s | times | frames, s | times |\n"
        "|---|---:|---:|---:|---:|---:|",
        flush=True,
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        encode(folder / "tenth.mp4", range(STEP * SEGMENTS))
        repeat(folder / "tenth.mp4", flags.tenths, folder / "recording.mp4")
        encode(folder / "other.mp4", range(FPS))
        for n in range(SEGMENTS):
            encode(folder / f"0_{n}.mp4", range(STEP * n, STEP * n + length))
            for tenth in range(1, flags.tenths):
                os.link(folder / f"0_{n}.mp4", folder / f"{tenth}_{n}.mp4")
        clips = [f"{tenth}_{n}.mp4,," for tenth in range(flags.tenths) for n in range(SEGMENTS)]
        starts = [STEP * n for n in range(number)]
        segments = [f"recording.mp4,{s / FPS:g},{(s + length) / FPS:g}" for s in starts]
        one = ["train"] * number
        dealt = clip_split([str(n % 2) for n in range(number)], val=0.15, test=0.2, seed=1)
        expected = seconds(folder, clips, one, flags)
        report("clips", expected, expected)
        report("segments", seconds(folder, segments, one, flags), expected)
        report("segments in three splits", seconds(folder, segments, dealt, flags), expected)


def report(name: str, measured: tuple[int, float, float], clips: tuple[int, float, float]) -> None:
    """Print a row of the table."""
    parts, *own = measured
    cells = (f"{s:.1f} | {s / (c or 1):.2f}" for s, c in zip(own, clips[1:], strict=True))
    print(f"| {name} | {parts} | {' | '.join(cells)} |", flush=True)


def encode(path: Path, numbers: Iterable[int]) -> None:
    """A noisy picture in which a square moves."""
    noise = np.random.default_rng(0).integers(60, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t in numbers:
            picture = noise.copy()
            x, y = 3 * t % (WIDTH - 60), 2 * t % (HEIGHT - 60)
            picture[y : y + 60, x : x + 60] += np.uint8(100)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


def repeat(path: Path, times: int, to: Path) -> None:
    """The video several times, one after another, without encoding it again."""
    with av.open(str(to), "w") as out:
        stream = None
        for number in range(times):
            with av.open(str(path)) as video:
                stream = stream or out.add_stream_from_template(video.streams.video[0])
                for packet in video.demux(video=0):
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue  # the end
                    later = round(number * STEP * SEGMENTS / FPS / packet.time_base)
                    packet.pts, packet.dts = packet.pts + later, packet.dts + later
                    packet.stream = stream
                    out.mux(packet)


def seconds(
    folder: Path, videos: list[str], splits: Sequence[str], flags: argparse.Namespace
) -> tuple[int, float, float]:
    """Number of shards, and processor time of both steps in all of them; children count."""
    rows = [
        f"s{n},{split},{n % 2},{video}"
        for n, (split, video) in enumerate(zip(splits, videos, strict=True))
    ]
    rows += [f"{split},{split},0,other.mp4,," for split in SPLITS if split not in splits]
    table = folder / "samples.csv"
    table.write_text("\n".join(["sample,split,label,color,start_s,end_s", *rows]) + "\n")
    data = TableData(layout="table", table=str(table), signer_independent=False)
    loaded = load_samples(data)
    parts = [
        (split, shard)
        for split in sorted(set(splits))
        for shard in shards(loaded.split(SPLITS[SPLITS.index(split)]), flags.shard_size)
    ]
    verified, keypoints, out = (str(folder / name) for name in ("v.csv", "k.h5", "f.h5"))
    verifying = making = 0.0
    for split, shard in parts:
        before = used()
        verify(data, split, shard, flags.shard_size, 600, verified)
        verifying += used() - before
        if not flags.frames:
            continue
        write_keypoints(verified, keypoints)
        before = used()
        frames(FidelitySettings(), verified, keypoints, out)
        making += used() - before
        Path(out).unlink()  # else the next shard may take over clips
    return len(parts), verifying, making


def used() -> float:
    """Processor time of this process and its ended children in s."""
    return sum(os.times()[:4])


def write_keypoints(verified: str, out: str) -> None:
    """A person who fills the picture, in each frame."""
    person = np.tile(np.float32([WIDTH / 2, HEIGHT / 2, 1]), (133, 1))
    person[:2, :2] = (0, 0), (WIDTH, HEIGHT)
    facts = {"estimator": "none", "weights_sha256": ""}
    with create_feature_file(out, "keypoints", facts, {}) as writer:
        for row, _ in rows_to_make(read_verified(verified), writer):
            writer.add(clip_of(row, again(person, row.frames)))


if __name__ == "__main__":
    main()
