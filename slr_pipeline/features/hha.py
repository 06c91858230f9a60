"""HHA: disparity, height above the lowest point and angle with gravity, from depth pictures.

Source: Gupta et al., 2014, "Learning rich features from RGB-D images"; the steps are those of the
MATLAB code that SAM-SLR used (Jiang et al., 2021), with lengths in centimetres.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from slr_pipeline.features.arrays import Flags, Floats, Picture
from slr_pipeline.features.camera import NYU_CAMERA, Camera
from slr_pipeline.features.normals import PixelIndices, normals_at, published_normals_at

HeightRule = Literal["lowest", "floor"]
"""Where height is 0: `lowest` at the lowest point (SAM-SLR); `floor` there too, but 130 cm below
the camera if the lowest point is less than 90 cm below it (Gupta et al.)."""

ANGLE_RADIUS = 3  # windows of 7x7 for the angle channel
GRAVITY_RADIUS = 10  # windows of 21x21 for gravity
GRAVITY_STAGES = (45.0, 15.0)  # largest angle in degrees between gravity and a floor's normal
GRAVITY_ITERATIONS = 5  # in each stage
CLIP_SAMPLES = 16  # frames that give a clip's gravity and height 0
CLIP_STEP = 4  # use every fourth of their pixels
LOWEST_PERCENTILE = 1.0  # of a clip's heights: a stray pixel does not move height 0


def gravity(normal: Floats) -> Floats:
    """Unit vector (3,) of gravity from normals (3, N), ignoring NaN; (0, 1, 0) without normals.

    Gupta et al., 2013: walls are orthogonal to gravity, floors are not. The last estimate decides
    which is which, first within 45 degrees, then within 15.
    """
    normal = normal[:, np.isfinite(normal).all(axis=0)]
    g = np.array([0.0, 1.0, 0.0])
    votes = np.zeros(normal.shape[1], np.int8)
    scatter = np.zeros((3, 3))
    for degrees in GRAVITY_STAGES:
        least, most = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        for _ in range(GRAVITY_ITERATIONS):
            along = np.abs(g @ normal)
            new = (along < least).astype(np.int8) - (along > most).astype(np.int8)
            changed = np.flatnonzero(new != votes)
            if not len(changed) or not new.any():
                break  # the rest of the stage would repeat this g
            part = normal[:, changed]
            scatter += (part * (new - votes)[changed]) @ part.T
            votes = new
            g = _smallest_axis(scatter, g)
    return g


def _smallest_axis(scatter: Floats, g: Floats) -> Floats:
    """Unit eigenvector (3,) of the smallest eigenvalue, on the side of g.

    If several eigenvalues are equally small (one flat wall), the projection of g on their space.
    """
    values, vectors = np.linalg.eigh(scatter)
    equal = vectors[:, values - values[0] <= 1e-9 * np.abs(values).max()]
    if equal.shape[1] > 1 and np.linalg.norm(g @ equal) > 0.1:
        part: Floats = equal @ (g @ equal)
        return part / np.linalg.norm(part)
    smallest: Floats = vectors[:, 0]
    return smallest if smallest @ g >= 0 else -smallest


def heights(z: Floats, at: PixelIndices, width: int, camera: Camera, g: Floats) -> Floats:
    """Height above the camera in cm, (N,), of the flat pixels `at` at depth z cm.

    The released code rotates the points so that gravity is (0, 1, 0) and reads -y, which is
    -g . point. PUBLISHED: a g within 0.1 degrees of (0, 1, 0) is not rotated.
    """
    if np.degrees(np.arccos(np.clip(g[1], -1.0, 1.0))) <= 0.1:
        g = np.array([0.0, 1.0, 0.0])
    v, u = np.divmod(at, width)
    ray = (u + 1 - camera.cx) * (g[0] / camera.fx) + (v + 1 - camera.cy) * (g[1] / camera.fy)
    height: Floats = -z * (ray + g[2])
    return height


def zero_height(lowest: float, height_rule: HeightRule) -> float:
    """The height in cm above the camera that counts as 0."""
    return -130.0 if height_rule == "floor" and lowest > -90.0 else lowest


def to_bytes(z: Floats, height: Floats, normal: Floats, g: Floats) -> Picture:
    """Disparity, height and angle as bytes (N, 3), from z cm, height cm and normals (3, N).

    Halves round up as in MATLAB. PUBLISHED: without a normal the angle is 180 degrees.
    """
    angle = np.degrees(np.arccos(np.clip(g @ normal, -1.0, 1.0)))
    angle[np.isnan(angle)] = 180.0
    channels = np.stack([31000.0 / np.maximum(z, 100.0), height, angle + 38.0], axis=1)
    return np.clip(np.floor(channels + 0.5), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _View:
    """The part of a grey picture with its valid pixels, and a margin of one window."""

    depth: Floats  # (h, w) metres, 0 where missing
    valid: Flags  # (h, w)
    camera: Camera  # of this part
    at: PixelIndices  # (N,) the valid pixels, flat
    part: tuple[slice, slice]  # rows and columns in the whole picture

    def z(self) -> Floats:
        """Depth of the valid pixels in cm, (N,)."""
        return 100.0 * self.depth.ravel()[self.at]

    def heights(self, g: Floats) -> Floats:
        """Height of the valid pixels above the camera in cm, (N,)."""
        return heights(self.z(), self.at, self.depth.shape[1], self.camera, g)

    def normals(self, radius: int) -> Floats:
        """Normals (3, N) of the valid pixels."""
        return normals_at(self.depth, self.valid, self.camera, radius, self.at)

    def published_normals(self, radius: int, at: PixelIndices) -> Floats:
        """Normals (3, N) of the flat pixels `at`, with the released code's noise."""
        return published_normals_at(self.depth, self.valid, self.camera, radius, at)

    def picture(self, shape: tuple[int, int], lowest: float, g: Floats, normal: Floats) -> Picture:
        """HHA of the whole picture of this shape, 0 where no pixel is valid."""
        out = np.zeros((*shape, 3), np.uint8)
        out[self.part][self.valid] = to_bytes(self.z(), self.heights(g) - lowest, normal, g)
        return out


