"""Pose flow of a shard: the movement of 53 keypoints from frame to frame."""

from slr_pipeline.config.features import FidelitySettings
from slr_pipeline.features.pose_flow import pose_flow as flow_of
from slr_pipeline.io.feature_writer import create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.shards import clip_of, inputs_of, rows_to_make
from slr_pipeline.io.verified import read_verified


def pose_flow(settings: FidelitySettings, verified: str, keypoints: str, out: str) -> None:
    """Write the pose flow file of one shard."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])
    facts = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints))
    with create_feature_file(out, "pose_flow", store.estimator, facts) as writer:
        for row, points in rows_to_make(rows, writer, keypoints=store):
            flow = flow_of(points, fidelity=settings.fidelity)
            counts = {
                "zero_neck_frames": flow.zero_neck_frames,
                "keypoints_never_seen": flow.keypoints_never_seen,
            }
            writer.add(clip_of(row, flow.values, counts=counts))
