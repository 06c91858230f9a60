"""Accuracy of pose estimators on the rendered ground truth of a demo folder, and their speed.

    python -m benchmarks.pose accuracy --demo demo
    python -m benchmarks.pose accuracy --demo demo --settings '{"estimator": "onnx", ...}'
    python -m benchmarks.pose accuracy --demo demo --keypoints FILES
    python -m benchmarks.pose speed --batches 1 8

Prints markdown tables.

`accuracy` runs an estimator with its weights (default: MediaPipe) or evaluates keypoints files. It
counts true keypoints that are in the picture and not hidden; a missing one is wrong. The unit of
body parts is the distance from the midpoint of the shoulders to that of the hips; the unit of hands
and face is the longer side of the box around their true points in the frame.

`speed` runs MediaPipe and networks with random weights, which are as fast as trained ones, each in
a separate process, on repeated frames of a demo clip, without `flip_average`, which doubles the
time. Opening the estimator, its first clip and decoding do not count. Memory is the peak of the
process, or what torch allocated on the GPU.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.keypoint_accuracy import keypoint_accuracy
from slr_pipeline.config.estimators import KeypointsSettings
from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.config.flags import parse_setting
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.video import probe, read_frames
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.skeleton import BODY, FACE, FEET, KEYPOINTS_133, LEFT_HAND, RIGHT_HAND
from tests.pose import networks

TRUTH_FORMAT = "slr-demo-truth-1"
Keypoints = NDArray[np.float32]


def pair(name: str) -> list[int]:
    """The left and the right keypoint with this name."""
    return [KEYPOINTS_133.index(f"{side}_{name}") for side in ("left", "right")]


# Part: its keypoints, and the threshold in its unit.
PARTS = {
    "body": (list(BODY), 0.1),
    "body: nose, eyes, ears": (list(range(5)), 0.1),
    "body: shoulders": (pair("shoulder"), 0.1),
    "body: elbows": (pair("elbow"), 0.1),
    "body: wrists": (pair("wrist"), 0.1),
    "body: hips": (pair("hip"), 0.1),
    "body: knees, ankles": (pair("knee") + pair("ankle"), 0.1),
    "feet": (list(FEET), 0.1),
    "left hand": (list(LEFT_HAND), 0.2),
    "right hand": (list(RIGHT_HAND), 0.2),
    "face": (list(FACE), 0.1),
}


MEDIAPIPE = '{"estimator": "mediapipe"}'
HRNET = "td-hm_hrnet-w48_dark-8xb32-210e_coco-wholebody-384x288"
RTMPOSE_M = "rtmpose-m_8xb64-270e_coco-wholebody-256x192"
RTMW_M = "rtmw-m_8xb1024-270e_cocktail14-256x192"
CLIP = "train/signer0_sample1_color.mp4"


def main() -> None:
    """Parse the flags and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    accurate = commands.add_parser("accuracy")
    accurate.add_argument("--demo", required=True, type=Path)
    accurate.add_argument("--keypoints", nargs="+", type=Path, help="keypoints files to evaluate")
    accurate.add_argument("--settings", default=MEDIAPIPE, help="the section features: keypoints:")
    accurate.add_argument("--device", default="auto")
    accurate.add_argument("--samples", nargs="+", help="only these samples")
    fast = commands.add_parser("speed")
    fast.add_argument("--demo", default=Path("demo"), type=Path)
    fast.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    fast.add_argument("--frames", type=int, default=16, help="number of timed frames")
    fast.add_argument("--device", default="auto")
    fast.add_argument("--precision", choices=("fp32", "fp16"), default="fp32")
    flags = parser.parse_args()
    try:
        if flags.command == "speed":
            speed(flags)
        else:
            accuracy(flags)
    except SlrError as error:
        sys.exit(f"error: {error}")


def accuracy(flags: argparse.Namespace) -> None:
    truth = dict(read_truth(flags.demo, flags.samples))
    if flags.keypoints:
        store = FeatureStore("keypoints", flags.keypoints)
        detected = {name: store.read(name).values for name in truth}
        source = "keypoints files"
    else:
        detected, source = estimate(
            flags.demo,
            truth,
            parse_setting(KeypointsSettings, flags.settings, "settings"),
            flags.device,
        )
    print(f"{len(truth)} clips, {sum(map(len, truth.values()))} frames; {source}\n")
    print("\n".join(table(detected, truth)))


