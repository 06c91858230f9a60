"""Keypoints of a clip to the skeleton tensor of SL-GCN; pure numpy.

Source: SAM-SLR (Jiang et al., CVPRW 2021, section 3.1; bones and motion after 2s-AGCN) and its
released code. Arrays are (T, V, 3): x and y in pixels with the origin at the top left, and a score.
Score 0 marks a missing keypoint.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.data import frame_indices
from slr_pipeline.features.hand_gaps import closed_gaps
from slr_pipeline.features.landmarks import Points, body_reference
from slr_pipeline.schema import Fidelity, Representation
from slr_pipeline.skeleton import BONES_27, FLIP_27, JOINTS_27, LEFT_HAND, PARENTS_27, RIGHT_HAND

Array = NDArray[np.float32]

FRAME_PX = 512.0
"""Side of AUTSL's square frames. All lengths of the recipe are in pixels of this frame."""

SHOULDERS_PX = 100.0
"""Width of the shoulders in `corrected`; about that of AUTSL's signers in such a frame."""

TRIM_FRAMES = 2
"""Frames that `trimmed` keeps before the first and after the last frame with a hand."""

TRIM_MIN_HANDS = 6
"""`trimmed` needs this many frames with a hand."""

NOSE = 0
ALL = slice(None)
SHOULDERS = (1, 2)


@dataclass(frozen=True)
class SkeletonTransform:
    """Keypoints (T, 133, 3) to the tensor (3, T', 27) of a skeleton stream: x, y and score.

    Joints are relative to the mean nose. Bones and motion are vectors, which have no position.
    PUBLISHED: for vectors, only the nose is centred and shifted.

    The fields are settings of `SlgcnSettings`; a rotation is about the mean nose. For the fidelity
    see `published_skeleton` and `corrected_skeleton`.
    """

    fidelity: Fidelity
    representation: Representation
    frames: int
    window: int
    flip_probability: float
    shift_px: float
    rotation_deg: float
    scale_range: float
    trim: bool
    stretch: bool

    def __call__(
        self,
        keypoints: Array,
        rng: np.random.Generator | None,
        *,
        mirror: bool = False,
        speed: float = 1.0,
    ) -> Array:
        """Return the tensor (3, window, 27) augmented by `rng`, or (3, frames, 27) without one.

        `keypoints` are (T, 133, 3) in pixels, T >= 1 (else ValueError). Without `rng`, `mirror`
        shows the mirrored person; `speed` is that of a clip with `stretch`.
        """
        kind = self.representation
        if self.fidelity == "published":
            skeleton, width_px = published_skeleton(keypoints, kind, frames=self.frames), FRAME_PX
        else:
            if self.trim:
                keypoints = trimmed(keypoints)
            skeleton = corrected_skeleton(
                keypoints, kind, frames=self.frames, stretch=self.stretch, speed=speed
            )
            width_px = 0.0  # the skeleton is centred below
        if rng is not None:
            skeleton = skeleton[frame_indices.random_window(self.frames, self.window, rng)]
            mirror = rng.random() < self.flip_probability
        if mirror:
            skeleton = mirrored(skeleton, width_px if kind == "joint" else 0.0)
        skeleton = self._centred(skeleton)
        if rng is None:
            return _channels_first(skeleton)
        skeleton = rotated(
            skeleton,
            angle_rad=np.deg2rad(rng.uniform(-self.rotation_deg, self.rotation_deg)),
            scale=1 + rng.uniform(-self.scale_range, self.scale_range),
        )
        offset_px = rng.uniform(-self.shift_px, self.shift_px, 2)
        return _channels_first(shifted(skeleton, offset_px, self._placed()))

    def _centred(self, skeleton: Array) -> Array:
        # PUBLISHED: frames without a nose count as (0, 0) in the mean.
        return centred(skeleton, self._placed(), only_seen=self.fidelity == "corrected")

    def _placed(self) -> slice:
        """Joints that have a position in the picture rather than a vector."""
        if self.representation == "joint":
            return ALL
        return slice(NOSE, NOSE + 1) if self.fidelity == "published" else slice(0)


