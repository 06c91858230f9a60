"""Heat-maps of a shard for SSTCN, drawn from its keypoints."""

from slr_pipeline.config.features import HeatmapsSettings
from slr_pipeline.config.flags import feature_flags
from slr_pipeline.errors import run
from slr_pipeline.features.heatmaps import draw_heatmaps
from slr_pipeline.io.feature_writer import NewClip, write_feature
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.shards import clip_of, inputs_of, keypoints_of, new_clips
from slr_pipeline.io.verified import Verified, read_verified


def main() -> None:
    """Parse the flags of the rule and run."""
    flags = feature_flags(__doc__, HeatmapsSettings)
    heatmaps(flags.settings, flags.verified, flags.keypoints, flags.out)


def heatmaps(settings: HeatmapsSettings, verified: str, keypoints: str, out: str) -> None:
    """Write the heat-maps file of one shard, 60 frames a clip."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])

    def make(row: Verified) -> NewClip:
        maps = draw_heatmaps(
            keypoints_of(store, row),
            width=row.width,
            height=row.height,
            sigma=settings.sigma,
            fidelity=settings.fidelity,
        )
        return clip_of(row, maps)

    made = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints))
    attributes: dict[str, str | int | float | bool] = {**store.estimator, "source": "gaussian"}
    write_feature(out, "heatmaps", new_clips(rows, make), attributes, made)


if __name__ == "__main__":
    run(main)
