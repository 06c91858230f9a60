"""Heat-maps of a shard for SSTCN, drawn from its keypoints."""

from slr_pipeline.config.features import HeatmapsSettings
from slr_pipeline.features.heatmaps import draw_heatmaps
from slr_pipeline.io.feature_writer import Attributes, create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.shards import clip_of, inputs_of, rows_to_make
from slr_pipeline.io.verified import read_verified


def heatmaps(settings: HeatmapsSettings, verified: str, keypoints: str, out: str) -> None:
    """Write the heat-maps file of one shard, 60 frames per clip."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])
    facts = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints))
    attributes: Attributes = {**store.estimator, "source": "drawn"}
    with create_feature_file(out, "heatmaps", attributes, facts) as writer:
        for row, points in rows_to_make(rows, writer, keypoints=store):
            maps = draw_heatmaps(
                points,
                width=row.width,
                height=row.height,
                sigma=settings.sigma,
                fidelity=settings.fidelity,
            )
            writer.add(clip_of(row, maps))
