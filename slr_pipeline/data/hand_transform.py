"""Hand crops and pose flow of a clip as input of VTN-HC/PF; numpy and OpenCV.

Source: De Coster et al., 2021 (CVPRW), section 3 and its released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.data import frame_indices
from slr_pipeline.data.clip_transform import CROP_PX, SIDE_PX, jitter_factors, jittered
from slr_pipeline.features.arrays import Flags
from slr_pipeline.features.hand_crops import published_slots
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import BODY_135, POSE_FLOW_KEYPOINTS

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Colour statistics of ImageNet, which the backbone was trained on."""

SCALES_PX = (256, 215, 181, 152)
"""Sides of training windows: 256 / 2^(i/4), truncated."""

WINDOWS_PX: tuple[tuple[int, int], ...] = tuple(
    (height, width)
    for i, height in enumerate(SCALES_PX)
    for j, width in enumerate(SCALES_PX)
    if abs(i - j) <= 1
)
"""Height and width of the training windows: their sides differ by at most one scale."""

PUBLISHED_WINDOWS = 4

PLACES: tuple[tuple[int, int], ...] = (
    *((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)),
    *((0, 2), (4, 2), (2, 0), (2, 4)),
    *((1, 1), (1, 3), (3, 1), (3, 3)),
)
"""Row and column of the training windows, in quarters of the free space: corners, centre, middles
of the sides, centres of the quarters."""

EXCHANGED = {2: (1, 0), 4: (1, 0, 3, 2)}
"""Order of the hands after mirroring the person, without and with depth."""

DEPTH_HANDS = (2, 3)

Hands = Sequence[Sequence[NDArray[np.uint8]]]
"""S pictures per frame, colour (256, 256, 3) or grey (256, 256)."""

_SIDES = {"left": "right", "right": "left"}
_NAMES = tuple(BODY_135[keypoint] for keypoint in POSE_FLOW_KEYPOINTS)


def _other_side(name: str) -> str:
    side, _, rest = name.partition("_")
    return f"{_SIDES[side]}_{rest}" if side in _SIDES else name


FLIP_53: tuple[int, ...] = tuple(_NAMES.index(_other_side(name)) for name in _NAMES)
"""Left/right permutation of the keypoints of pose flow."""


