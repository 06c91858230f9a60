"""Keypoints of a clip to the skeleton tensor of a model; pure numpy.

Source: SAM-SLR (Jiang et al., CVPRW 2021, section 3.1) and its released code. Arrays are (T, V, 3):
x and y in pixels with the origin at the top left, and a score; score 0 marks a missing keypoint.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.data import frame_indices
from slr_pipeline.data.representations import represented
from slr_pipeline.schema import Fidelity, Representation
from slr_pipeline.skeleton import FLIP_27, JOINTS_27, LEFT_HAND, PARENTS_27, RIGHT_HAND

Array = NDArray[np.float32]

SIDE_PX = 512.0
"""Side of AUTSL's square frames, the pixels all lengths of the recipe are given in."""

NOSE = 0
ALL = slice(None)
SHOULDERS = (1, 2)


@dataclass(frozen=True)
class SkeletonTransform:
    """Keypoints (T, 133, 3) to the tensor (3, T', 27) of a skeleton stream: x, y and score.

    Joints are relative to the mean nose. Bones and movements are vectors, which have no place.
    PUBLISHED: of vectors the nose alone is centred and shifted.

    Attributes:
        fidelity: `published` or `corrected`, see `published_skeleton` and `corrected_skeleton`.
        representation: joints, bones, or the movement of either.
        frames: frames every clip is brought to.
        window: consecutive frames of these that a training item has.
        flip_probability: share of mirrored training items.
        shift_px: largest shift of a training item in x and in y, in pixels of a 512 frame.
        rotation_deg: largest rotation of a training item about the mean nose, either way.
        scale_range: largest relative change of size of a training item (0.1: 0.9 to 1.1).
        trim: leave out what comes before the first and after the last frame with a hand.
        stretch: spread a short clip over the frames instead of repeating it from its start.
    """

    fidelity: Fidelity = "corrected"
    representation: Representation = "joint"
    frames: int = 150
    window: int = 100
    flip_probability: float = 0.5
    shift_px: float = 10.0
    rotation_deg: float = 0.0
    scale_range: float = 0.0
    trim: bool = False
    stretch: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.window <= self.frames:
            raise ValueError(f"window must be 1 to frames {self.frames}, found {self.window}")
        changed = self.rotation_deg or self.scale_range or self.trim or self.stretch
        if self.fidelity == "published" and changed:
            raise ValueError("the released code neither rotates, scales, trims nor stretches")

    def __call__(
        self, keypoints: Array, width: int, height: int, rng: np.random.Generator | None
    ) -> Array:
        """The tensor (3, window, 27) for training, or (3, frames, 27) if `rng` is None.

        Args:
            keypoints: (T, 133, 3), T >= 1 (else ValueError), not mirrored.
            width: of the video frame, pixels.
            height: of the video frame, pixels.
            rng: source of the augmentation, None for none.
        """
        kind = self.representation
        if self.fidelity == "published":
            skeleton, width_px = published_skeleton(keypoints, kind, frames=self.frames), SIDE_PX
        else:
            if self.trim:
                keypoints = trimmed(keypoints)
            skeleton = corrected_skeleton(
                keypoints, width, height, kind, frames=self.frames, stretch=self.stretch
            )
            width_px = width * SIDE_PX / max(width, height)
        if rng is None:
            return _channels_first(self._centred(skeleton))
        skeleton = skeleton[frame_indices.random_window(self.frames, self.window, rng)]
        if rng.random() < self.flip_probability:
            skeleton = mirrored(skeleton, width_px if kind == "joint" else 0.0)
        skeleton = self._centred(skeleton)
        skeleton = turned(
            skeleton,
            angle_rad=np.deg2rad(rng.uniform(-self.rotation_deg, self.rotation_deg)),
            scale=1 + rng.uniform(-self.scale_range, self.scale_range),
        )
        offset_px = rng.uniform(-self.shift_px, self.shift_px, 2)
        return _channels_first(shifted(skeleton, offset_px, self._placed()))

    def _centred(self, skeleton: Array) -> Array:
        # PUBLISHED: frames in which the nose is missing, at (0, 0), count in its mean.
        return centred(skeleton, self._placed(), only_seen=self.fidelity == "corrected")

    def _placed(self) -> slice:
        """The joints that have a place in the picture, and not a vector."""
        if self.representation == "joint":
            return ALL
        return slice(NOSE, NOSE + 1) if self.fidelity == "published" else slice(0)


def published_skeleton(
    keypoints: Array, representation: Representation = "joint", *, frames: int
) -> Array:
    """Skeleton (frames, 27, 3) as the released code has it, from keypoints (T, 133, 3).

    The released keypoints were found in mirrored frames, so the person is mirrored here: x becomes
    512 - x whatever the frame's width, and left and right change places. Missing keypoints stay at
    (0, 0). A short clip is repeated from its start; a long one loses its end. Movement is taken
    after that, with a jump from the clip's end to its start.
    """
    skeleton = keypoints[frame_indices.looped(len(keypoints), frames)][:, JOINTS_27]
    missing = skeleton[..., 2] == 0
    skeleton = mirrored(skeleton, SIDE_PX)
    skeleton[missing[:, FLIP_27]] = 0
    return represented(skeleton, representation, "published")


