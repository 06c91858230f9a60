"""TV-L1 against OpenCV's default settings: time and error on the true flow of rendered clips.

    python -m benchmarks.flow                    # every fifth clip of the demo, two pairs each
    python -m benchmarks.flow --every 20

Prints a markdown table. All methods run on one thread, in turn on each pair of signer crops of
256 x 256, so that other load on the machine affects them equally. "times faster" is the ratio to
OpenCV's default TV-L1, the median over the pairs. End-point errors are in px of the crop, of flow
clipped at 20 px, the mean over pixels with known true flow; `moving` are those that move by more
than half a pixel; `change` is the mean difference from OpenCV's default. Intervals are 95 %
bootstrap intervals over the pairs.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from renderer.clips import all_clips, build_scene, clip_flow, open_studio

from benchmarks.intervals import bootstrap_interval
from slr_pipeline.features.arrays import Picture
from slr_pipeline.features.flow import Estimate, flow_estimator
from slr_pipeline.features.frames import crop_signer, signer_box
from slr_pipeline.io.video import read_frames
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND

BOUND_PX = 20.0
DEMO = Path(__file__).parents[1] / "demo"


@dataclass(frozen=True)
class Pair:
    """Grey crops (256, 256), the true flow (256, 256, 2) between them, and where it is known."""

    before: Picture
    after: Picture
    flow: NDArray[np.floating]
    known: NDArray[np.bool_]


def main() -> None:
    """Parse the flags and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=5, help="use every n-th clip of the demo")
    flags = parser.parse_args()
    cv2.setNumThreads(1)
    methods = flow_methods()
    pairs = list(true_pairs(flags.every))
    times = np.zeros((len(methods), len(pairs)))
    errors = np.zeros((len(methods), len(pairs), 2))
    for column, pair in enumerate(pairs):
        for row, estimate in enumerate(methods.values()):
            start = time.perf_counter()
            flow = estimate(pair.before, pair.after)
            times[row, column] = time.perf_counter() - start
            errors[row, column] = end_point_errors(flow, pair)
    print(f"{len(pairs)} pairs, OpenCV {cv2.__version__}\n")
    print("| method | ms per pair | times faster | error, px | change | moving, px | change |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row, name in enumerate(methods):
        cells = [
            f"{1000 * np.median(times[row]):.1f}",
            with_interval(times[0] / times[row], np.median, 1),
        ]
        for kind in (0, 1):
            known = ~np.isnan(errors[0, :, kind])
            own, default = errors[row, known, kind], errors[0, known, kind]
            cells += [f"{own.mean():.3f}", with_interval(own - default, np.mean, 3)]
        print(f"| {name} | {' | '.join(cells)} |")


def flow_methods() -> dict[str, Estimate]:
    """The compared methods; the first is the baseline of the others."""
    default = cv2.optflow.DualTVL1OpticalFlow_create()
    fewer = cv2.optflow.DualTVL1OpticalFlow_create()
    fewer.setWarpingsNumber(2)
    fewer.setInnerIterations(10)
    return {
        "OpenCV's default TV-L1": lambda a, b: default.calc(a, b, None),
        "- with 2 warps, 10 inner iterations": lambda a, b: fewer.calc(a, b, None),
        "`tvl1`, published": flow_estimator("tvl1", fidelity="published"),
        "`tvl1`, corrected": flow_estimator("tvl1", fidelity="corrected"),
        "`dis`": flow_estimator("dis", fidelity="corrected"),
        "no motion": lambda a, b: np.zeros((*a.shape, 2), np.float32),
    }


def true_pairs(every: int) -> Iterator[Pair]:
    """The pair in the middle of each chosen clip, and the pair with the fastest hands."""
    studio = open_studio()
    for clip in all_clips()[::every]:
        scene = build_scene(studio, clip)
        points = scene.camera.project(scene.keypoints)[..., :2]
        hands = points[:, [*LEFT_HAND, *RIGHT_HAND]]
        speed = np.linalg.norm(np.diff(hands, axis=0), axis=-1).mean(axis=1)
        frames = list(read_frames(DEMO / clip.split / f"{clip.sample}_color.mp4"))
        keypoints = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1)
        box = signer_box(keypoints.astype(np.float32), width=512, height=512, fidelity="corrected")
        for t in (scene.frames // 2, int(speed.argmax()) + 1):
            greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames[t - 1 : t + 1]]
            before, after = (crop_signer(grey, box, interpolation=cv2.INTER_AREA) for grey in greys)
            flow, known = clip_flow(scene, t)
            yield Pair(before, after, *on_crop(flow, known, box))


def on_crop(
    flow: NDArray[np.floating], known: NDArray[np.bool_], box: NDArray[np.int32]
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Resample the flow of a frame, and where it is known, to the pixels of a signer crop."""
    height, width = known.shape
    side = int(max(box[2:] - box[:2]))
    start = box[:2] - (side - (box[2:] - box[:2])) // 2
    at = np.rint((np.arange(256) + 0.5) * side / 256 - 0.5).astype(int)
    x, y = at + start[0], at + start[1]
    inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
    grid = np.ix_(y.clip(0, height - 1), x.clip(0, width - 1))
    return flow[grid] * 256 / side, known[grid].astype(bool) & inside


def end_point_errors(flow: NDArray[np.floating], pair: Pair) -> tuple[float, float]:
    """Mean error over the known pixels and over the moving ones, px; NaN if none moves."""
    estimated, true = (np.clip(value, -BOUND_PX, BOUND_PX) for value in (flow, pair.flow))
    error = np.linalg.norm(estimated - true, axis=-1)
    moving = pair.known & (np.linalg.norm(pair.flow, axis=-1) > 0.5)
    return float(error[pair.known].mean()), float(error[moving].mean()) if moving.any() else np.nan


def with_interval(
    values: NDArray[np.floating], statistic: Callable[..., NDArray[np.floating]], digits: int
) -> str:
    """A statistic of the pairs with its 95 % bootstrap interval."""
    low, high = bootstrap_interval(values, statistic)
    return f"{statistic(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
