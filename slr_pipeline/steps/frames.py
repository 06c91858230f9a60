"""Signer crops of the colour videos of a shard: one box a clip, 256 x 256."""

import argparse
from functools import partial

import cv2
import numpy as np

from slr_pipeline.cli import provenance, run
from slr_pipeline.config import parse_section
from slr_pipeline.feature_settings import FidelitySettings
from slr_pipeline.features.frames import crop_signer, signer_box
from slr_pipeline.io.artifact_writer import NewClip, write_feature
from slr_pipeline.io.artifacts import FeatureStore
from slr_pipeline.io.pictures import JPEG
from slr_pipeline.io.shards import inputs_of, keypoints_of, new_clips, video_frames
from slr_pipeline.io.verified import Verified, read_verified


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=partial(parse_section, FidelitySettings))
    parser.add_argument("--verified", required=True)
    parser.add_argument("--keypoints", required=True)
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    frames(flags.settings, flags.verified, flags.keypoints, flags.out)


def frames(settings: FidelitySettings, verified: str, keypoints: str, out: str) -> None:
    """Write the frames file of one shard."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])
    published = settings.fidelity == "published"
    interpolation = cv2.INTER_LINEAR if published else cv2.INTER_AREA

    def clip_of(row: Verified) -> NewClip:
        points = keypoints_of(store, row)
        box = signer_box(points, width=row.width, height=row.height, fidelity=settings.fidelity)
        return NewClip(
            row.sample,
            (
                crop_signer(frame, box, interpolation=interpolation)
                for frame in video_frames(row, "color")
            ),
            row.width,
            row.height,
            row.fps,
            boxes=np.tile(box, (row.frames, 1, 1)),
            counts={"clips_without_person": int(not points[..., 2].any())},
        )

    made = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints, "color"))
    write_feature(out, "frames", new_clips(rows, clip_of), {}, made, JPEG[settings.fidelity])


if __name__ == "__main__":
    run(main)