def corrected_skeleton(
    keypoints: Array,
    width: int,
    height: int,
    representation: Representation = "joint",
    *,
    frames: int,
    stretch: bool = False,
) -> Array:
    """Skeleton (frames, 27, 3) from keypoints (T, 133, 3) of a video of any size; not mirrored.

    Lengths are scaled so that the longer side of the frame has 512 pixels. Missing joints are
    imputed (see `imputed`) and keep score 0. A short clip is repeated from its start, which keeps
    the speed of the sign, or with `stretch` its frames are. A long clip is sampled evenly, which
    does not keep the speed: its end, or a window's outside, may hold the sign itself, while signers
    differ in speed anyway. Movement is taken before a clip is repeated: there is none from its end
    to its start.
    """
    if len(keypoints) == 0:
        raise ValueError("a clip needs at least one frame, found none")
    skeleton = keypoints[:, JOINTS_27].astype(np.float32)
    skeleton[..., :2] *= SIDE_PX / max(width, height)
    skeleton = imputed(skeleton)
    if len(skeleton) > frames:
        skeleton = skeleton[frame_indices.resampled(len(skeleton), frames)]
    skeleton = represented(skeleton, representation, "corrected")
    fill = frame_indices.resampled if stretch else frame_indices.looped
    return skeleton[fill(len(skeleton), frames)]


def trimmed(keypoints: Array) -> Array:
    """Keypoints (T, 133, 3) without the rest before and after a sign.

    Estimators that only find raised hands tell rest from sign: what remains are the frames from the
    first to the last that has a hand, and two on either side. All, if no more than five have one.
    """
    with_hand = np.flatnonzero((keypoints[:, [*LEFT_HAND, *RIGHT_HAND], 2] > 0).any(axis=1))
    if len(with_hand) <= 5:
        return keypoints
    return keypoints[max(with_hand[0] - 2, 0) : with_hand[-1] + 3]


def imputed(skeleton: Array) -> Array:
    """Skeleton (T, 27, 3) with a place for every joint; scores stay as they are.

    A missing joint lies on the line between its places in the nearest frames before and after that
    have it, or at the nearest one at either end of the clip. A joint that no frame has lies on its
    parent; so a hand that was never seen lies on its wrist. The nose, if no frame has it, lies amid
    the shoulders, or else amid all joints seen. Without any person all joints are at (0, 0).
    """
    seen: NDArray[np.bool_] = skeleton[..., 2] > 0  # (T, V)
    ever = [bool(seen[:, joint].any()) for joint in range(seen.shape[1])]
    filled = skeleton.copy()
    time = np.arange(len(skeleton))
    for joint in range(len(ever)):
        known = seen[:, joint]
        if ever[joint] and not known.all():
            for axis in (0, 1):
                filled[:, joint, axis] = np.interp(time, time[known], skeleton[known, joint, axis])
    if not ever[NOSE]:
        shoulders = [joint for joint in SHOULDERS if ever[joint]]
        amid = shoulders or [joint for joint, is_seen in enumerate(ever) if is_seen]
        filled[:, NOSE, :2] = filled[:, amid, :2].mean(axis=1) if amid else 0
    for joint, parent in enumerate(PARENTS_27):  # parents come before their children
        if not ever[joint] and joint != NOSE:
            filled[:, joint, :2] = filled[:, parent, :2]
    return filled


def mirrored(skeleton: Array, width_px: float) -> Array:
    """The skeleton (T, 27, 3) of the mirrored person, in a frame `width_px` wide."""
    skeleton = skeleton[:, FLIP_27]
    skeleton[..., 0] = width_px - skeleton[..., 0]
    return skeleton


def centred(skeleton: Array, joints: slice = ALL, *, only_seen: bool) -> Array:
    """The skeleton (T, 27, 3), these joints of it relative to the nose's mean place over time.

    With `only_seen` the mean is over the frames that have the nose, if any does.
    """
    nose = skeleton[:, NOSE]
    if only_seen and (nose[:, 2] > 0).any():
        nose = nose[nose[:, 2] > 0]
    return shifted(skeleton, -nose[:, :2].mean(axis=0, dtype=np.float64), joints)


def turned(skeleton: Array, *, angle_rad: float, scale: float) -> Array:
    """The skeleton (T, 27, 3) turned clockwise and scaled about the origin."""
    cos, sin = scale * np.cos(angle_rad), scale * np.sin(angle_rad)
    rotation = np.array([[cos, sin], [-sin, cos]], dtype=np.float32)
    return np.concatenate([skeleton[..., :2] @ rotation, skeleton[..., 2:]], axis=-1)


def shifted(skeleton: Array, offset_px: NDArray[np.float64], joints: slice = ALL) -> Array:
    """The skeleton (T, 27, 3) with (x, y) `offset_px` added to these joints."""
    skeleton = skeleton.copy()
    skeleton[:, joints, :2] += offset_px.astype(np.float32)
    return skeleton


def _channels_first(skeleton: Array) -> Array:
    """(T, V, 3) to (3, T, V)."""
    return np.ascontiguousarray(skeleton.transpose(2, 0, 1), dtype=np.float32)
