"""Clips of pictures (signer crops, flow, HHA) as input of R(2+1)D; arrays in, arrays out.

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

SIDE_PX = 256
"""Side of the stored pictures."""

CROP_PX = 224
"""Side of the part of a picture that the model sees."""

FILL: dict[Kind, int] = {"color": 0, "flow": 128, "hha": 0}
"""Value of `corrected` beyond the border: black, no movement, no depth."""

LEVELS = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True)
class Augmentation:
    """One change of all pictures of an item: a clockwise rotation, a crop at `top`, `left`.

    Mirroring is the first step in `published`, the last in `corrected`. `factors` are those of
    brightness, contrast and saturation.
    """

    mirrored: bool
    angle_rad: float
    top: int
    left: int
    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class ClipTransform:
    """Stored pictures, 256 x 256 bytes, to a clip (C, frames, size, size) of R(2+1)D.

    Values are (x / 255 - 0.5) / 0.5. In `corrected`, byte 128 of flow (no movement) is 0. The
    fields are settings of `R2plus1dSettings`, except:

    - `kind`: `color` and `hha` have three channels; `flow` has two, x and y.
    - `crop`: side of the visible part of the 256 px: random in training, else the middle.

    `published` rotates to the nearest pixel, fills the border with 0 (for flow: the fastest
    movement) and does not rotate flow vectors. `corrected` rotates and shrinks in one step, rotates
    flow vectors with the picture, and fills flow with "no movement".
    """

    fidelity: Fidelity
    kind: Kind
    frames: int
    size: int
    crop: int
    flip_probability: float
    rotation_deg: float
    jitter: float

    def index(
        self, T: int, rng: np.random.Generator | None, view: int = 0, views: int = 1
    ) -> NDArray[np.int64]:
        """Indices of the clip's frames among T: a random window in training, else clip `view`."""
        if rng is None:
            return frame_indices.test_clip(T, self.frames, view, views, self.fidelity)
        return frame_indices.random_clip(T, self.frames, rng)

    def __call__(
        self, pictures: NDArray[np.uint8], rng: np.random.Generator | None
    ) -> NDArray[np.float32]:
        """Return the clip (C, frames, size, size); without `rng` there is no augmentation.

        `pictures` are (frames, 256, 256, 3), or (frames, 2, 256, 256) for `flow`.
        """
        change = self._augmentation(rng)
        if self.kind == "flow":
            planes = pictures.reshape(-1, SIDE_PX, SIDE_PX)
            small = self._shrink(planes, change).reshape(self.frames, 2, self.size, self.size)
            return self._normalise(small.transpose(1, 0, 2, 3), change)
        return self._normalise(self._shrink(pictures, change).transpose(3, 0, 1, 2), change)

    def _augmentation(self, rng: np.random.Generator | None) -> Augmentation:
        spare = SIDE_PX - self.crop
        if rng is None:
            return Augmentation(mirrored=False, angle_rad=0.0, top=spare // 2, left=spare // 2)
        mirrored = bool(rng.random() < self.flip_probability)
        angle_rad = math.radians(rng.uniform(-self.rotation_deg, self.rotation_deg))
        top, left = (int(offset) for offset in rng.integers(0, spare + 1, 2))
        if not self.jitter:
            return Augmentation(mirrored, angle_rad, top, left)
        return Augmentation(mirrored, angle_rad, top, left, jitter_factors(self.jitter, rng))

    def _shrink(self, pictures: NDArray[np.uint8], change: Augmentation) -> NDArray[np.uint8]:
        """Pictures (N, 256, 256[, C]) to (N, size, size[, C])."""
        if self.fidelity == "published":
            return np.stack(
                [_published(picture, change, self.crop, self.size) for picture in pictures]
            )
        # Enough samples per output pixel that neighbours are at most one input pixel apart.
        samples = math.ceil(self.crop / self.size)
        matrix = _window(change, self.crop, samples * self.size)
        fill = FILL[self.kind]
        small = np.stack(
            [_corrected(picture, matrix, samples, self.size, fill) for picture in pictures]
        )
        if change.factors != (1.0, 1.0, 1.0):
            small = np.stack([jittered(picture, change.factors) for picture in small])
        return small

    def _normalise(self, small: NDArray[np.uint8], change: Augmentation) -> NDArray[np.float32]:
        """Scale bytes (C, frames, size, size) to the values of the clip."""
        values = np.empty(small.shape, np.float32)
        mirrored_last = change.mirrored and self.fidelity == "corrected"
        np.multiply(small[..., ::-1] if mirrored_last else small, np.float32(2 / 255), out=values)
        if self.kind == "flow" and self.fidelity == "corrected":
            values -= np.float32(2 / 255 * FILL["flow"])
            values = rotated(values, change.angle_rad)
        else:
            # PUBLISHED: no movement, byte 128, becomes 0.004; vectors do not rotate.
            values -= 1
        if self.kind == "flow" and change.mirrored:
            np.negative(values[0], out=values[0])
        return values


def scaled_flow(pictures: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Bytes of flow that is `factor` times as fast, clipped to the bound; 128 is no movement."""
    if factor == 1:
        return pictures
    scaled = np.rint(FILL["flow"] + factor * (LEVELS.astype(np.float64) - FILL["flow"]))
    return np.asarray(np.clip(scaled, 0, 255).astype(np.uint8)[pictures], np.uint8)


def rotated(vectors: NDArray[np.float32], angle_rad: float) -> NDArray[np.float32]:
    """Rotate vectors (2, ...), x to the right and y down, clockwise."""
    if angle_rad == 0:
        return vectors
    cos, sin = np.float32(math.cos(angle_rad)), np.float32(math.sin(angle_rad))
    x, y = vectors
    return np.stack([cos * x - sin * y, sin * x + cos * y])


def jitter_factors(jitter: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw factors of brightness, contrast and saturation from 1 - jitter to 1 + jitter."""
    brightness, contrast, saturation = rng.uniform(1 - jitter, 1 + jitter, 3).tolist()
    return brightness, contrast, saturation


def jittered(picture: NDArray[np.uint8], factors: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Change brightness, contrast and saturation of a picture (H, W, 3), in this order.

    The factors scale the distance from black, from the mean grey, and from each pixel's grey.
    Values are clipped and truncated to integers after each step, as Pillow does.
    """
    brightness, contrast, saturation = factors
    black = np.zeros(1, np.uint8)
    picture = np.asarray(cv2.LUT(picture, _blended(LEVELS, black, brightness)), np.uint8)
    mean = np.array([int(_grey(picture).mean() + 0.5)], np.uint8)
    picture = np.asarray(cv2.LUT(picture, _blended(LEVELS, mean, contrast)), np.uint8)
    return _blended(picture, _grey(picture)[..., None], saturation)


def _blended(
    values: NDArray[np.uint8], origin: NDArray[np.uint8], factor: float
) -> NDArray[np.uint8]:
    """Bytes of origin + factor (values - origin)."""
    blended = np.subtract(values, origin, dtype=np.float32)
    blended *= np.float32(factor)
    blended += origin
    return np.clip(blended, 0, 255, out=blended).astype(np.uint8)


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _published(
    picture: NDArray[np.uint8], change: Augmentation, crop: int, size: int
) -> NDArray[np.uint8]:
    """Mirror, rotate, crop and shrink, in this order; (size, size[, C])."""
    changed: NDArray[np.uint8] = (
        np.asarray(cv2.flip(picture, 1), np.uint8) if change.mirrored else picture
    )
    if change.angle_rad:
        # PUBLISHED: the border is 0 whatever 0 means, and there is no interpolation.
        whole = Augmentation(mirrored=False, angle_rad=change.angle_rad, top=0, left=0)
        matrix = _window(whole, SIDE_PX, SIDE_PX)
        nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        changed = np.asarray(
            cv2.warpAffine(changed, matrix, (SIDE_PX, SIDE_PX), flags=nearest), np.uint8
        )
    changed = changed[change.top : change.top + crop, change.left : change.left + crop]
    return _resized_as_pillow(changed, size)


def _resized_as_pillow(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize a picture (H, W[, C]) to (size, size[, C]): bilinear with antialiasing."""
    planes = torch.from_numpy(np.atleast_3d(picture)).permute(2, 0, 1)[None]
    small = interpolate(planes, (size, size), mode="bilinear", antialias=True)
    return small[0].permute(1, 2, 0).numpy().reshape(size, size, *picture.shape[2:])


def _corrected(
    picture: NDArray[np.uint8], matrix: NDArray[np.float64], samples: int, size: int, fill: int
) -> NDArray[np.uint8]:
    """Sample the window of `matrix`: (size, size[, C]), each pixel a mean of samples x samples."""
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


def _window(change: Augmentation, side: int, pixels: int) -> NDArray[np.float64]:
    """Affine matrix (2, 3) from coordinates of pixels x pixels to coordinates of the picture.

    The pixels cover a square of `side` px with its corner at `top`, `left`. The square rotates
    counter-clockwise about its centre, so its content rotates clockwise.
    """
    scale = side / pixels
    cos, sin = scale * math.cos(change.angle_rad), scale * math.sin(change.angle_rad)
    linear = np.array([[cos, sin], [-sin, cos]])
    # The centre of pixel i is at i + 0.5.
    centre = np.array([change.left, change.top]) + side / 2 - 0.5
    offset = centre - linear @ np.full(2, (pixels - 1) / 2)
    return np.column_stack([linear, offset])
