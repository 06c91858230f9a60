"""HHA against the plain float64 oracle of the tests: time per frame, and share of equal bytes.

    OMP_NUM_THREADS=1 python -m benchmarks.hha               # two frames each of eight demo clips
    OMP_NUM_THREADS=1 python -m benchmarks.hha --clips 3

Prints a markdown table. One thread; the methods run in turn on each frame, so that other load on
the machine affects them equally. "times faster" is the median over the frames, with its bootstrap
interval and range. `corrected` is timed on whole clips, including gravity, and divided by their
frames.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.intervals import bootstrap_interval
from slr_pipeline.features.camera import NYU_CAMERA, Camera
from slr_pipeline.features.hha import clip_hha, hha
from slr_pipeline.io.video import read_grey_frames
from tests.features import hha_reference as oracle

ROOT = Path(__file__).parents[1]

Picture = NDArray[np.uint8]
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8, help="number of clips of the demo")
    flags = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1: numpy's BLAS must use one thread, too")
    cv2.setNumThreads(1)
    paths = sorted((ROOT / "demo").glob("*/*_depth.mp4"))
    paths = [paths[i] for i in np.linspace(0, len(paths) - 1, flags.clips).astype(int)]
    clips = [np.stack(list(read_grey_frames(path))) for path in paths]
    print(f"{len(clips)} clips of {[len(c) for c in clips]} frames, OpenCV {cv2.__version__}\n")
    print("| size | method | ms per frame (range) | times faster (95 %; range) | n | equal bytes |")
    print("|---:|---|---:|---:|---:|---:|")
    for size in (256, 512):
        camera = NYU_CAMERA.cropped((0, 0, 512, 512), size)
        print_rows(size, camera, [np.stack([shrunk(f, size) for f in c]) for c in clips])


def shrunk(grey: Picture, size: int) -> Picture:
    return cv2.resize(grey, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)


def print_rows(size: int, camera: Camera, clips: list[Picture]) -> None:
    times, equal = [], np.zeros((0, 3))
    for clip in clips:
        corrected = timed(lambda clip=clip: list(clip_hha(clip, camera)[1]), 3)[0] / len(clip)
        for t in (len(clip) // 4, len(clip) // 2):
            published, actual = timed(lambda grey=clip[t]: hha(grey, camera), 5)
            plain, true = timed(lambda grey=clip[t]: slow(grey, camera), 1)
            times.append((published, corrected, plain))
            equal = np.vstack([equal, (actual == true).mean(axis=(0, 1))])
    ms = 1000 * np.array(times)  # (n, 3)
    for column, method in enumerate(("published", "corrected", "oracle")):
        ratio = ms[:, 2] / ms[:, column]
        low, high = bootstrap_interval(ratio, np.median)
        same = " ".join(f"{100 * share:.3f} %" for share in equal.mean(axis=0))
        print(
            f"| {size} | {method} | {np.median(ms[:, column]):.1f} ({ms[:, column].min():.1f} to "
            f"{ms[:, column].max():.1f}) | {np.median(ratio):.0f} ({low:.0f} to {high:.0f}; "
            f"{ratio.min():.0f} to {ratio.max():.0f}) | {len(ms)} "
            f"| {same if method == 'published' else '-'} |"
        )


def slow(grey: Picture, camera: Camera) -> Picture:
    return oracle.hha(grey, (camera.fx, camera.fy, camera.cx, camera.cy))


def timed(call: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Median seconds of repeated calls, and the value of the last one."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        value = call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), value


if __name__ == "__main__":
    main()
