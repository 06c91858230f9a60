"""How near the keypoints of an estimator come to the rendered truth of a demo folder.

    python benchmarks/keypoints_accuracy.py --demo demo
    python benchmarks/keypoints_accuracy.py --demo demo --keypoints FILES

Prints a markdown table. Without `--keypoints` the estimator itself runs, and its speed is given.
Counted are true keypoints that lie in the picture and are not hidden; one that was not found is
wrong. Lengths: body parts from the middle of the shoulders to the middle of the hips; hands and
face the longer side of the box around their true points in that frame.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config import SPLITS
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.feature_settings import KeypointsSettings
from slr_pipeline.io.artifacts import FeatureStore
from slr_pipeline.io.video import read_frames
from slr_pipeline.pose.estimator import open_estimator
from slr_pipeline.skeleton import BODY, FACE, FEET, KEYPOINTS_133, LEFT_HAND, RIGHT_HAND
from slr_pipeline.statistics import keypoint_accuracy

TRUTH_FORMAT = "slr-demo-truth-1"
Keypoints = NDArray[np.float32]


def pair(name: str) -> list[int]:
    """The left and the right keypoint of that name."""
    return [KEYPOINTS_133.index(f"{side}_{name}") for side in ("left", "right")]


# Part: its keypoints, and the threshold in its lengths.
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


def main() -> None:
    """Parse the flags and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", required=True, type=Path)
    parser.add_argument("--keypoints", nargs="+", type=Path, help="keypoints files to judge")
    parser.add_argument("--samples", nargs="+", help="only these samples")
    flags = parser.parse_args()
    try:
        truth = dict(read_truth(flags.demo, flags.samples))
        if flags.keypoints:
            store = FeatureStore("keypoints", flags.keypoints)
            found = {name: store.read(name).values for name in truth}
            source = "keypoints files"
        else:
            found, source = estimate(flags.demo, truth)
    except SlrError as error:
        sys.exit(f"error: {error}")
    print(f"{len(truth)} clips, {sum(map(len, truth.values()))} frames; {source}\n")
    print("\n".join(table(found, truth)))


def read_truth(demo: Path, samples: Iterable[str] | None) -> Iterator[tuple[str, Keypoints]]:
    """Sample and true keypoints (T, 133, 3): x px, y px, visible."""
    paths = [path for split in SPLITS if (path := demo / "truth" / f"{split}.h5").is_file()]
    if not paths:
        raise DataError(f"{demo}: no truth/*.h5; make it with `make demo-data`")
    wanted = set(samples) if samples else None
    for path in paths:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != TRUTH_FORMAT:
                raise DataError(f"{path}: format is not {TRUTH_FORMAT}; make it anew")
            for sample in file:
                if wanted is None or sample in wanted:
                    yield sample, file[sample]["keypoints"][:]


def estimate(demo: Path, truth: dict[str, Keypoints]) -> tuple[dict[str, Keypoints], str]:
    """Keypoints of the estimator with its default settings, and its name and speed."""
    estimator = open_estimator(KeypointsSettings())
    found = {}
    start = time.perf_counter()
    for sample in truth:
        (video,) = demo.glob(f"*/{sample}_color.mp4")
        found[sample] = estimator.estimate(read_frames(video))
    seconds = time.perf_counter() - start
    frames = sum(map(len, found.values()))
    return found, f"{estimator.name}, {frames / seconds:.1f} frames/s in one process"


def table(found: dict[str, Keypoints], truth: dict[str, Keypoints]) -> Iterator[str]:
    """Lines of the markdown table."""
    for sample, expected in truth.items():
        if len(found[sample]) != len(expected):
            raise DataError(
                f"{sample}: {len(found[sample])} frames found, {len(expected)} in the truth"
            )
    all_found = np.concatenate([found[sample] for sample in truth])
    all_true = np.concatenate(list(truth.values()))
    yield "| part | n | found | PCK | of | median error |"
    yield "|---|---:|---:|---:|---|---:|"
    for part, (points, threshold) in PARTS.items():
        is_body = part.startswith(("body", "feet"))
        scale = torso(all_true) if is_body else box(all_true[:, points])
        unit = "torso" if is_body else "box"
        score = keypoint_accuracy(all_found[:, points], all_true[:, points], scale, threshold)
        if score.visible:
            yield (
                f"| {part} | {score.visible} | {score.recall:.1%} | {score.pck:.1%} "
                f"| {threshold} {unit} | {score.median_error:.3f} {unit} |"
            )


def torso(truth: Keypoints) -> NDArray[np.float64]:
    """Middle of the shoulders to middle of the hips (T,) in px."""
    neck, hip = (truth[:, pair(name), :2].mean(axis=1) for name in ("shoulder", "hip"))
    length: NDArray[np.float64] = np.linalg.norm(neck - hip, axis=1).astype(np.float64)
    return length


def box(points: Keypoints) -> NDArray[np.float64]:
    """Longer side of the box around points (T, V, 3), (T,) in px."""
    size: NDArray[np.float64] = np.ptp(points[..., :2], axis=1).max(axis=1).astype(np.float64)
    return size


if __name__ == "__main__":
    main()