@dataclass(frozen=True)
class Window:
    """A part of a crop of 256 x 256 px; it may extend beyond the bottom and right border."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class HandTransform:
    """Stored hand crops and pose flow to an item of VTN-HC/PF.

    The fields are settings of `VtnSettings`. `published` repeats the released treatment of missing
    hands (`published_hands`), uses only windows of 256 and 215 px, which extend beyond the crop,
    mirrors crops but neither swaps the hands nor mirrors the pose flow, and jitters depth like
    colour. `corrected` uses all windows, inside the crop, and mirrors the person; it does not
    jitter depth, which is a measurement and not a colour.
    """

    fidelity: Fidelity
    frames: int
    stride: int
    size: int
    flip_probability: float
    jitter: float
    depth: bool

    def index(self, T: int) -> NDArray[np.int64]:
        """Indices of an item's frames among T, in training and in evaluation."""
        return frame_indices.strided(T, self.frames, self.stride, self.fidelity)

    def __call__(
        self,
        crops: NDArray[np.uint8],
        pose: NDArray[np.float32],
        rng: np.random.Generator | None,
        *,
        missing: Flags,
        depth: NDArray[np.uint8] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return pictures (frames, S, 3, size, size) and pose flow (frames, 106).

        S is 2 (left and right hand) or 4 (then both in depth).

        Args:
            crops: (frames, 2, 256, 256, 3), left hand first.
            pose: (frames, 106) as stored.
            rng: source of the augmentation; None disables it.
            missing: (frames, 2) whether the hand has no box; used by `published`.
            depth: (frames, 2, 256, 256), or None without depth.
        """
        if self.fidelity == "published":
            hands = published_hands(crops, missing, depth)
        elif depth is None:
            hands = [[*both] for both in crops]
        else:
            hands = [[*both, *in_depth] for both, in_depth in zip(crops, depth, strict=True)]
        if rng is None:
            edge = (SIDE_PX - CROP_PX) // 2
            window = Window(edge, edge, CROP_PX, CROP_PX)
            return normalised(self._cut(hands, window)), pose.astype(np.float32)
        pictures = self._cut(hands, self._window(rng))
        mirrored = rng.random() < self.flip_probability
        if self.jitter:
            factors = jitter_factors(self.jitter, rng)
            jittering = pictures if self.fidelity == "published" else pictures[:, :2]
            for place in np.ndindex(jittering.shape[:2]):
                jittering[place] = jittered(jittering[place], factors)
        if mirrored:
            pictures = pictures[:, :, :, ::-1]
            # PUBLISHED: the left hand, now shaped like a right one, stays in the left slot, and
            # the pose flow does not change.
            if self.fidelity == "corrected":
                pictures, pose = pictures[:, EXCHANGED[pictures.shape[1]]], mirrored_pose_flow(pose)
        return normalised(pictures), pose.astype(np.float32)

    def _window(self, rng: np.random.Generator) -> Window:
        published = self.fidelity == "published"
        # PUBLISHED: the smaller windows are never drawn. The positions are those of a 224 px
        # window, so larger windows extend beyond the crop.
        height, width = WINDOWS_PX[
            rng.integers(PUBLISHED_WINDOWS if published else len(WINDOWS_PX))
        ]
        row, column = PLACES[rng.integers(len(PLACES))]
        if published:
            unit = (SIDE_PX - CROP_PX) // 4
            return Window(row * unit, column * unit, height, width)
        top, left = row * (SIDE_PX - height) // 4, column * (SIDE_PX - width) // 4
        return Window(top, left, height, width)

    def _cut(self, hands: Hands, window: Window) -> NDArray[np.uint8]:
        """Cut the window out of all pictures: (frames, S, size, size, 3)."""
        cut = np.empty((len(hands), len(hands[0]), self.size, self.size, 3), np.uint8)
        bottom, right = window.top + window.height, window.left + window.width
        below, beside = max(bottom - SIDE_PX, 0), max(right - SIDE_PX, 0)
        shrinks = self.fidelity == "corrected" and min(window.height, window.width) >= self.size
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        for frame, hand in np.ndindex(cut.shape[:2]):
            inside = hands[frame][hand][window.top : bottom, window.left : right]
            # PUBLISHED: beyond the crop, depth is padded with black, while colour is cut and then
            # stretched. ASSUME: this depends on the slot, not on the picture in it.
            if hand in DEPTH_HANDS and (below or beside):
                border = (0, below, 0, beside, cv2.BORDER_CONSTANT)
                inside = np.asarray(cv2.copyMakeBorder(inside, *border), np.uint8)
            if inside.shape[:2] != (self.size, self.size):
                size = (self.size, self.size)
                inside = np.asarray(cv2.resize(inside, size, interpolation=method), np.uint8)
            cut[frame, hand] = inside if inside.ndim == 3 else inside[..., None]
        return cut


def published_hands(
    crops: NDArray[np.uint8], missing: Flags, depth: NDArray[np.uint8] | None
) -> Hands:
    """Arrange the pictures of each frame in slots as the released code does.

    Shapes as in `HandTransform`; the crop of a missing hand is the whole frame.
    """
    left, right = (published_slots(missing[:, hand]).tolist() for hand in (0, 1))
    if depth is None:
        return [[crops[i, 0], crops[j, 1]] for i, j in zip(left, right, strict=True)]
    # PUBLISHED: without a right hand, the whole frames of colour and depth are swapped, also in
    # slots that copy them. A left slot that copies another slot uses its colour crop as depth,
    # too. ASSUME: in colour, because depth has three channels by then.
    swapped = missing[:, 1]
    return [
        [
            crops[i, 0],
            depth[j, 1] if swapped[j] else crops[j, 1],
            depth[slot, 0] if i == slot else crops[i, 0],
            crops[j, 1] if swapped[j] else depth[j, 1],
        ]
        for slot, (i, j) in enumerate(zip(left, right, strict=True))
    ]


def mirrored_pose_flow(pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pose flow (T, 106) of the mirrored person; swaps left and right keypoints, too.

    An angle a (in units of pi) becomes 1 - a, wrapped to (-1, 1]; without movement it stays 0.
    Mirroring twice is the identity, except that an angle of -1 becomes 1.
    """
    angles, magnitudes = pose[:, 0::2][:, FLIP_53], pose[:, 1::2][:, FLIP_53]
    other = 1 - angles
    other = np.where(other > 1, other - 2, other)
    mirrored = np.empty(pose.shape, np.float32)
    mirrored[:, 0::2] = np.where(magnitudes == 0, angles, other)
    mirrored[:, 1::2] = magnitudes
    return mirrored


def normalised(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Normalise pictures (frames, S, H, W, 3) to (frames, S, 3, H, W) with `MEAN` and `STD`."""
    values = np.empty((*pictures.shape[:2], 3, *pictures.shape[2:4]), np.float32)
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        plane = values[:, :, channel]
        np.multiply(pictures[..., channel], np.float32(1 / (255 * std)), out=plane)
        plane -= np.float32(mean / std)
    return values
