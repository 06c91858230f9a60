"""The samples of a shard as a feature step meets them: rows, checked frames, keypoints."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.io.feature_writer import NewClip, naming
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.progress import progress
from slr_pipeline.io.verified import Verified
from slr_pipeline.io.video import Picture, read_frames, read_grey_frames, sha256_of

Video = Literal["color", "depth"]


def new_clips(rows: list[Verified], make: Callable[[Verified], NewClip]) -> Iterator[NewClip]:
    """What `make` makes of each row; a quarantined sample keeps its row with T = 0.

    OpenCV is held to one thread: a shard is one job of many, and sums keep their order.
    """
    cv2.setNumThreads(1)
    with progress(len(rows), frames=sum(row.frames for row in rows if not row.reason)) as done:
        for row in rows:
            if row.reason:
                yield NewClip(row.sample)
                done(1, 0)
                continue
            with naming(row.sample):
                clip = make(row)
            yield clip
            done(1, row.frames)


def clip_of(
    row: Verified,
    frames: Iterable[NDArray[Any]],
    *,
    boxes: NDArray[np.int32] | None = None,
    counts: Mapping[str, int] | None = None,
) -> NewClip:
    """The clip to be written of a row; the arguments are those of `NewClip`."""
    return NewClip(row.sample, frames, row.width, row.height, row.fps, boxes, counts or {})


def video_frames(row: Verified, video: Video) -> Iterator[Picture]:
    """RGB (H, W, 3) frames of a sample's colour video, or grey (H, W) ones of its depth video.

    DataError when there is no such video or it has not as many frames as were verified.
    """
    if video == "color":
        return _counted(read_frames(row.color), row.color, row)
    if not row.depth:
        raise DataError("there is no depth video; name one in the sample table")
    return _counted(read_grey_frames(row.depth), row.depth, row)


def _counted(frames: Iterator[Picture], path: str, row: Verified) -> Iterator[Picture]:
    count = 0
    for frame in frames:
        count += 1
        yield frame
    _check_frames(count, path, row)


def _check_frames(count: int, path: str, row: Verified) -> None:
    """DataError when a video, or what was made from it, has not the verified number of frames."""
    if count != row.frames:
        raise DataError(
            f"{path}: found {count} frames, `verify` counted {row.frames}; the video has changed, "
            "delete its table in results/verify and run again"
        )


def keypoints_of(store: FeatureStore, row: Verified) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) of a sample, of as many frames as were verified."""
    values = store.read(row.sample).values
    _check_frames(len(values), "keypoints", row)
    return np.asarray(values, np.float32)


def inputs_of(rows: list[Verified], keypoints: str, video: Video | None = None) -> dict[str, Any]:
    """SHA-256 of what a feature is made from, for its provenance."""
    inputs: dict[str, Any] = {"keypoints": sha256_of(keypoints)}
    if video is not None:
        inputs[video] = {row.sample: getattr(row, f"{video}_sha256") for row in rows}
    return inputs
