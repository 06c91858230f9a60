"""Optical flow of a shard on the signer crop, from the colour or the depth videos."""

from typing import Literal

from slr_pipeline.config.features import FlowSettings
from slr_pipeline.features.flow import crop_flow, flow_estimator, whole_frame_flow
from slr_pipeline.features.frames import signer_box
from slr_pipeline.io.feature_writer import Attributes, create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.jpeg import JPEG
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.recordings import Recordings
from slr_pipeline.io.shards import (
    clip_of,
    inputs_of,
    rows_to_make,
    video_frames,
)
from slr_pipeline.io.verified import Video, read_verified


def flow(
    settings: FlowSettings,
    feature: Literal["flow", "depth_flow"],
    verified: str,
    keypoints: str,
    out: str,
) -> None:
    """Write the flow file of one shard."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])
    fidelity, bound_px = settings.fidelity, settings.bound_px
    estimate = flow_estimator(settings.method, fidelity=fidelity)
    video: Video = "color" if feature == "flow" else "depth"
    facts = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints, video))
    attributes: Attributes = {**store.estimator, "method": settings.method, "bound_px": bound_px}
    created = create_feature_file(out, feature, attributes, facts, JPEG[fidelity])
    with created as writer, Recordings() as recordings:
        for row, points in rows_to_make(rows, writer, video, store):
            box = signer_box(points, width=row.width, height=row.height, fidelity=fidelity)
            frames = video_frames(row, video, recordings)
            if fidelity == "published":
                flows = whole_frame_flow(
                    frames, box, estimate, bound_px=bound_px, working_px=settings.working_px
                )
            else:
                flows = crop_flow(frames, box, estimate, bound_px=bound_px)
            counts = {"clips_without_person": int(not points[..., 2].any())}
            writer.add(clip_of(row, flows, boxes=box, counts=counts))
