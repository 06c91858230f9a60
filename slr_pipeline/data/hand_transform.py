"""Hand crops of a clip as item of VTN-HC/PF; numpy and OpenCV.

Source: De Coster et al., 2021 (CVPRW), section 3 and its released code.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.data import frame_indices
from slr_pipeline.data.clip_transform import (
    CROP_PX,
    SIDE_PX,
    Pictures,
    jitter_factors,
    samples_along,
    shrinks_to_half,
)
from slr_pipeline.features.arrays import Flags
from slr_pipeline.features.hand_crops import published_slots
from slr_pipeline.schema import Change, Fidelity

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

HANDS = 2

DEPTH_SLOTS = (2, 3)
"""Slots of the left and the right hand in depth, after those in colour."""

Place = tuple[int, int]
"""Frame and hand of a picture."""


@dataclass(frozen=True)
class Window:
    """A part of a crop of 256 x 256 px; it may extend beyond the bottom and right border."""

    top: int
    left: int
    height: int
    width: int

    def of(self, side: int) -> "Window":
        """The same part of a crop of `side` px."""
        lengths = (self.top, self.left, self.height, self.width)
        return Window(*(length * side // SIDE_PX for length in lengths))


@dataclass(frozen=True)
class HandTransform:
    """Stored hand crops to smaller pictures; `preparation.hands` makes the input of VTN-HC/PF.

    The fields are settings of `VtnSettings`. `published` repeats the released treatment of missing
    hands (`published_hands`) and uses only windows of 256 and 215 px, which extend beyond the crop.
    `corrected` uses all windows, inside the crop.
    """

    fidelity: Fidelity
    frames: int
    stride: int
    size: int
    flip_probability: float
    jitter: float
    depth: bool

    @property
    def halves(self) -> bool:
        """Whether pictures of half their size are enough."""
        return self.fidelity == "corrected" and shrinks_to_half(min(SCALES_PX), self.size)

    def index(self, T: int) -> NDArray[np.int64]:
        """Indices of an item's frames among T, in training and in evaluation."""
        return frame_indices.strided(T, self.frames, self.stride, self.fidelity)

    def __call__(
        self,
        crops: Pictures,
        depth: Pictures | None,
        missing: Flags,
        rng: np.random.Generator | None,
        *,
        mirror: bool = False,
    ) -> tuple[list[NDArray[np.uint8]], Change]:
        """Return pictures and their change; without `rng` there is no augmentation.

        The pictures are (frames, 2, size, size, 3), left hand first, and of depth (frames, 2, size,
        size). In `published`, which exchanges colour and depth, they are in one array (frames, 4,
        size, size, 3).

        Args:
            crops: pictures (256, 256, 3) by frame and hand; `corrected` also takes half their size.
            depth: pictures (256, 256), or half their size, or None without depth.
            missing: (frames, 2) whether the hand has no box; used by `published`.
            rng: source of the augmentation.
            mirror: without `rng`, show the mirrored person.
        """
        edge = (SIDE_PX - CROP_PX) // 2
        window, change = Window(edge, edge, CROP_PX, CROP_PX), Change(mirror)
        if rng is not None:
            window = self._window(rng)
            mirrored = bool(rng.random() < self.flip_probability)
            change = Change(
                mirrored, 0.0, *(jitter_factors(self.jitter, rng) if self.jitter else ())
            )
        if self.fidelity == "corrected":
            cut = [self._cut(crops, (3,), window)]
            if depth is not None:
                cut.append(self._cut(depth, (), window))
            return cut, change
        hands = published_hands(crops, missing, depth)
        pictures = np.empty((len(hands), len(hands[0]), self.size, self.size, 3), np.uint8)
        for frame, slot in np.ndindex(pictures.shape[:2]):
            # PUBLISHED: beyond the crop, depth is padded with black, while colour is cut and then
            # stretched. ASSUME: this depends on the slot, not on the picture in it.
            source, place = hands[frame][slot]
            picture = source[place]
            seen = np.empty((self.size, self.size, *picture.shape[2:]), np.uint8)
            self._show(picture, window, seen, padded=slot in DEPTH_SLOTS)
            pictures[frame, slot] = np.atleast_3d(seen)
        return [pictures], change

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

    def _cut(
        self, pictures: Pictures, channels: tuple[int, ...], window: Window
    ) -> NDArray[np.uint8]:
        """The window of the pictures of both hands: (frames, 2, size, size, *channels)."""
        cut = np.empty((len(pictures), HANDS, self.size, self.size, *channels), np.uint8)
        for place in np.ndindex(len(pictures), HANDS):
            self._show(pictures[place], window, cut[place])
        return cut

    def _show(
        self,
        picture: NDArray[np.uint8],
        window: Window,
        out: NDArray[np.uint8],
        *,
        padded: bool = False,
    ) -> None:
        """Write the window of a picture to `out` (size, size[, 3]); `padded`: black beyond it."""
        side = picture.shape[0]
        window = window.of(side)
        bottom, right = window.top + window.height, window.left + window.width
        seen = picture[window.top : bottom, window.left : right]
        below, beside = max(bottom - side, 0), max(right - side, 0)
        if padded and (below or beside):
            border = (0, below, 0, beside, cv2.BORDER_CONSTANT)
            seen = np.asarray(cv2.copyMakeBorder(seen, *border), np.uint8)
        if seen.shape == out.shape:
            out[:] = seen
            return
        # Interpolation takes a quarter of the time of means.
        means = samples_along(min(window.height, window.width), self.size) > 1
        method = cv2.INTER_AREA if self.fidelity == "corrected" and means else cv2.INTER_LINEAR
        cv2.resize(seen, (self.size, self.size), dst=out, interpolation=method)


def published_hands(
    crops: Pictures, missing: Flags, depth: Pictures | None
) -> list[list[tuple[Pictures, Place]]]:
    """Which picture each slot of each frame shows in the released code.

    Arguments as in `HandTransform`; the crop of a missing hand is the whole frame.
    """
    left, right = (published_slots(missing[:, hand]).tolist() for hand in (0, 1))
    if depth is None:
        return [[(crops, (i, 0)), (crops, (j, 1))] for i, j in zip(left, right, strict=True)]
    # PUBLISHED: without a right hand, the whole frames of colour and depth are swapped, also in
    # slots that copy them. A left slot that copies another slot uses its colour crop as depth,
    # too. ASSUME: in colour, because depth has three channels by then.
    swapped = missing[:, 1]
    return [
        [
            (crops, (i, 0)),
            (depth if swapped[j] else crops, (j, 1)),
            (depth, (slot, 0)) if i == slot else (crops, (i, 0)),
            (crops if swapped[j] else depth, (j, 1)),
        ]
        for slot, (i, j) in enumerate(zip(left, right, strict=True))
    ]