def published_skeleton(keypoints: Array, representation: Representation, *, frames: int) -> Array:
    """Skeleton (frames, 27, 3) of the released code from keypoints (T, 133, 3).

    The released keypoints come from mirrored frames, so this mirrors the person: x becomes 512 - x
    for any frame width, and left and right change places. Missing keypoints stay at (0, 0). A short
    clip is looped; a long one loses its end. Motion is computed after looping and jumps from the
    clip's end to its start.
    """
    skeleton = keypoints[frame_indices.looped(len(keypoints), frames)][:, JOINTS_27]
    missing = skeleton[..., 2] == 0
    skeleton = mirrored(skeleton, FRAME_PX)
    skeleton[missing[:, FLIP_27]] = 0
    return represented(skeleton, representation, "published")


def corrected_skeleton(
    keypoints: Array,
    representation: Representation,
    *,
    frames: int,
    stretch: bool,
    speed: float = 1.0,
) -> Array:
    """Skeleton (frames, 27, 3) from keypoints (T, 133, 3) of a video of any size; not mirrored.

    Lengths are scaled so that the shoulders are `SHOULDERS_PX` wide (see `body_reference`), and
    short gaps of the hands are closed (see `closed_gaps`). Joints that are still missing are
    imputed (see `imputed`) and keep score 0. A short clip is looped, which keeps the speed of the
    sign, or resampled with `stretch`, at a `speed`. A long clip is resampled, which changes its
    speed: a window could miss the sign, and signers differ in speed anyway. Motion is computed
    before looping, so it does not jump from the clip's end to its start.
    """
    skeleton = closed_gaps(keypoints)[0][:, JOINTS_27].astype(np.float32)
    seen = np.asarray(skeleton[..., 2] > 0)
    _, axis = body_reference(Points(skeleton[..., :2].astype(np.float64), seen))
    skeleton[..., :2] *= SHOULDERS_PX / np.hypot(*axis)
    skeleton = imputed(skeleton)
    if len(skeleton) > frames:
        skeleton = skeleton[frame_indices.resampled(len(skeleton), frames)]
    skeleton = represented(skeleton, representation, "corrected")
    if stretch:
        return skeleton[frame_indices.resampled(len(skeleton), frames, speed)]
    return skeleton[frame_indices.looped(len(skeleton), frames)]


def trimmed(keypoints: Array) -> Array:
    """Drop the rest positions before and after a sign from keypoints (T, 133, 3).

    For estimators that detect raised hands only: keeps the frames from the first to the last with
    a hand, and two more on either side. Keeps all frames if fewer than six have a hand.
    """
    with_hand = np.flatnonzero((keypoints[:, [*LEFT_HAND, *RIGHT_HAND], 2] > 0).any(axis=1))
    if len(with_hand) < TRIM_MIN_HANDS:
        return keypoints
    return keypoints[max(with_hand[0] - TRIM_FRAMES, 0) : with_hand[-1] + TRIM_FRAMES + 1]


def imputed(skeleton: Array) -> Array:
    """Skeleton (T, 27, 3) with a position for every joint; scores do not change.

    A missing joint is interpolated linearly between the nearest frames before and after that have
    it; before the first and after the last of them it keeps their position. A joint that no frame
    has lies on its parent, so an unseen hand lies on its wrist. An unseen nose lies between the
    seen shoulders, else at the mean of all seen joints. Without a person all joints are at (0, 0).
    """
    seen: NDArray[np.bool_] = skeleton[..., 2] > 0  # (T, V)
    ever = np.asarray(seen.any(axis=0))
    filled = skeleton.copy()
    time = np.arange(len(skeleton))
    for joint in np.flatnonzero(ever & ~seen.all(axis=0)).tolist():
        frames = seen[:, joint]
        for axis in (0, 1):
            filled[:, joint, axis] = np.interp(time, time[frames], skeleton[frames, joint, axis])
    if not ever[NOSE]:
        shoulders = [joint for joint in SHOULDERS if ever[joint]]
        around = shoulders or np.flatnonzero(ever).tolist()
        filled[:, NOSE, :2] = filled[:, around, :2].mean(axis=1) if around else 0
    for joint, parent in enumerate(PARENTS_27):  # parents come before their children
        if not ever[joint] and joint != NOSE:
            filled[:, joint, :2] = filled[:, parent, :2]
    return filled


