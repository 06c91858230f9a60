"""Whole-body keypoints of a shard: one pass of the pose estimator per video.

If the config takes heat-maps from the estimator's network, the same pass makes them too.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import KeypointsSettings, MmposeSettings
from slr_pipeline.config.features import HeatmapsSettings
from slr_pipeline.features.one_euro import smooth
from slr_pipeline.io.feature_writer import Attributes, create_feature_file
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.recordings import Recordings
from slr_pipeline.io.shards import clip_of, rows_to_make, video_frames
from slr_pipeline.io.verified import Verified, Video, read_verified
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.pose.imported import ImportedKeypoints
from slr_pipeline.pose.interface import PoseClip, PoseEstimator

if TYPE_CHECKING:
    from slr_pipeline.pose.network_heatmaps import NetworkHeatmaps


def keypoints(
    settings: KeypointsSettings,
    device: str,
    verified: str,
    out: list[str],
    heatmaps: HeatmapsSettings | None = None,
) -> None:
    """Write the keypoints of a shard and, with settings for them, the network's heat-maps.

    `out` has one file for each; quarantined samples keep their row with T = 0.
    """
    rows = read_verified(verified)
    if heatmaps is not None:
        # Late: it imports torch.
        from slr_pipeline.pose.network_heatmaps import NetworkHeatmaps  # noqa: PLC0415

        assert isinstance(settings, MmposeSettings)  # FeatureSettings checks it
        source = NetworkHeatmaps(heatmaps, settings, device)
        write_both(out[0], out[1], rows, settings, heatmaps, source)
        return
    estimator = open_estimator(settings, device)
    if isinstance(estimator, ImportedKeypoints):
        estimator.require([row.sample for row in rows if not row.reason])
    write_keypoints(out[0], rows, settings, estimator)


def write_both(
    out: str,
    heatmaps_out: str,
    rows: list[Verified],
    settings: MmposeSettings,
    heatmaps: HeatmapsSettings,
    source: "NetworkHeatmaps",
) -> None:
    """Write the keypoints and heat-maps that the network gives for each row."""
    keypoints: dict[str, NDArray[np.float32]] = {}  # 1.6 kB a frame
    attributes: Attributes = {
        "estimator": source.estimator.name,
        "weights_sha256": source.estimator.weights_sha256,
        "network_sha256": source.network_sha256,
        "source": "network",
    }
    both = {"keypoints": settings.model_dump(), "heatmaps": heatmaps.model_dump()}
    facts = provenance(settings=both, inputs={row.sample: row.source("color") for row in rows})
    created = create_feature_file(heatmaps_out, "heatmaps", attributes, facts)
    with created as writer, Recordings() as recordings:
        for row, _ in rows_to_make(rows, writer, "color"):
            keypoints[row.sample], maps = source.estimate(pose_clip(row, recordings))
            writer.add(clip_of(row, maps))
    write_keypoints(out, rows, settings, source.estimator, keypoints)


def write_keypoints(
    out: str,
    rows: list[Verified],
    settings: KeypointsSettings,
    estimator: PoseEstimator,
    estimated: Mapping[str, NDArray[np.float32]] | None = None,
) -> None:
    """Write the keypoints of each row, smoothed if the settings say so.

    They come from `estimated`, by sample, or else from the estimator.
    """
    attributes: Attributes = {
        "layout": "coco-wholebody-133",
        "mirrored": False,
        "estimator": estimator.name,
        "weights_sha256": estimator.weights_sha256,
        "smoothed": settings.smoothing is not None,
        **estimator.attributes,
    }
    inputs = {row.sample: row.source("color") for row in rows}
    facts = provenance(settings=settings.model_dump(), inputs=inputs)
    # The digest of a video says nothing about the files of imported keypoints.
    video: Video | None = None if isinstance(estimator, ImportedKeypoints) else "color"
    created = create_feature_file(out, "keypoints", attributes, facts)
    with created as writer, Recordings() as recordings:
        for row, _ in rows_to_make(rows, writer, video):
            values = (estimated or {}).get(row.sample)
            if values is None:
                values = estimator.estimate(pose_clip(row, recordings))
            if settings.smoothing is not None:
                values = smooth(
                    values,
                    fps=row.feature_fps,
                    unit_px=max(row.width, row.height),
                    min_cutoff_hz=settings.smoothing.min_cutoff_hz,
                    beta=settings.smoothing.beta,
                    speed_cutoff_hz=settings.smoothing.speed_cutoff_hz,
                )
            writer.add(clip_of(row, values))


def pose_clip(row: Verified, recordings: Recordings | None = None) -> PoseClip:
    """The colour video of a row as the input of an estimator."""
    frames = video_frames(row, "color", recordings)
    size = {"width": row.width, "height": row.height}
    return PoseClip(
        row.sample,
        row.color,
        frames,
        row.frames,
        **size,
        fps=row.feature_fps,
        sampled=row.feature_frames(),
    )
