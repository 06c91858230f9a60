"""Pictures of a clip (signer crops, flow, HHA) to the input of R(2+1)D; arrays in, arrays out.

Source: SAM-SLR (Jiang et al., CVPRW 2021, section 3.3) and its released code.
"""

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from slr_pipeline.data import frame_indices
from slr_pipeline.schema import Fidelity

Kind = Literal["color", "flow", "hha"]
Picture = NDArray[np.uint8]
Array = NDArray[np.float32]

SIDE_PX = 256
"""Side of the stored pictures."""

FILL: dict[Kind, int] = {"color": 0, "flow": 128, "hha": 0}
"""What `corrected` has beyond the border: black, at rest, missing."""

LEVELS = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True)
class Change:
    """What happens to all pictures of an item alike.

    Attributes:
        mirrored: left and right are exchanged; the first thing in `published`, the last in
            `corrected`.
        angle_rad: clockwise.
        top: row of the crop in the picture of 256 px.
        left: column of the crop.
        factors: of brightness, contrast and saturation.
    """

    mirrored: bool
    angle_rad: float
    top: int
    left: int
    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class PictureTransform:
    """Pictures as stored, 256 x 256 bytes, to a clip (C, frames, size, size) of R(2+1)D.

    Values are (x / 255 - 0.5) / 0.5; in `corrected` flow at rest, byte 128, is 0.

    Attributes:
        fidelity: `published` turns to the nearest pixel, fills what came from beyond the border
            with 0 (of flow the fastest movement there is), and leaves flow vectors as they were.
            `corrected` turns and shrinks in one, turns flow vectors with the picture, and fills
            flow with rest.
        kind: `color` and `hha` have three channels; `flow` has two, x and y.
        frames: frames of a clip.
        size: height and width of the clip in pixels.
        crop: side of the part that is seen, of 256 px: at a random place in training, else the
            middle.
        flip_probability: share of mirrored training items.
        rotation_deg: largest rotation of a training item, either way. The recipe has 5, for flow
            10.
        jitter: largest relative change of brightness, contrast and saturation of a training item;
            of `color` in `corrected` only (else ValueError).
    """

    fidelity: Fidelity = "corrected"
    kind: Kind = "color"
    frames: int = 32
    size: int = 128
    crop: int = 224
    flip_probability: float = 0.5
    rotation_deg: float = 5.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= SIDE_PX:
            raise ValueError(f"crop must be 1 to {SIDE_PX}, found {self.crop}")
        if self.frames < 1 or self.size < 1:
            raise ValueError(f"frames and size must be 1 at least, found {self.frames, self.size}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be 0 to 1, found {self.jitter}")
        if self.jitter and (self.fidelity == "published" or self.kind != "color"):
            raise ValueError(
                f"only corrected colour pictures have jitter, found {self.jitter} for "
                f"{self.fidelity} {self.kind}"
            )

    def index(
        self, T: int, rng: np.random.Generator | None, view: int = 0, views: int = 1
    ) -> NDArray[np.int64]:
        """Which of T frames the clip has: a random window for training, else clip `view`."""
        if rng is None:
            return frame_indices.test_clip(T, self.frames, view, views, self.fidelity)
        return frame_indices.random_clip(T, self.frames, rng)

    def __call__(self, pictures: Picture, rng: np.random.Generator | None) -> Array:
        """The clip (C, frames, size, size).

        Args:
            pictures: (frames, 256, 256, 3) of `color` and `hha`, (frames, 2, 256, 256) of `flow`;
                ValueError for other shapes.
            rng: source of the augmentation, None for none.
        """
        shape = (2, SIDE_PX, SIDE_PX) if self.kind == "flow" else (SIDE_PX, SIDE_PX, 3)
        if pictures.shape != (self.frames, *shape):
            raise ValueError(f"expected pictures {(self.frames, *shape)}, found {pictures.shape}")
        change = self._change(rng)
        if self.kind == "flow":
            planes = pictures.reshape(-1, SIDE_PX, SIDE_PX)
            small = self._all_small(planes, change).reshape(self.frames, 2, self.size, self.size)
            return self._values(small.transpose(1, 0, 2, 3), change)
        return self._values(self._all_small(pictures, change).transpose(3, 0, 1, 2), change)

    def _change(self, rng: np.random.Generator | None) -> Change:
        spare = SIDE_PX - self.crop
        if rng is None:
            return Change(mirrored=False, angle_rad=0.0, top=spare // 2, left=spare // 2)
        mirrored = bool(rng.random() < self.flip_probability)
        angle_rad = math.radians(rng.uniform(-self.rotation_deg, self.rotation_deg))
        top, left = (int(offset) for offset in rng.integers(0, spare + 1, 2))
        if not self.jitter:
            return Change(mirrored, angle_rad, top, left)
        return Change(mirrored, angle_rad, top, left, jitter_factors(self.jitter, rng))

    def _all_small(self, pictures: Picture, change: Change) -> Picture:
        """Pictures (N, 256, 256[, C]) to (N, size, size[, C])."""
        if self.fidelity == "published":
            return np.stack(
                [_published(picture, change, self.crop, self.size) for picture in pictures]
            )
        # As many samples a pixel of the clip as keep them within a pixel of the picture.
        samples = math.ceil(self.crop / self.size)
        matrix = _window(change, self.crop, samples * self.size)
        fill = FILL[self.kind]
        small = np.stack(
            [_corrected(picture, matrix, samples, self.size, fill) for picture in pictures]
        )
        if change.factors != (1.0, 1.0, 1.0):
            small = np.stack([jittered(picture, change.factors) for picture in small])
        return small

    def _values(self, small: Picture, change: Change) -> Array:
        """Bytes (C, frames, size, size) to the clip."""
        values = np.empty(small.shape, np.float32)
        mirrored_last = change.mirrored and self.fidelity == "corrected"
        np.multiply(small[..., ::-1] if mirrored_last else small, np.float32(2 / 255), out=values)
        if self.kind == "flow" and self.fidelity == "corrected":
            values -= np.float32(2 / 255 * FILL["flow"])
            values = turned(values, change.angle_rad)
        else:
            # PUBLISHED: flow at rest, byte 128, is 0.004; vectors do not turn with their picture.
            values -= 1
        if self.kind == "flow" and change.mirrored:
            np.negative(values[0], out=values[0])
        return values


def turned(vectors: Array, angle_rad: float) -> Array:
    """Vectors (2, ...), x to the right and y down, turned clockwise."""
    if angle_rad == 0:
        return vectors
    cos, sin = np.float32(math.cos(angle_rad)), np.float32(math.sin(angle_rad))
    x, y = vectors
    return np.stack([cos * x - sin * y, sin * x + cos * y])


def jitter_factors(jitter: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Factors of brightness, contrast and saturation, each within 1 - jitter to 1 + jitter."""
    brightness, contrast, saturation = rng.uniform(1 - jitter, 1 + jitter, 3).tolist()
    return brightness, contrast, saturation


def jittered(picture: Picture, factors: tuple[float, float, float]) -> Picture:
    """The picture (H, W, 3) with its brightness, contrast and saturation changed, in this order.

    A factor extrapolates from black, from the picture's mean grey, and from its grey; values are
    clipped and cut to whole ones after each step, as Pillow does.
    """
    brightness, contrast, saturation = factors
    black = np.zeros(1, np.uint8)
    picture = np.asarray(cv2.LUT(picture, _blended(LEVELS, black, brightness)), np.uint8)
    mean = np.array([int(_grey(picture).mean() + 0.5)], np.uint8)
    picture = np.asarray(cv2.LUT(picture, _blended(LEVELS, mean, contrast)), np.uint8)
    return _blended(picture, _grey(picture)[..., None], saturation)


def _blended(values: Picture, origin: Picture, factor: float) -> Picture:
    """Bytes of origin + factor (values - origin)."""
    blended = np.subtract(values, origin, dtype=np.float32)
    blended *= np.float32(factor)
    blended += origin
    return np.clip(blended, 0, 255, out=blended).astype(np.uint8)


def _grey(picture: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _published(picture: Picture, change: Change, crop: int, size: int) -> Picture:
    """Mirrored, turned, cropped and shrunk, in this order; (size, size[, C])."""
    changed: Picture = np.asarray(cv2.flip(picture, 1), np.uint8) if change.mirrored else picture
    if change.angle_rad:
        # PUBLISHED: filled with 0 whatever it means, and no filter.
        whole = Change(mirrored=False, angle_rad=change.angle_rad, top=0, left=0)
        matrix = _window(whole, SIDE_PX, SIDE_PX)
        nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        changed = np.asarray(
            cv2.warpAffine(changed, matrix, (SIDE_PX, SIDE_PX), flags=nearest), np.uint8
        )
    changed = changed[change.top : change.top + crop, change.left : change.left + crop]
    return _resized_as_pillow(changed, size)


def _resized_as_pillow(picture: Picture, size: int) -> Picture:
    """A picture (H, W[, C]) at (size, size[, C]): bilinear, wider where it shrinks."""
    planes = torch.from_numpy(np.atleast_3d(picture)).permute(2, 0, 1)[None]
    small = interpolate(planes, (size, size), mode="bilinear", antialias=True)
    return small[0].permute(1, 2, 0).numpy().reshape(size, size, *picture.shape[2:])


def _corrected(
    picture: Picture, matrix: NDArray[np.float64], samples: int, size: int, fill: int
) -> Picture:
    """The window of `_window`, (size, size[, C]); a pixel is the mean of samples x samples."""
    large = cv2.warpAffine(
        picture,
        matrix,
        (samples * size, samples * size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=(fill, fill, fill),
    )
    if samples > 1:
        large = cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(large, np.uint8)


def _window(change: Change, side: int, pixels: int) -> NDArray[np.float64]:
    """Where in the picture each of pixels x pixels comes from; affine (2, 3), x and y.

    They cover a square of `side` px with its corner at `top`, `left`, which is turned about its
    middle: counter-clockwise, so that what it shows turns clockwise.
    """
    scale = side / pixels
    cos, sin = scale * math.cos(change.angle_rad), scale * math.sin(change.angle_rad)
    linear = np.array([[cos, sin], [-sin, cos]])
    # Pixel i has its centre at i + 0.5.
    middle = np.array([change.left, change.top]) + side / 2 - 0.5
    offset = middle - linear @ np.full(2, (pixels - 1) / 2)
    return np.column_stack([linear, offset])
