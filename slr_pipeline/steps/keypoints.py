"""Whole-body keypoints of a shard: one pass of the pose estimator per video."""

import argparse
import logging
from collections.abc import Iterator
from functools import partial

import numpy as np

from slr_pipeline.cli import provenance, run
from slr_pipeline.config import KeypointsSettings, parse_section
from slr_pipeline.errors import DataError
from slr_pipeline.io.artifacts import Clip, write_feature
from slr_pipeline.io.verified import Verified, read_verified
from slr_pipeline.io.video import read_frames
from slr_pipeline.pose.estimator import PoseEstimator, open_estimator
from slr_pipeline.schema import FEATURES

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
    attributes: dict[str, str | int | float | bool] = {
        "layout": "coco-wholebody-133",
        "mirrored": False,
        "estimator": estimator.name,
        "weights_sha256": estimator.weights_sha256,
    }
    inputs = {row.sample: row.color_sha256 for row in rows}
    made = provenance(settings=settings.model_dump(), inputs=inputs)
    write_feature(out, "keypoints", _clips(verified, rows, estimator), attributes, made)


def _clips(verified: str, rows: list[Verified], estimator: PoseEstimator) -> Iterator[Clip]:
    schema = FEATURES["keypoints"]
    for row in rows:
        if row.reason:
            yield Clip(row.sample, np.zeros((0, *schema.shape), schema.dtype), 0, 0, 0.0)
            continue
        values = estimator.estimate(read_frames(row.color))
        if len(values) != row.frames:
            raise DataError(
                f"{row.color}: sample {row.sample} has {len(values)} frames, `verify` counted "
                f"{row.frames}; the video has changed, delete {verified} and run again"
            )
        empty = int((values[..., 2] == 0).all(axis=1).sum())
        log.info("%s: %d frames, %d without a person", row.sample, len(values), empty)
        yield Clip(row.sample, values, row.width, row.height, row.fps)


if __name__ == "__main__":
    run(main)
