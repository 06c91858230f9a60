"""Heat-maps of a shard for SSTCN, drawn from its keypoints."""

import argparse
from functools import partial

from slr_pipeline.cli import provenance, run
from slr_pipeline.config import parse_section
from slr_pipeline.feature_settings import HeatmapsSettings
from slr_pipeline.features.heatmaps import draw_heatmaps
from slr_pipeline.io.artifact_writer import NewClip, write_feature
from slr_pipeline.io.artifacts import FeatureStore
from slr_pipeline.io.shards import inputs_of, keypoints_of, new_clips
from slr_pipeline.io.verified import Verified, read_verified


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=partial(parse_section, HeatmapsSettings))
    parser.add_argument("--verified", required=True)
    parser.add_argument("--keypoints", required=True)
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    heatmaps(flags.settings, flags.verified, flags.keypoints, flags.out)


def heatmaps(settings: HeatmapsSettings, verified: str, keypoints: str, out: str) -> None:
    """Write the heat-maps file of one shard, 60 frames a clip."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])

    def clip_of(row: Verified) -> NewClip:
        maps = draw_heatmaps(
            keypoints_of(store, row),
            width=row.width,
            height=row.height,
            sigma=settings.sigma,
            fidelity=settings.fidelity,
        )
        return NewClip(row.sample, maps, row.width, row.height, row.fps)

    made = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints))
    attributes: dict[str, str | int | float | bool] = {"source": "gaussian"}
    write_feature(out, "heatmaps", new_clips(rows, clip_of), attributes, made)


if __name__ == "__main__":
    run(main)
