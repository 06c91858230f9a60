"""HHA (disparity, height, angle with gravity) of a shard's depth videos, on the signer crop."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from slr_pipeline.config.features import HhaSettings
from slr_pipeline.features.arrays import Picture
from slr_pipeline.features.camera import NYU_CAMERA, Camera, assumed_camera
from slr_pipeline.features.frames import SIZE, Box, crop_signer, signer_box
from slr_pipeline.features.hha import clip_hha, is_empty
from slr_pipeline.features.hha import hha as frame_hha
from slr_pipeline.io.feature_writer import create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.jpeg import JPEG
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.recordings import Recordings
from slr_pipeline.io.shards import clip_of, inputs_of, rows_to_make, video_frames
from slr_pipeline.io.verified import Verified, read_verified

_FULL_CHROMA = replace(JPEG["corrected"], subsampled=False)
"""The three channels are not colours: chroma subsampling would mix them."""


def hha(settings: HhaSettings, verified: str, keypoints: str, out: str) -> None:
    """Write the HHA file of one shard."""
    rows = read_verified(verified)
    store = FeatureStore("keypoints", [keypoints])
    fidelity = settings.fidelity
    jpeg = JPEG["published"] if fidelity == "published" else _FULL_CHROMA
    facts = provenance(settings=settings.model_dump(), inputs=inputs_of(rows, keypoints, "depth"))
    created = create_feature_file(out, "hha", store.estimator, facts, jpeg)
    with created as writer, Recordings() as recordings:
        for row, points in rows_to_make(rows, writer, "depth", store):
            box = signer_box(points, width=row.width, height=row.height, fidelity=fidelity)
            counts = {"clips_without_person": int(not points[..., 2].any()), "empty_frames": 0}
            greys = video_frames(row, "depth", recordings)
            pictures = _pictures(greys, box, _camera(settings, row), settings, counts)
            writer.add(clip_of(row, pictures, boxes=box, counts=counts))


def _camera(settings: HhaSettings, row: Verified) -> Camera:
    """The camera of the whole depth frame."""
    if settings.camera is not None:
        given = settings.camera
        return Camera(fx=given.fx, fy=given.fy, cx=given.cx + 1, cy=given.cy + 1)  # counts from 1
    if settings.fidelity == "published":
        return NYU_CAMERA
    return assumed_camera(row.width, row.height)


def _pictures(
    greys: Iterable[Picture],
    box: Box,
    camera: Camera,
    settings: HhaSettings,
    counts: dict[str, int],
) -> Iterator[Picture]:
    """HHA pictures of a clip; counts its empty frames.

    `published`: HHA of whole frames, then the crop. `corrected`: the crop, without mixing depths,
    then HHA with one gravity for the clip.
    """
    if settings.fidelity == "published":
        for grey in greys:
            counts["empty_frames"] += is_empty(grey)
            picture = frame_hha(
                grey,
                camera,
                grey_per_metre=settings.grey_per_metre,
                height_rule=settings.height_rule,
            )
            yield crop_signer(picture, box, interpolation=cv2.INTER_LINEAR)
        return
    # One array: a list of crops would be scattered among freed frames and keep their memory.
    crops = np.fromiter(
        (crop_signer(grey, box, interpolation=cv2.INTER_NEAREST_EXACT) for grey in greys),
        dtype=(np.uint8, (SIZE, SIZE)),
    )
    x0, y0, x1, y1 = (int(edge) for edge in box)
    counts["empty_frames"], pictures = clip_hha(
        crops,
        camera.cropped((x0, y0, x1, y1), SIZE),
        grey_per_metre=settings.grey_per_metre,
        near_m=settings.near_m,
        height_rule=settings.height_rule,
    )
    yield from pictures