def represented(skeleton: Array, representation: Representation, fidelity: Fidelity) -> Array:
    """The skeleton (T, 27, 3) as joints, bones, or the motion of either."""
    if representation in ("bone", "bone_motion"):
        skeleton = bones(skeleton, fidelity)
    is_motion = representation in ("joint_motion", "bone_motion")
    return motion(skeleton, fidelity) if is_motion else skeleton


def bones(skeleton: Array, fidelity: Fidelity) -> Array:
    """Each joint minus its parent. `corrected`: the score is the lower of both; the nose is 0.

    PUBLISHED: the scores are subtracted, too, and the nose, which has no parent, keeps its
    position in the picture.
    """
    parents, children = map(list, zip(*BONES_27, strict=True))
    out = skeleton.copy()
    out[:, children] -= skeleton[:, parents]
    if fidelity == "corrected":
        out[:, 0, :2] = 0
        out[:, children, 2] = np.minimum(skeleton[:, children, 2], skeleton[:, parents, 2])
    return out


def motion(values: Array, fidelity: Fidelity) -> Array:
    """`corrected`: each frame minus the previous one, the first 0; the lower score of both.

    PUBLISHED: the next frame minus each, the last 0; the scores are subtracted, too.
    """
    out = np.zeros_like(values)
    if fidelity == "published":
        out[:-1] = np.diff(values, axis=0)
        return out
    out[1:, :, :2] = np.diff(values[..., :2], axis=0)
    out[1:, :, 2] = np.minimum(values[1:, :, 2], values[:-1, :, 2])
    out[:1, :, 2] = values[:1, :, 2]
    return out


def mirrored(skeleton: Array, width_px: float) -> Array:
    """Skeleton (T, 27, 3) of the mirrored person in a frame `width_px` wide."""
    skeleton = skeleton[:, FLIP_27]
    skeleton[..., 0] = width_px - skeleton[..., 0]
    return skeleton


def centred(skeleton: Array, joints: slice = ALL, *, only_seen: bool) -> Array:
    """Subtract the nose's mean position over time from some joints of a skeleton (T, 27, 3).

    With `only_seen` the mean is over the frames that have the nose, if any has.
    """
    nose = skeleton[:, NOSE]
    if only_seen and (nose[:, 2] > 0).any():
        nose = nose[nose[:, 2] > 0]
    return shifted(skeleton, -nose[:, :2].mean(axis=0, dtype=np.float64), joints)


def rotated(skeleton: Array, *, angle_rad: float, scale: float) -> Array:
    """Rotate a skeleton (T, 27, 3) clockwise and scale it about the origin."""
    cos, sin = scale * np.cos(angle_rad), scale * np.sin(angle_rad)
    rotation = np.array([[cos, sin], [-sin, cos]], dtype=np.float32)
    return np.concatenate([skeleton[..., :2] @ rotation, skeleton[..., 2:]], axis=-1)


def shifted(skeleton: Array, offset_px: NDArray[np.float64], joints: slice = ALL) -> Array:
    """Add (x, y) `offset_px` to some joints of a skeleton (T, 27, 3)."""
    skeleton = skeleton.copy()
    skeleton[:, joints, :2] += offset_px.astype(np.float32)
    return skeleton


def _channels_first(skeleton: Array) -> Array:
    """(T, V, 3) to (3, T, V)."""
    return np.ascontiguousarray(skeleton.transpose(2, 0, 1), dtype=np.float32)
