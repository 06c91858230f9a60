"""Hands found in real clips, against places that a person has labelled.

    python -m benchmarks.hands --table samples.csv --root DIR
    python -m benchmarks.hands --table samples.csv --root DIR --part held_out --list

`hand_places.csv` has both sides of one random frame of 200 random clips of WLASL-100: `usable` is
`yes` with the middle of the hand in px; `no` if the hand is outside the picture, hidden, or cut off
at its rim; `unclear` (not counted) if a person cannot tell. 150 clips served to choose the
settings, 50 are `held_out`. The estimator sees a clip up to the labelled frame.

A hand is found if the middle of its points is within `NEAR` of the longer side of the frame. If
both sides have the same place, the one that is farther from its label counts as not found.
"""

import argparse
import csv
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pose import MEDIAPIPE, clip_of
from slr_pipeline.config.estimators import KeypointsSettings
from slr_pipeline.config.flags import parse_setting
from slr_pipeline.errors import SlrError
from slr_pipeline.io.video import read_frames
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND

PLACES = Path(__file__).with_name("hand_places.csv")
NEAR = 0.15
SIDES = {"left": LEFT_HAND, "right": RIGHT_HAND}
Keypoints = NDArray[np.float32]


def main() -> None:
    """Parse the flags and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, type=Path, help="samples.csv of WLASL-100")
    parser.add_argument("--root", required=True, type=Path, help="folder of the table's videos")
    parser.add_argument("--part", choices=("tuning", "held_out"), default="tuning")
    parser.add_argument("--settings", default=MEDIAPIPE, help="the section features: keypoints:")
    parser.add_argument("--list", action="store_true", help="list each hand that is wrong")
    flags = parser.parse_args()
    try:
        frames = labelled_frames(flags.part)
        videos = {row["sample"]: flags.root / row["color"] for row in rows_of(flags.table)}
        estimator = open_estimator(
            parse_setting(KeypointsSettings, flags.settings, "settings"), "cpu"
        )
        verdicts: list[tuple[str, str]] = []
        for (sample, frame), labels in frames.items():
            pictures = islice(read_frames(videos[sample]), frame + 1)
            clip = clip_of(videos[sample], pictures)
            keypoints = estimator.estimate(clip)[-1]
            for side, verdict in judged(keypoints, labels, NEAR * max(clip.width, clip.height)):
                verdicts.append((side, verdict))
                if flags.list and verdict not in ("found", "absent"):
                    print(f"{sample} frame {frame}: {side} hand {verdict}")
    except SlrError as error:
        sys.exit(f"error: {error}")
    print("\n".join(table(verdicts)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def labelled_frames(part: str) -> dict[tuple[str, int], dict[str, dict[str, str]]]:
    """The rows of `hand_places.csv` by side, of each sample and frame."""
    frames: dict[tuple[str, int], dict[str, dict[str, str]]] = {}
    for row in rows_of(PLACES):
        if row["part"] == part:
            frames.setdefault((row["sample"], int(row["frame"])), {})[row["side"]] = row
    return frames


def judged(
    keypoints: Keypoints, labels: dict[str, dict[str, str]], near_px: float
) -> list[tuple[str, str]]:
    """Side and verdict of both hands of a frame (133, 3); `unclear` ones have none.

    `found`, `missed`, `misplaced` of a usable hand; `absent`, `invented` of one that is not.
    """
    hands = {side: keypoints[hand] for side, hand in SIDES.items()}
    seen = {side: bool((hand[:, 2] > 0).any()) for side, hand in hands.items()}
    away = {
        side: float(np.hypot(*(hands[side][:, :2].mean(axis=0) - (int(row["x"]), int(row["y"])))))
        for side, row in labels.items()
        if row["usable"] == "yes"
    }
    if all(seen.values()) and len(away) == 2:
        left, right = (hands[side][:, :2] for side in SIDES)
        apart = np.linalg.norm(left - right, axis=1).mean()
        if apart < 0.25 * max(np.linalg.norm(np.ptp(hand, axis=0)) for hand in (left, right)):
            away[max(away, key=lambda side: away[side])] = np.inf
    verdicts = []
    for side, row in labels.items():
        if row["usable"] == "no":
            verdicts.append((side, "invented" if seen[side] else "absent"))
        elif row["usable"] == "yes":
            is_found = "found" if away[side] <= near_px else "misplaced"
            verdicts.append((side, is_found if seen[side] else "missed"))
    return verdicts


def table(verdicts: list[tuple[str, str]]) -> list[str]:
    """Lines of the markdown table."""
    lines = ["| side | usable | found | misplaced | not usable | invented |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for name, sides in {**{side: (side,) for side in SIDES}, "both": tuple(SIDES)}.items():
        count = {
            verdict: sum(v == verdict for side, v in verdicts if side in sides)
            for verdict in ("found", "missed", "misplaced", "absent", "invented")
        }
        usable = count["found"] + count["missed"] + count["misplaced"]
        absent = count["absent"] + count["invented"]
        lines.append(
            f"| {name} | {usable} | {count['found']} = {count['found'] / usable:.1%} "
            f"| {count['misplaced']} | {absent} | {count['invented']} = "
            f"{count['invented'] / absent:.1%} |"
        )
    return lines


if __name__ == "__main__":
    main()
