"""Signer crops of the colour videos of a shard: one box per clip, 256 x 256."""

import cv2

from slr_pipeline.config.features import FidelitySettings
from slr_pipeline.features.frames import crop_signer, signer_box
from slr_pipeline.io.feature_writer import create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.jpeg import JPEG
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.recordings import Recordings
from slr_pipeline.io.shards import clip_of, inputs_of, rows_to_make, video_frames
from slr_pipeline.io.verified import read_verified


def frames(settings: FidelitySettings, verified: str, keypoints: str, out: str) -> None:
    """Write the frames file of one shard."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])
    fidelity = settings.fidelity
    interpolation = cv2.INTER_LINEAR if fidelity == "published" else cv2.INTER_AREA
    facts = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints, "color"))
    created = create_feature_file(out, "frames", store.estimator, facts, JPEG[fidelity])
    with created as writer, Recordings() as recordings:
        for row, points in rows_to_make(rows, writer, "color", store):
            box = signer_box(points, width=row.width, height=row.height, fidelity=fidelity)
            pictures = video_frames(row, "color", recordings)
            crops = (crop_signer(picture, box, interpolation=interpolation) for picture in pictures)
            counts = {"clips_without_person": int(not points[..., 2].any())}
            writer.add(clip_of(row, crops, boxes=box, counts=counts))
