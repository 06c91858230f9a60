"""Crops of both hands of a shard, from the colour or the depth videos, 256 x 256."""

from typing import Literal

import numpy as np

from slr_pipeline.config.features import FidelitySettings
from slr_pipeline.features.hand_crops import crop_hand, hand_boxes
from slr_pipeline.io.feature_writer import create_feature_file
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


def hand_crops(
    settings: FidelitySettings,
    feature: Literal["hand_crops", "depth_hand_crops"],
    verified: str,
    keypoints: str,
    out: str,
) -> None:
    """Write the file of one shard; both features take their boxes from the same keypoints."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])
    fidelity = settings.fidelity
    video: Video = "color" if feature == "hand_crops" else "depth"
    facts = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints, video))
    created = create_feature_file(out, feature, store.estimator, facts, JPEG[fidelity])
    with created as writer, Recordings() as recordings:
        for row, points in rows_to_make(rows, writer, video, store):
            hands = hand_boxes(points, width=row.width, height=row.height, fidelity=fidelity)
            crops = (
                np.stack([crop_hand(frame, box, fidelity=fidelity) for box in pair])
                for frame, pair in zip(
                    video_frames(row, video, recordings), hands.boxes, strict=True
                )
            )
            counts = {
                "missing_boxes": int(hands.missing.sum()),
                "imputed_boxes": int(hands.imputed.sum()),
            }
            writer.add(clip_of(row, crops, boxes=hands.boxes, counts=counts))
