"""Quality of keypoints, how well swapped hands are detected, and the effect of smoothing.

    python -m benchmarks.keypoint_quality FILES
    python -m benchmarks.keypoint_quality results/features/keypoints/*/*.h5 --demo demo

Prints markdown. With the rendered ground truth of a demo folder also: in how many frames a detected
hand is nearer to the other true hand than to its own, and how many of these `swapped_frames`
reports; and the jitter of hands that are truly at rest, with and without smoothing.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.keypoint_accuracy import keypoint_accuracy
from benchmarks.pose import box, read_truth
from slr_pipeline.config.estimators import SmoothingSettings
from slr_pipeline.errors import SlrError
from slr_pipeline.features.keypoint_quality import KeypointQuality, keypoint_quality, swapped_frames
from slr_pipeline.features.one_euro import smooth
from slr_pipeline.io.features import Clip, FeatureStore
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND

Keypoints = NDArray[np.float32]
SHARES = (0.05, 0.5, 0.95, 1.0)
AT_REST_PX = 0.5
HANDS = (list(LEFT_HAND), list(RIGHT_HAND))


def main() -> None:
    """Parse the flags and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("keypoints", nargs="+", type=Path)
    parser.add_argument("--demo", type=Path, help="folder with truth/")
    flags = parser.parse_args()
    try:
        store = FeatureStore("keypoints", flags.keypoints)
        clips = {name: store.read(name) for name in store.samples if store.frames(name)}
        print(f"{len(clips)} clips, {sum(len(clip.values) for clip in clips.values())} frames\n")
        print_quality([keypoint_quality(clip.values) for clip in clips.values()])
        if flags.demo is not None:
            truth = dict(read_truth(flags.demo, clips))
            print_swaps(clips, truth)
            print_smoothing(clips, truth)
    except SlrError as error:
        sys.exit(f"error: {error}")


def print_quality(qualities: list[KeypointQuality]) -> None:
    """Print mean and quantiles of each measure over the clips."""
    print("| | mean | 5 % | median | 95 % | largest |\n|---|---:|---:|---:|---:|---:|")
    for name in KeypointQuality.__dataclass_fields__:
        values = [value for quality in qualities if (value := getattr(quality, name)) is not None]
        numbers = [np.mean(values), *np.quantile(values, SHARES)]
        print(f"| `{name}` | {' | '.join(f'{number:.3f}' for number in numbers)} |")


def print_swaps(clips: dict[str, Clip], truth: dict[str, Keypoints]) -> None:
    """Print how many swapped frames are reported, and how many frames are reported wrongly."""
    reported, true = [], []
    for name, clip in clips.items():
        swapped = np.zeros(len(clip.values), np.bool_)
        for own, other in (HANDS, HANDS[::-1]):
            detected = (clip.values[:, own, 2] > 0).all(axis=1)
            to_own, to_other = (
                np.linalg.norm(clip.values[:, own, :2] - truth[name][:, hand, :2], axis=-1)
                for hand in (own, other)
            )
            swapped |= detected & (to_other.mean(axis=1) < to_own.mean(axis=1))
        true.append(swapped)
        reported.append(swapped_frames(clip.values))
    is_reported, is_true = np.concatenate(reported), np.concatenate(true)
    print(
        f"\nSwaps: {is_true.sum()} frames of {len(is_true)}, "
        f"reported {(is_reported & is_true).sum()}, wrongly {(is_reported & ~is_true).sum()}"
    )


def print_smoothing(clips: dict[str, Clip], truth: dict[str, Keypoints]) -> None:
    """Print the jitter of hands at rest and the accuracy of all hands, raw and smoothed."""
    settings = SmoothingSettings()
    smoothed = [
        smooth(
            clip.values,
            fps=clip.fps,
            unit_px=max(clip.width, clip.height),
            min_cutoff_hz=settings.min_cutoff_hz,
            beta=settings.beta,
            speed_cutoff_hz=settings.speed_cutoff_hz,
        )
        for clip in clips.values()
    ]
    expected = [truth[name] for name in clips]
    print("\n| hands | jitter at rest, px | n | left, PCK@0.1 | right, PCK@0.1 | n |")
    print("|---|---:|---:|---:|---:|---:|")
    raw = [clip.values for clip in clips.values()]
    for name, values in (("raw", raw), ("smoothed", smoothed)):
        rest = np.concatenate(
            [jitter_at_rest(*pair) for pair in zip(values, expected, strict=True)]
        )
        all_detected, all_true = np.concatenate(values), np.concatenate(expected)
        scores = [
            keypoint_accuracy(all_detected[:, hand], all_true[:, hand], box(all_true[:, hand]), 0.1)
            for hand in HANDS
        ]
        accuracies = " | ".join(f"{score.pck:.1%}" for score in scores)
        points = sum(score.visible for score in scores)
        print(f"| {name} | {np.median(rest):.3f} | {len(rest)} | {accuracies} | {points} |")


def jitter_at_rest(detected: Keypoints, truth: Keypoints) -> NDArray[np.floating]:
    """Accelerations (px) of hand points that truly move by less than `AT_REST_PX`."""
    hands = HANDS[0] + HANDS[1]
    moved = np.linalg.norm(np.diff(truth[:, hands, :2], axis=0), axis=-1)
    seen = detected[:, hands, 2] > 0
    rest = (moved[1:] < AT_REST_PX) & (moved[:-1] < AT_REST_PX) & seen[:-2] & seen[1:-1] & seen[2:]
    lengths: NDArray[np.floating] = np.linalg.norm(
        np.diff(detected[:, hands, :2], n=2, axis=0), axis=-1
    )
    return lengths[rest]


if __name__ == "__main__":
    main()
