"""Pose flow: the movement of each keypoint from frame to frame, as an angle and a magnitude.

Source: De Coster et al., 2021 (CVPRW), section 3 and its released code. Lengths are in units of
the head (upper neck to head top) of the same frame; the signer's position is not subtracted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.arrays import Flags, Floats, Keypoints
from slr_pipeline.features.imputing import latest_seen, nearest_seen
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import (
    BODY_135,
    BODY_135_FROM_133,
    EARS,
    HEAD_TOP,
    HEAD_TOP_ABOVE_EARS,
    KEYPOINTS_133,
    POSE_FLOW_KEYPOINTS,
    SHOULDERS,
    UPPER_NECK,
    UPPER_NECK_ABOVE_EARS,
)

SMALLEST_NECK_PX = 1e-6
"""A shorter head counts as length 0: division by it would overflow."""


@dataclass(frozen=True)
class PoseFlow:
    """The pose flow of a clip and what it lacks.

    Attributes:
        values: (T, 106) float32, angle / pi in [-1, 1] and magnitude (heads per frame) of 53
            keypoints in turn, in the order of `POSE_FLOW_KEYPOINTS`. Angles go from x to y, so
            0.5 is downwards. Row 0 is zeros.
        zero_neck_frames: number of frames without a head length, all T if neck or head top is
            never seen. Steps from or to them are zeros.
        keypoints_never_seen: number of the 53 keypoints that no frame has; they are zeros.
    """

    values: NDArray[np.float32]
    zero_neck_frames: int
    keypoints_never_seen: int


def pose_flow(points: Keypoints, *, fidelity: Fidelity) -> PoseFlow:
    """Pose flow of keypoints in pixels (De Coster et al., 2021, equations of section 3).

    `corrected`: row t is the step from frame t - 1 to t; a missing keypoint takes its position from
    the nearest frame that has it. `published`: row t is the step from t to t + 1, the last row
    repeats the previous one, and imputed positions count as seen.

    `points` are (T, 133, 3) COCO-WholeBody with scores, or (T, 135, 3) BODY_135 with scores, or
    (T, 135, 2) BODY_135 where (0, 0) is missing; T may be 0. ValueError for other shapes.
    """
    places, seen = _body_135(points)
    places, seen = places[:, POSE_FLOW_KEYPOINTS], seen[:, POSE_FLOW_KEYPOINTS]  # (T,53,2), (T,53)
    if fidelity == "published":
        # PUBLISHED: a keypoint at exactly (0, 0) counts as missing, whatever its score.
        seen &= places.any(axis=-1)
    ever: Flags = np.asarray(seen.any(axis=0))  # (53,)
    source = latest_seen(seen) if fidelity == "published" else nearest_seen(seen)
    places = np.take_along_axis(places, source[..., None], axis=0)
    neck, top = (POSE_FLOW_KEYPOINTS.index(end) for end in (UPPER_NECK, HEAD_TOP))
    heads = np.linalg.norm(places[:, top] - places[:, neck], axis=-1)  # (T,)
    measured = (heads > SMALLEST_NECK_PX) & ever[neck] & ever[top]
    places /= np.where(measured, heads, 1)[:, None, None]
    steps = np.diff(places, axis=0)  # (T-1, 53, 2)
    steps[~(measured[1:] & measured[:-1])] = 0
    return PoseFlow(
        values=_rows(steps, len(points), fidelity),
        zero_neck_frames=int((~measured).sum()),
        keypoints_never_seen=int((~ever).sum()) if len(points) else 0,
    )


def _rows(steps: Floats, T: int, fidelity: Fidelity) -> NDArray[np.float32]:
    """Values (T, 106) from the steps (T-1, 53, 2); step i is from frame i to i + 1."""
    values = np.zeros((T, 2 * len(POSE_FLOW_KEYPOINTS)), dtype=np.float32)
    if fidelity == "published":
        # PUBLISHED: the file of a frame holds the step to the next frame; the last frame repeats
        # the previous step. Frame 0 is still zeros.
        steps = np.concatenate([steps[1:], steps[-1:]])
    values[1:, 0::2] = np.arctan2(steps[..., 1], steps[..., 0]) / np.pi
    values[1:, 1::2] = np.linalg.norm(steps, axis=-1)
    return values


def _body_135(points: Keypoints) -> tuple[Floats, Flags]:
    """Positions (T, 135, 2), (0, 0) if missing, and seen flags (T, 135), from either layout."""
    if points.ndim != 3 or points.shape[1:] not in {(133, 3), (135, 3), (135, 2)}:
        raise ValueError(
            f"keypoints must be (T, {len(KEYPOINTS_133)}, 3), (T, {len(BODY_135)}, 3) or "
            f"(T, {len(BODY_135)}, 2), found {points.shape}"
        )
    places: Floats = points[..., :2].astype(np.float64)
    seen: Flags = np.asarray(points[..., 2] > 0 if points.shape[2] == 3 else places.any(axis=-1))
    if points.shape[1] == len(KEYPOINTS_133):
        places, seen = _from_133(places, seen)
    return np.where(seen[..., None], places, 0), seen


def _from_133(places: Floats, seen: Flags) -> tuple[Floats, Flags]:
    """Positions (T, 133, 2) and seen flags (T, 133), reordered as BODY_135.

    Upper neck and head top are derived from ears and shoulders, and missing unless all four are
    seen; the pupils are missing.
    """
    index = np.array(BODY_135_FROM_133)
    ears, shoulders = places[:, EARS].mean(axis=1), places[:, SHOULDERS].mean(axis=1)
    both = seen[:, EARS + SHOULDERS].all(axis=1)
    places, seen = places[:, index], seen[:, index] & (index >= 0)
    for end, above in ((UPPER_NECK, UPPER_NECK_ABOVE_EARS), (HEAD_TOP, HEAD_TOP_ABOVE_EARS)):
        places[:, end] = ears + above * (ears - shoulders)
        seen[:, end] = both
    return places, seen
