"""Crops of both hands of a shard, from the colour or the depth videos, 256 x 256."""

import argparse
from functools import partial
from typing import Literal

import numpy as np

from slr_pipeline.cli import provenance, run
from slr_pipeline.config import parse_section
from slr_pipeline.feature_settings import FidelitySettings
from slr_pipeline.features.hand_crops import crop_hand, hand_boxes
from slr_pipeline.io.artifact_writer import NewClip, write_feature
from slr_pipeline.io.artifacts import FeatureStore
from slr_pipeline.io.pictures import JPEG
from slr_pipeline.io.shards import Video, inputs_of, keypoints_of, new_clips, video_frames
from slr_pipeline.io.verified import Verified, read_verified


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=partial(parse_section, FidelitySettings))
    parser.add_argument("--feature", required=True, choices=("hand_crops", "depth_hand_crops"))
    parser.add_argument("--verified", required=True)
    parser.add_argument("--keypoints", required=True)
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    hand_crops(flags.settings, flags.feature, flags.verified, flags.keypoints, flags.out)


def hand_crops(
    settings: FidelitySettings,
    feature: Literal["hand_crops", "depth_hand_crops"],
    verified: str,
    keypoints: str,
    out: str,
) -> None:
    """Write the file of one shard; the boxes of both features come from the same keypoints."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])
    fidelity = settings.fidelity
    video: Video = "color" if feature == "hand_crops" else "depth"

    def clip_of(row: Verified) -> NewClip:
        points = keypoints_of(store, row)
        hands = hand_boxes(points, width=row.width, height=row.height, fidelity=fidelity)
        crops = (
            np.stack([crop_hand(frame, box, fidelity=fidelity) for box in pair])
            for frame, pair in zip(video_frames(row, video), hands.boxes, strict=True)
        )
        counts = {"missing_boxes": hands.missing_boxes, "imputed_boxes": hands.imputed_boxes}
        return NewClip(
            row.sample, crops, row.width, row.height, row.fps, boxes=hands.boxes, counts=counts
        )

    made = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints, video))
    write_feature(out, feature, new_clips(rows, clip_of), {}, made, JPEG[settings.fidelity])


if __name__ == "__main__":
    run(main)
