"""Clips of pictures (signer crops, flow, HHA) as items of R(2+1)D; arrays in, arrays out.

Source: SAM-SLR (Jiang et al., CVPRW 2021, section 3.3) and its released code.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from slr_pipeline.data import frame_indices
from slr_pipeline.schema import NO_MOVEMENT, Change, Fidelity

Kind = Literal["color", "flow", "hha"]

SIDE_PX = 256
"""Side of the stored pictures."""

CROP_PX = 224
"""Side of the part of a picture that the model sees."""

FILL: dict[Kind, int] = {"color": 0, "flow": NO_MOVEMENT, "hha": 0}
"""Value of `corrected` beyond the border: black, no movement, no depth."""

LEVELS = np.arange(256, dtype=np.uint8)


class Pictures(Protocol):
    """Stored pictures by frame and number within it: an array, or decoded when they are read.

    The next one that is read may be in the same memory.
    """

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def __getitem__(self, place: tuple[int, int], /) -> NDArray[np.uint8]:
        """A picture."""
        ...


@dataclass(frozen=True)
class View:
    """The part of its pictures that an item shows: a crop at `top`, `left` of rotated pictures.

    The rotation is clockwise. `published` mirrors first; `corrected` leaves that to the device.
    """

    top: int
    left: int
    angle_rad: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True)
class ClipTransform:
    """Stored pictures of 256 x 256 bytes to smaller ones; `preparation.clips` makes the clip.

    The fields are settings of `R2plus1dSettings`, except:

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

    @property
    def halves(self) -> bool:
        """Whether pictures of half their size are enough."""
        return self.fidelity == "corrected" and shrinks_to_half(self.crop, self.size)

    @property
    def repeats_chroma(self) -> bool:
        """Whether pictures are read without interpolating their chroma."""
        return self.fidelity == "corrected" and shrinks_to_chroma(self.crop, self.size)

    def index(
        self, T: int, rng: np.random.Generator | None, view: int = 0, views: int = 1
    ) -> NDArray[np.int64]:
        """Indices of the clip's frames among T: a random window in training, else clip `view`."""
        if rng is None:
            return frame_indices.test_clip(T, self.frames, view, views, self.fidelity)
        return frame_indices.random_clip(T, self.frames, rng)

    def __call__(
        self,
        pictures: Pictures,
        rng: np.random.Generator | None,
        *,
        mirror: bool = False,
        speed: float = 1.0,
    ) -> tuple[NDArray[np.uint8], Change]:
        """Return pictures (T, size, size, 3), of `flow` (T, 2, size, size), and their change.

        `pictures` are (256, 256, 3) by frame and 0, of `flow` (256, 256) by frame and component,
        which is made `speed` times as fast. `corrected` also takes them at half their size. Without
        `rng` there is no augmentation, and `mirror` mirrors them.
        """
        view, change = self._augmentation(rng, mirror=mirror)
        flow = self.kind == "flow"
        places = (len(pictures), 2 if flow else 1)
        shape = (self.size, self.size) if flow else (self.size, self.size, 3)
        seen = np.empty((*places, *shape), np.uint8)
        for place in np.ndindex(places):
            picture = scaled_flow(pictures[place], speed) if flow else pictures[place]
            self._show(picture, view, seen[place])
        return seen if flow else seen[:, 0], change

    def _augmentation(
        self, rng: np.random.Generator | None, *, mirror: bool
    ) -> tuple[View, Change]:
        spare = SIDE_PX - self.crop
        if rng is None:
            mirrored = mirror and self.fidelity == "published"
            return View(spare // 2, spare // 2, mirrored=mirrored), Change(mirror)
        mirrored = bool(rng.random() < self.flip_probability)
        angle_rad = math.radians(rng.uniform(-self.rotation_deg, self.rotation_deg))
        top, left = (int(offset) for offset in rng.integers(0, spare + 1, 2))
        factors = jitter_factors(self.jitter, rng) if self.jitter else ()
        view = View(top, left, angle_rad, mirrored and self.fidelity == "published")
        return view, Change(mirrored, angle_rad, *factors)

    def _show(self, picture: NDArray[np.uint8], view: View, out: NDArray[np.uint8]) -> None:
        """Write the view of a picture to `out` (size, size[, 3])."""
        if self.fidelity == "published":
            out[:] = _published(picture, view, self.crop, self.size)
            return
        scale = picture.shape[0] / SIDE_PX
        samples = samples_along(scale * self.crop, self.size)
        matrix = _window(view, self.crop, samples * self.size, scale)
        _show_corrected(picture, matrix, samples, FILL[self.kind], out)


def shrinks_to_half(crop: int, size: int) -> bool:
    """Whether `crop` px of a picture become at most half as many, `size`.

    Such pictures are decoded at half their size: the decoder averages their pixels in less time.
    """
    return crop >= 2 * size


def shrinks_to_chroma(crop: int, size: int) -> bool:
    """Whether pictures shrink so far that their chroma, of half the size, need not be interpolated.

    That takes a tenth of the time of decoding.
    """
    return crop >= 1.5 * size


def samples_along(crop: float, size: int) -> int:
    """Samples along each side that a pixel averages, from `crop` px of a picture to `size` px.

    Interpolation sees every pixel up to a step of two. Beyond it, samples are at most one input
    pixel apart.
    """
    return 1 if crop < 2 * size else math.ceil(crop / size)


def scaled_flow(pictures: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Bytes of flow that is `factor` times as fast, clipped to the bound; 128 is no movement."""
    if factor == 1:
        return pictures
    scaled = np.rint(NO_MOVEMENT + factor * (LEVELS.astype(np.float64) - NO_MOVEMENT))
    return np.asarray(np.clip(scaled, 0, 255).astype(np.uint8)[pictures], np.uint8)


def jitter_factors(jitter: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw factors of brightness, contrast and saturation from 1 - jitter to 1 + jitter."""
    brightness, contrast, saturation = rng.uniform(1 - jitter, 1 + jitter, 3).tolist()
    return brightness, contrast, saturation


def _published(picture: NDArray[np.uint8], view: View, crop: int, size: int) -> NDArray[np.uint8]:
    """Mirror, rotate, crop and shrink, in this order; (size, size[, C])."""
    changed: NDArray[np.uint8] = (
        np.asarray(cv2.flip(picture, 1), np.uint8) if view.mirrored else picture
    )
    if view.angle_rad:
        # PUBLISHED: the border is 0 whatever 0 means, and there is no interpolation.
        whole = View(0, 0, view.angle_rad)
        matrix = _window(whole, SIDE_PX, SIDE_PX)
        nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        changed = np.asarray(
            cv2.warpAffine(changed, matrix, (SIDE_PX, SIDE_PX), flags=nearest), np.uint8
        )
    changed = changed[view.top : view.top + crop, view.left : view.left + crop]
    return _resized_as_pillow(changed, size)


def _resized_as_pillow(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize a picture (H, W[, C]) to (size, size[, C]): bilinear with antialiasing."""
    planes = torch.from_numpy(np.atleast_3d(picture)).permute(2, 0, 1)[None]
    small = interpolate(planes, (size, size), mode="bilinear", antialias=True)
    return small[0].permute(1, 2, 0).numpy().reshape(size, size, *picture.shape[2:])


def _show_corrected(
    picture: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    samples: int,
    fill: int,
    out: NDArray[np.uint8],
) -> None:
    """Write the window of `matrix` to `out`, each pixel a mean of samples x samples."""
    size = out.shape[0]
    large = cv2.warpAffine(
        picture,
        matrix,
        (samples * size, samples * size),
        dst=out if samples == 1 else None,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=(fill, fill, fill),
    )
    if samples > 1:
        cv2.resize(large, (size, size), dst=out, interpolation=cv2.INTER_AREA)


@lru_cache(maxsize=1)  # the pictures of a clip have one window
def _window(view: View, side: int, pixels: int, scale: float = 1.0) -> NDArray[np.float64]:
    """Affine matrix (2, 3) from coordinates of pixels x pixels to coordinates of the picture.

    The pixels cover a square of `side` px with its corner at `top`, `left`, in a picture of 256 px
    that is given at `scale`. The square rotates counter-clockwise about its centre, so its content
    rotates clockwise.
    """
    step = scale * side / pixels
    cos, sin = step * math.cos(view.angle_rad), step * math.sin(view.angle_rad)
    linear = np.array([[cos, sin], [-sin, cos]])
    # The centre of pixel i is at i + 0.5.
    centre = scale * (np.array([view.left, view.top]) + side / 2) - 0.5
    offset = centre - linear @ np.full(2, (pixels - 1) / 2)
    return np.column_stack([linear, offset])
