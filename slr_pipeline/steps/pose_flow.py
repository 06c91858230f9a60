"""Pose flow of a shard: how 53 keypoints move from frame to frame."""

from slr_pipeline.config.features import FidelitySettings
from slr_pipeline.config.flags import feature_flags
from slr_pipeline.errors import run
from slr_pipeline.features.pose_flow import pose_flow as flow_of
from slr_pipeline.io.feature_writer import NewClip, write_feature
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.shards import inputs_of, keypoints_of, new_clips
from slr_pipeline.io.verified import Verified, read_verified


def main() -> None:
    """Parse the flags of the rule and run."""
    flags = feature_flags(__doc__, FidelitySettings)
    pose_flow(flags.settings, flags.verified, flags.keypoints, flags.out)


def pose_flow(settings: FidelitySettings, verified: str, keypoints: str, out: str) -> None:
    """Write the pose flow file of one shard."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])

    def make(row: Verified) -> NewClip:
        flow = flow_of(keypoints_of(store, row), fidelity=settings.fidelity)
        counts = {
            "zero_neck_frames": flow.zero_neck_frames,
            "keypoints_never_seen": flow.keypoints_never_seen,
        }
        return NewClip(row.sample, flow.values, row.width, row.height, row.fps, counts=counts)

    made = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints))
    write_feature(out, "pose_flow", new_clips(rows, make), store.estimator, made)


if __name__ == "__main__":
    run(main)
