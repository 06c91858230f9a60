"""What the feature steps share: the rows of a shard, their checked frames and keypoints."""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.io.earlier import EarlierClips
from slr_pipeline.io.feature_writer import FeatureWriter, NewClip
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.progress import progress
from slr_pipeline.io.recordings import Recordings
from slr_pipeline.io.verified import Verified, Video
from slr_pipeline.io.video import Picture, read_frames, read_grey_frames, sha256_of

log = logging.getLogger(__name__)


def rows_to_make(
    rows: list[Verified],
    writer: FeatureWriter,
    video: Video | None = None,
    keypoints: FeatureStore | None = None,
) -> Iterator[tuple[Verified, NDArray[np.float32]]]:
    """Yield the rows that the step must add to `writer`, with their keypoints, and log progress.

    The feature is made from the `video` and the `keypoints`; without `keypoints` those of a row are
    (0, 133, 3). Quarantined samples are added here, with T = 0, and so are clips of an earlier file
    that were made in the same way from the same; without both, clips are never taken over. OpenCV
    runs in one thread: other shards use the other cores, and sums keep their order.
    """
    cv2.setNumThreads(1)
    earlier = EarlierClips(writer.path, writer.feature)
    points = np.zeros((0, 133, 3), np.float32)
    with progress(len(rows), frames=sum(row.frames for row in rows if not row.reason)) as advance:
        for row in rows:
            writer.sample = row.sample
            if row.reason:
                writer.add(NewClip(row.sample))
                advance(1, 0)
                continue
            if keypoints is not None:
                points = keypoints_of(keypoints, row)
            source = row.source(video) if video else ""
            digest = ""
            if source or (keypoints is not None and video is None):
                digest = writer.digests[row.sample] = _digest(writer.recipe, row, source, points)
            if (known := earlier.clip(row.sample, digest)) is not None:
                writer.add(known)
            else:
                yield row, points
            advance(1, row.frames)
    if earlier.taken:
        log.info("%d of %d clips taken over from an earlier file", earlier.taken, len(rows))


def _digest(recipe: str, row: Verified, source: str, points: NDArray[np.float32]) -> str:
    """SHA-256 of all that decides the values of a clip; `source` says from which video it is."""
    facts = [row.frames, row.width, row.height, row.fps, row.rate, row.times_ms, source]
    digest = hashlib.sha256(f"{recipe}\n{json.dumps(facts)}\n".encode())
    digest.update(points.tobytes())
    return digest.hexdigest()


def clip_of(
    row: Verified,
    frames: Iterable[NDArray[Any]],
    *,
    boxes: NDArray[np.int32] | None = None,
    counts: Mapping[str, int] | None = None,
) -> NewClip:
    """The clip of a row to write; arguments as in `NewClip`."""
    return NewClip(
        row.sample, frames, row.width, row.height, row.fps, boxes, counts or {}, row.feature_fps
    )


def video_frames(
    row: Verified, video: Video, recordings: Recordings | None = None
) -> Iterator[Picture]:
    """RGB (H, W, 3) frames of a sample's colour video, or grey (H, W) frames of its depth video.

    These are `row.feature_frames()`. Rows that share a recording are read faster with
    `recordings`, one row at a time. DataError without that video, or if its number of frames
    differs from the verify table.
    """
    if video == "color":
        frames = read_frames(row.color, row.segment, recordings=recordings)
        return _chosen(frames, row.color, row)
    if not row.depth:
        raise DataError("there is no depth video; name one in the sample table")
    frames = read_grey_frames(row.depth, row.segment, recordings=recordings)
    return _chosen(frames, row.depth, row)


def _chosen(frames: Iterator[Picture], path: str, row: Verified) -> Iterator[Picture]:
    times = np.bincount(row.feature_frames(), minlength=row.frames)
    count = 0
    for frame in frames:
        if count < row.frames:
            yield from repeat(frame, times[count])
        count += 1
    _check_frames(count, row.frames, path)


def _check_frames(count: int, expected: int, path: str) -> None:
    if count != expected:
        raise DataError(
            f"{path}: found {count} frames, `verify` counted {expected}; the video has changed, "
            "run the same command again"
        )


def keypoints_of(store: FeatureStore, row: Verified) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) of a sample. DataError if T differs from the verify table."""
    values = store.read(row.sample).values
    _check_frames(len(values), len(row.feature_frames()), "keypoints")
    return np.asarray(values, np.float32)


def inputs_of(rows: list[Verified], keypoints: str, video: Video | None = None) -> dict[str, Any]:
    """SHA-256 of the inputs of a feature, for its provenance."""
    inputs: dict[str, Any] = {"keypoints": sha256_of(keypoints)}
    if video is not None:
        inputs[video] = {row.sample: row.source(video) for row in rows}
    return inputs