def is_empty(grey: Picture, *, grey_per_metre: float = 60.0, near_m: float = 0.0) -> bool:
    """Whether a grey picture shows nothing: one value everywhere, or no pixel beyond near_m."""
    top = int(grey.max(initial=0))
    return top == 0 or top < near_m * grey_per_metre or top == int(grey.min())


def _view(grey: Picture, camera: Camera, grey_per_metre: float, near_m: float) -> _View:
    """The view of a picture that is not empty; pixels that are 0 or nearer than near_m miss."""
    table = np.arange(256) / grey_per_metre
    table[table < near_m] = 0.0
    left, top, width, height = cv2.boundingRect((table > 0).astype(np.uint8)[grey])
    x0, y0 = max(left - GRAVITY_RADIUS, 0), max(top - GRAVITY_RADIUS, 0)
    part = np.s_[y0 : top + height + GRAVITY_RADIUS, x0 : left + width + GRAVITY_RADIUS]
    depth = table[grey[part]]
    valid = depth > 0
    return _View(depth, valid, camera.moved(x0, y0), np.flatnonzero(valid), part)


def hha(
    grey: Picture,
    camera: Camera = NYU_CAMERA,
    *,
    grey_per_metre: float = 60.0,
    height_rule: HeightRule = "lowest",
) -> Picture:
    """The published HHA (H, W, 3) uint8 of one depth picture (H, W) uint8, 0 where that is 0.

    Each frame has its own gravity and height 0. A frame that `is_empty` gives zeros.
    """
    if is_empty(grey):
        return np.zeros((*grey.shape, 3), np.uint8)
    view = _view(grey, camera, grey_per_metre, 0.0)
    # PUBLISHED: pixels without depth vote for gravity if their window has valid pixels.
    window = np.ones((2 * GRAVITY_RADIUS + 1, 2 * GRAVITY_RADIUS + 1), np.uint8)
    near = np.flatnonzero(cv2.dilate(view.valid.astype(np.uint8), window))
    g = gravity(view.published_normals(GRAVITY_RADIUS, near))
    lowest = float(view.heights(g).min())
    if len(view.at) < grey.size:
        lowest = min(lowest, 0.0)  # PUBLISHED: a missing pixel is at the camera's height
    normal = view.published_normals(ANGLE_RADIUS, view.at)
    return view.picture(grey.shape, zero_height(lowest, height_rule), g, normal)


def clip_hha(
    greys: Sequence[Picture] | Picture,
    camera: Camera,
    *,
    grey_per_metre: float = 60.0,
    near_m: float = 0.5,
    height_rule: HeightRule = "lowest",
) -> tuple[int, Iterator[Picture]]:
    """The corrected HHA of a clip: the number of empty frames, and its frames, made one by one.

    The clip has one gravity and one height 0, from at most 16 frames, so nothing flickers. Pixels
    nearer than near_m (ringing of the video codec beside the signer) are missing. `greys` are
    (T, H, W) uint8, the frames (H, W, 3) uint8 with 0 at missing pixels; see `is_empty`.
    """
    empty = [is_empty(g, grey_per_metre=grey_per_metre, near_m=near_m) for g in greys]
    full = np.flatnonzero(~np.array(empty, bool))
    chosen = full[np.linspace(0, len(full) - 1, min(len(full), CLIP_SAMPLES)).astype(int)]
    g, lowest = _clip_frame([_view(greys[t], camera, grey_per_metre, near_m) for t in chosen])
    zero = zero_height(lowest, height_rule)

    def frames() -> Iterator[Picture]:
        for grey, nothing in zip(greys, empty, strict=True):
            if nothing:
                yield np.zeros((*grey.shape, 3), np.uint8)
            else:
                view = _view(grey, camera, grey_per_metre, near_m)
                yield view.picture(grey.shape, zero, g, view.normals(ANGLE_RADIUS))

    return sum(empty), frames()


def _clip_frame(views: Sequence[_View]) -> tuple[Floats, float]:
    """Gravity (3,) and the lowest height in cm of these views, 0 without views."""
    views = [replace(view, at=view.at[::CLIP_STEP]) for view in views]
    normals = [view.normals(GRAVITY_RADIUS) for view in views]
    g = gravity(np.concatenate([np.zeros((3, 0)), *normals], axis=1))
    height = np.concatenate([np.zeros(0), *(view.heights(g) for view in views)])
    return g, float(np.percentile(height, LOWEST_PERCENTILE)) if len(height) else 0.0