def speed(flags: argparse.Namespace) -> None:
    print("| estimator | batch | frames/s | ms per frame | memory, MB |")
    print("|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in random_networks(Path(folder), flags.precision).items():
            for batch in flags.batches if "%d" in text else [1]:
                settings = text % batch if "%d" in text else text
                # One process each, to measure its memory.
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    job = pool.submit(timed, settings, flags.device, flags.demo, flags.frames)
                    seconds, megabytes = job.result()
                print(
                    f"| {name} | {batch} | {1 / seconds:.1f} | {1000 * seconds:.0f} "
                    f"| {megabytes:.0f} |",
                    flush=True,
                )


def random_networks(folder: Path, precision: str) -> dict[str, str]:
    """Settings by name; those with a batch size contain %d for it."""
    settings = {"mediapipe": MEDIAPIPE}
    common = '"flip_average": false, "batch_size": %d'
    for config in (HRNET, RTMPOSE_M, RTMW_M):
        model = networks.build(config)
        path = networks.save(model, folder / f"{config}.pth")
        settings[f"mmpose {config}"] = (
            f'{{"estimator": "mmpose", "config": "{config}", "precision": "{precision}", '
            f'"checkpoint": {{"path": "{path}"}}, {common}}}'
        )
        if config != HRNET:
            path = networks.export(model, folder / f"{config}.onnx")
            settings[f"onnx {config}"] = (
                f'{{"estimator": "onnx", "model": {{"path": "{path}"}}, {common}}}'
            )
    return settings


def timed(settings: str, device: str, demo: Path, frames: int) -> tuple[float, float]:
    """Seconds per frame and megabytes of an estimator."""
    estimator = open_estimator(parse_setting(KeypointsSettings, settings, "settings"), device)
    pictures = list(read_frames(demo / CLIP))
    estimator.estimate(clip_of(demo / CLIP, pictures))
    start = time.perf_counter()
    estimator.estimate(clip_of(demo / CLIP, list(islice(cycle(pictures), frames))))
    seconds = (time.perf_counter() - start) / frames
    if torch.cuda.is_available() and device != "cpu":
        return seconds, torch.cuda.max_memory_allocated() / 1e6
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]  # kB
    return seconds, int(peak) * 1024 / 1e6


def clip_of(video: Path, frames: Iterable[NDArray[np.uint8]] | None = None) -> PoseClip:
    """A clip for an estimator: a video, or the given frames instead of the video's."""
    info = probe(video)
    pictures = read_frames(video) if frames is None else frames
    return PoseClip(
        video.stem, str(video), pictures, info.frames, info.width, info.height, info.fps
    )


def read_truth(demo: Path, samples: Iterable[str] | None) -> Iterator[tuple[str, Keypoints]]:
    """Sample and true keypoints (T, 133, 3): x px, y px, visible."""
    paths = [path for split in SPLITS if (path := demo / "truth" / f"{split}.h5").is_file()]
    if not paths:
        raise DataError(f"{demo}: no truth/*.h5; make it with `make demo-data`")
    wanted = set(samples) if samples else None
    for path in paths:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != TRUTH_FORMAT:
                raise DataError(
                    f"{path}: format is not {TRUTH_FORMAT}; make it again with `make demo-data`"
                )
            for sample in file:
                if wanted is None or sample in wanted:
                    yield sample, file[sample]["keypoints"][:]


def estimate(
    demo: Path, truth: dict[str, Keypoints], settings: KeypointsSettings, device: str
) -> tuple[dict[str, Keypoints], str]:
    """Keypoints by an estimator, and its name and speed."""
    estimator = open_estimator(settings, device)
    detected = {}
    start = time.perf_counter()
    for sample in truth:
        (video,) = demo.glob(f"*/{sample}_color.mp4")
        detected[sample] = estimator.estimate(clip_of(video))
    seconds = time.perf_counter() - start
    frames = sum(map(len, detected.values()))
    return detected, f"{estimator.name}, {frames / seconds:.1f} frames/s in one process"


def table(detected: dict[str, Keypoints], truth: dict[str, Keypoints]) -> Iterator[str]:
    """Lines of the markdown table."""
    for sample, expected in truth.items():
        if len(detected[sample]) != len(expected):
            raise DataError(
                f"{sample}: {len(detected[sample])} frames, but the truth has {len(expected)}"
            )
    all_detected = np.concatenate([detected[sample] for sample in truth])
    all_true = np.concatenate(list(truth.values()))
    yield "| part | n | detected | PCK | threshold | median error |"
    yield "|---|---:|---:|---:|---|---:|"
    for part, (points, threshold) in PARTS.items():
        is_body = part.startswith(("body", "feet"))
        scale = torso(all_true) if is_body else box(all_true[:, points])
        unit = "torso" if is_body else "box"
        score = keypoint_accuracy(all_detected[:, points], all_true[:, points], scale, threshold)
        if score.visible:
            yield (
                f"| {part} | {score.visible} | {score.recall:.1%} | {score.pck:.1%} "
                f"| {threshold} {unit} | {score.median_error:.3f} {unit} |"
            )


def torso(truth: Keypoints) -> NDArray[np.float64]:
    """Distance from the midpoint of the shoulders to that of the hips (T,) in px."""
    neck, hip = (truth[:, pair(name), :2].mean(axis=1) for name in ("shoulder", "hip"))
    length: NDArray[np.float64] = np.linalg.norm(neck - hip, axis=1).astype(np.float64)
    return length


def box(points: Keypoints) -> NDArray[np.float64]:
    """Longer side of the box around points (T, V, 3), (T,) in px."""
    size: NDArray[np.float64] = np.ptp(points[..., :2], axis=1).max(axis=1).astype(np.float64)
    return size


if __name__ == "__main__":
    main()
