"""Processor time of reading segments of a recording, against clips with the same frames.

    python benchmarks/segments.py [--minutes 6] [--segments 100]

The recording has x264's default key frames, up to 250 frames apart. Two cases: segments one after
another, and segments with pauses as long as themselves.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from slr_pipeline.io.recordings import Recordings
from slr_pipeline.io.video import probe, read_frames
from slr_pipeline.samples.segments import Segment

Pieces = list[tuple[Path, Segment | None]]

FPS, WIDTH, HEIGHT, RUNS = 25, 320, 240, 3


def write(path: Path, first: int, frames: int) -> None:
    """A noisy picture in which a square moves."""
    noise = np.random.default_rng(0).integers(60, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t in range(first, first + frames):
            picture = noise.copy()
            x, y = 3 * t % (WIDTH - 60), 2 * t % (HEIGHT - 60)
            picture[y : y + 60, x : x + 60] += np.uint8(100)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


def decode(pieces: Pieces, shared: Recordings) -> int:
    """As `verify` does."""
    return sum(probe(path, segment, recordings=shared).frames for path, segment in pieces)


def read(pieces: Pieces, shared: Recordings) -> int:
    """As features do."""
    return sum(1 for path, segment in pieces for _ in read_frames(path, segment, recordings=shared))


def seconds(use: Callable[[Pieces, Recordings], int], pieces: Pieces, frames: int) -> float:
    """Processor time of this process."""
    start = time.process_time()
    with Recordings() as shared:
        assert use(pieces, shared) == frames
    return time.process_time() - start


def main() -> None:
    """Print both ratios of each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--segments", type=int, default=100)
    flags = parser.parse_args()
    each = round(60 * FPS * flags.minutes / flags.segments)
    starts = range(0, each * flags.segments, each)
    with TemporaryDirectory() as folder:
        recording = Path(folder, "recording.mp4")
        write(recording, 0, each * flags.segments)
        for case, frames in (("one after another", each), ("with pauses", each // 2)):
            segments: Pieces = [(recording, Segment(s / FPS, (s + frames) / FPS)) for s in starts]
            clips: Pieces = [(Path(folder, f"{case} {start}.mp4"), None) for start in starts]
            for (clip, _), start in zip(clips, starts, strict=True):
                write(clip, start, frames)
            for use in (decode, read):
                total = frames * flags.segments
                pairs = [[seconds(use, p, total) for p in (clips, segments)] for _ in range(RUNS)]
                of_clips, of_segments = np.median(pairs, axis=0)
                print(
                    f"{use.__name__} {flags.segments} segments of {frames} frames, {case}: "
                    f"{of_segments:.2f} s, {of_segments / of_clips:.2f} times the clips"
                )


if __name__ == "__main__":
    main()
