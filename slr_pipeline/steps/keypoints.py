"""Whole-body keypoints of a shard: one pass of the pose estimator per video."""

import argparse
import logging
from functools import partial

from slr_pipeline.cli import provenance, run
from slr_pipeline.config import parse_section
from slr_pipeline.feature_settings import KeypointsSettings
from slr_pipeline.io.artifact_writer import NewClip, write_feature
from slr_pipeline.io.shards import clip_of, new_clips, video_frames
from slr_pipeline.io.verified import Verified, read_verified
from slr_pipeline.pose.estimator import open_estimator

log = logging.getLogger(__name__)


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=partial(parse_section, KeypointsSettings))
    parser.add_argument("--verified", required=True)
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    keypoints(flags.settings, flags.verified, flags.out)


def keypoints(settings: KeypointsSettings, verified: str, out: str) -> None:
    """Write the keypoints file of one shard; quarantined samples keep their row with T = 0."""
    rows = read_verified(verified)
    estimator = open_estimator(settings)

    def make(row: Verified) -> NewClip:
        values = estimator.estimate(video_frames(row, "color"))
        empty = int((values[..., 2] == 0).all(axis=1).sum())
        log.info("%s: %d frames, %d without a person", row.sample, len(values), empty)
        return clip_of(row, values)

    attributes: dict[str, str | int | float | bool] = {
        "layout": "coco-wholebody-133",
        "mirrored": False,
        "estimator": estimator.name,
        "weights_sha256": estimator.weights_sha256,
    }
    inputs = {row.sample: row.color_sha256 for row in rows}
    made = provenance(settings=settings.model_dump(), inputs=inputs)
    write_feature(out, "keypoints", new_clips(rows, make), attributes, made)


if __name__ == "__main__":
    run(main)
