"""HHA: disparity, height above the lowest point and angle with gravity, from depth pictures.

Gupta et al., 2014, "Learning rich features from RGB-D images"; the steps are those of the MATLAB
code that SAM-SLR used (Jiang et al., 2021). Lengths inside are centimetres, as there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.planes import Flags, Floats, Indices, adjugate_normals, fit_planes

HeightRule = Literal["lowest", "floor"]
"""Where height is 0: `lowest` at the lowest point (SAM-SLR); `floor` there too, but 130 cm below
the camera if the lowest point is less than 90 cm below it (Gupta et al.)."""

Bytes = NDArray[np.uint8]

ANGLE_RADIUS = 3  # windows of 7x7 for the angle channel
GRAVITY_RADIUS = 10  # windows of 21x21 for gravity
GRAVITY_STAGES = (45.0, 15.0)  # degrees between a normal and gravity that still make a floor
GRAVITY_ITERATIONS = 5  # in each stage
CLIP_SAMPLES = 16  # frames from which a clip's gravity and height 0 are taken
CLIP_STEP = 4  # and of their pixels every fourth
LOWEST_PERCENTILE = 1.0  # of a clip's heights: one stray pixel does not move height 0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in pixels; the first pixel's centre is (u, v) = (1, 1).

    PUBLISHED: pixels are counted from 1 with the principal point of NYU as it is, in both
    fidelities. A calibration whose first pixel is 0 has cx and cy less by one than here.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def moved(self, left: float, top: float) -> "Camera":
        """The camera of a picture of which `left` columns and `top` rows were cut off."""
        return Camera(self.fx, self.fy, self.cx - left, self.cy - top)

    def cropped(self, box: tuple[int, int, int, int], size: int) -> "Camera":
        """The camera of a square crop of `size` x `size` pixels.

        The box (x0, y0, x1, y1), x1 and y1 excluded, is padded to a square with floor(diff/2)
        pixels on its left or top, and resized so that its edges stay its edges.
        """
        x0, y0, x1, y1 = box
        width, height = x1 - x0, y1 - y0
        side = max(width, height)
        square = self.moved(x0 - (side - width) // 2, y0 - (side - height) // 2)
        scale = size / side  # of u - 0.5, which is 0 at the picture's edge
        return Camera(
            square.fx * scale,
            square.fy * scale,
            (square.cx - 0.5) * scale + 0.5,
            (square.cy - 0.5) * scale + 0.5,
        )


NYU_CAMERA = Camera(fx=518.8579011745, fy=519.4696111213, cx=325.5824494112, cy=253.7361663340)
"""NYU's colour camera at 640x480. PUBLISHED: SAM-SLR takes it as it is for 512x512."""


def assumed_camera(width: int, height: int) -> Camera:
    """A camera for pictures of `width` x `height` pixels of which nothing is known.

    ASSUME: f is the longer side and the axis meets the middle. Kinect v2's colour camera has
    f = 1081 px for 1080 rows, so that a square of its full height has f close to its side.
    """
    longer = float(max(width, height))
    return Camera(longer, longer, (width + 1) / 2, (height + 1) / 2)


def normals(
    depth_m: NDArray[np.floating], missing: Flags, camera: Camera, radius: int
) -> NDArray[np.float32]:
    """Unit normals (H, W, 3) that point away from the camera; x right, y down, z forward.

    depth_m (H, W) metres, missing (H, W). Each is that of the plane through the valid pixels of
    the (2 radius + 1)^2 window. NaN where these are none, a point or a line: no plane is given
    there (the published code yields rounding noise for points and lines). Radius to 50.
    """
    at = np.arange(depth_m.size)
    depth = depth_m.astype(np.float64)
    found = _normals_at(depth, ~missing & (depth > 0), camera, radius, at)
    return np.ascontiguousarray(found.T, np.float32).reshape(*depth_m.shape, 3)


def _normals_at(depth: Floats, valid: Flags, camera: Camera, radius: int, at: Indices) -> Floats:
    """Normals (3, N) at the flat pixels `at`: the direction of n in 1/z = n . (x, y, 1).

    The released code solves this regression up to a factor, adj(A) b. Here it is fitted in pixels
    from the middle of each window, where its sums are small whole numbers, and taken to the rays
    (x, y, 1) afterwards.
    """
    slope_u, slope_v, level = fit_planes(depth, valid, radius, at)
    v, u = np.divmod(at, depth.shape[1])
    normal = np.stack([slope_u * camera.fx, slope_v * camera.fy, level])  # (3, N)
    normal[2] -= slope_u * (u + 1 - camera.cx) + slope_v * (v + 1 - camera.cy)
    # n . (x, y, 1) is the level: its sign decides where the pixel has a depth, else that of n_z
    return _unit(normal, np.where(depth.ravel()[at] > 0, level, normal[2]))


def _unit(normal: Floats, side: Floats) -> Floats:
    """Unit vectors along (3, N), turned round where `side` (N,) is negative; NaN from 0."""
    length = np.sqrt(np.einsum("cn,cn->n", normal, normal))
    with np.errstate(invalid="ignore"):
        turned: Floats = normal / np.where(side < 0, -length, length)
    return turned


def _published_normals_at(
    depth: Floats, valid: Flags, camera: Camera, radius: int, at: Indices
) -> Floats:
    """Normals (3, N) as `_normals_at`, and rounding noise for windows of a point or a line.

    PUBLISHED: the released code makes unit vectors of what float64 leaves of a sum that is 0.
    They vote for gravity along a person's whole outline and turn it by some degrees; without
    them the height would be off by centimetres.
    """
    normal = _normals_at(depth, valid, camera, radius, at)
    lost = np.flatnonzero(np.isnan(normal[0]))
    at = at[lost]
    x = (np.arange(1, depth.shape[1] + 1) - camera.cx) / camera.fx
    y = (np.arange(1, depth.shape[0] + 1) - camera.cy) / camera.fy
    noise = adjugate_normals(x, y, 100.0 * depth, valid, radius, at)
    v, u = np.divmod(at, depth.shape[1])
    along_ray = noise[0] * x[u] + noise[1] * y[v] + noise[2]
    normal[:, lost] = _unit(noise, np.where(depth.ravel()[at] > 0, along_ray, noise[2]))
    return normal


def gravity(normal: NDArray[np.floating]) -> Floats:
    """Unit vector (3,) of gravity from normals (..., 3), NaN ones left out; (0, 1, 0) from none.

    Gupta et al., 2013: walls are orthogonal to gravity, floors are not; what is one or the other
    follows from the last estimate, first within 45 degrees, then within 15.
    """
    rows = normal.reshape(-1, 3)
    return _gravity(np.ascontiguousarray(rows.T, np.float64))


def _gravity(normal: Floats) -> Floats:
    """Gravity (3,) of normals (3, N)."""
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
                break  # g would stay as it is: the rest of the stage is the same again
            part = normal[:, changed]
            scatter += (part * (new - votes)[changed]) @ part.T
            votes = new
            g = _smallest_axis(scatter, g)
    return g


def _smallest_axis(scatter: Floats, g: Floats) -> Floats:
    """Unit eigenvector (3,) of the smallest eigenvalue, on the side of g.

    If several are equally small (one flat wall leaves gravity a plane) it is what they hold of g.
    """
    values, vectors = np.linalg.eigh(scatter)
    equal = vectors[:, values - values[0] <= 1e-9 * np.abs(values).max()]
    if equal.shape[1] > 1 and np.linalg.norm(g @ equal) > 0.1:
        part: Floats = equal @ (g @ equal)
        return part / np.linalg.norm(part)
    smallest: Floats = vectors[:, 0]
    return smallest if smallest @ g >= 0 else -smallest


def _heights(z: Floats, at: Indices, width: int, camera: Camera, g: Floats) -> Floats:
    """Height above the camera in cm, (N,), of the flat pixels `at` at depth z cm.

    Turning the points by the inverse of the rotation that takes (0, 1, 0) to g and reading -y is
    -g . point. PUBLISHED: there is no rotation to a g within 0.1 degrees of (0, 1, 0).
    """
    if np.degrees(np.arccos(np.clip(g[1], -1.0, 1.0))) <= 0.1:
        g = np.array([0.0, 1.0, 0.0])
    v, u = np.divmod(at, width)
    ray = (u + 1 - camera.cx) * (g[0] / camera.fx) + (v + 1 - camera.cy) * (g[1] / camera.fy)
    height: Floats = -z * (ray + g[2])
    return height


def _zero_height(lowest: float, height_rule: HeightRule) -> float:
    """The height that counts as 0."""
    return -130.0 if height_rule == "floor" and lowest > -90.0 else lowest


def _to_bytes(z: Floats, height: Floats, normal: Floats, g: Floats) -> Bytes:
    """Disparity, height and angle as bytes (N, 3), from z cm, height cm and normals (3, N).

    Halves go up as in MATLAB. Where there is no normal the angle is 180 degrees, as published.
    """
    angle = np.degrees(np.arccos(np.clip(g @ normal, -1.0, 1.0)))
    angle[np.isnan(angle)] = 180.0
    channels = np.stack([31000.0 / np.maximum(z, 100.0), height, angle + 38.0], axis=1)
    return np.clip(np.floor(channels + 0.5), 0, 255).astype(np.uint8)


def metric_hha(
    depth_m: NDArray[np.floating], missing: Flags, camera: Camera, height_rule: HeightRule
) -> Bytes:
    """HHA (H, W, 3) uint8 of depth (H, W) in metres, finite and not negative.

    Missing pixels (H, W) only take no part in normals; nothing is masked in the answer.
    """
    depth, at = depth_m.astype(np.float64), np.arange(depth_m.size)
    valid = ~missing & (depth > 0)
    g = _gravity(_published_normals_at(depth, valid, camera, GRAVITY_RADIUS, at))
    z = 100.0 * depth.ravel()
    height = _heights(z, at, depth.shape[1], camera, g)
    height -= _zero_height(float(height.min()), height_rule)
    normal = _published_normals_at(depth, valid, camera, ANGLE_RADIUS, at)
    return _to_bytes(z, height, normal, g).reshape(*depth.shape, 3)


@dataclass(frozen=True)
class _View:
    """The part of a grey picture that holds its valid pixels, and a margin of a window."""

    depth: Floats  # (h, w) metres, 0 where missing
    valid: Flags  # (h, w)
    camera: Camera  # of this part
    at: Indices  # (N,) the valid pixels, flat
    part: tuple[slice, slice]  # rows and columns in the whole picture

    def z(self) -> Floats:
        """Depth of the valid pixels in cm, (N,)."""
        return 100.0 * self.depth.ravel()[self.at]

    def heights(self, g: Floats) -> Floats:
        """Height of the valid pixels above the camera in cm, (N,)."""
        return _heights(self.z(), self.at, self.depth.shape[1], self.camera, g)

    def normals(self, radius: int) -> Floats:
        """Normals (3, N) of the valid pixels."""
        return _normals_at(self.depth, self.valid, self.camera, radius, self.at)

    def published_normals(self, radius: int, at: Indices) -> Floats:
        """Normals (3, N) of the flat pixels `at`, with the released code's noise."""
        return _published_normals_at(self.depth, self.valid, self.camera, radius, at)

    def picture(self, shape: tuple[int, int], lowest: float, g: Floats, normal: Floats) -> Bytes:
        """HHA of the whole picture of this shape, 0 where no pixel is valid."""
        out = np.zeros((*shape, 3), np.uint8)
        out[self.part][self.valid] = _to_bytes(self.z(), self.heights(g) - lowest, normal, g)
        return out


def is_empty(grey: Bytes, *, grey_per_metre: float = 60.0, near_m: float = 0.0) -> bool:
    """Whether a grey picture shows nothing: one value everywhere, or no pixel beyond near_m."""
    top = int(grey.max(initial=0))
    return top == 0 or top < near_m * grey_per_metre or top == int(grey.min())


def _view(grey: Bytes, camera: Camera, grey_per_metre: float, near_m: float) -> _View:
    """The view of a picture that is not empty; what is nearer than near_m or 0 is missing."""
    table = np.arange(256) / grey_per_metre
    table[table < near_m] = 0.0
    left, top, width, height = cv2.boundingRect((table > 0).astype(np.uint8)[grey])
    x0, y0 = max(left - GRAVITY_RADIUS, 0), max(top - GRAVITY_RADIUS, 0)
    part = np.s_[y0 : top + height + GRAVITY_RADIUS, x0 : left + width + GRAVITY_RADIUS]
    depth = table[grey[part]]
    valid = depth > 0
    return _View(depth, valid, camera.moved(x0, y0), np.flatnonzero(valid), part)


def hha(
    grey: Bytes,
    camera: Camera = NYU_CAMERA,
    *,
    grey_per_metre: float = 60.0,
    height_rule: HeightRule = "lowest",
) -> Bytes:
    """The published HHA (H, W, 3) uint8 of one depth picture (H, W) uint8, 0 where that is 0.

    Gravity and height 0 are the frame's own. All 0 for a frame that `is_empty`.
    """
    if is_empty(grey):
        return np.zeros((*grey.shape, 3), np.uint8)
    view = _view(grey, camera, grey_per_metre, 0.0)
    # PUBLISHED: pixels without depth vote for gravity where their window has some
    window = np.ones((2 * GRAVITY_RADIUS + 1, 2 * GRAVITY_RADIUS + 1), np.uint8)
    near = np.flatnonzero(cv2.dilate(view.valid.astype(np.uint8), window))
    g = _gravity(view.published_normals(GRAVITY_RADIUS, near))
    lowest = float(view.heights(g).min())
    if len(view.at) < grey.size:
        lowest = min(lowest, 0.0)  # PUBLISHED: a missing pixel lies at the camera's height
    normal = view.published_normals(ANGLE_RADIUS, view.at)
    return view.picture(grey.shape, _zero_height(lowest, height_rule), g, normal)


def clip_hha(
    greys: Sequence[Bytes] | Bytes,
    camera: Camera,
    *,
    grey_per_metre: float = 60.0,
    near_m: float = 0.5,
    height_rule: HeightRule = "lowest",
) -> tuple[int, Iterator[Bytes]]:
    """The corrected HHA of a clip: the number of empty frames, and its frames (H, W, 3) uint8.

    greys (T, H, W) uint8. Gravity and height 0 are one for the clip, from at most 16 frames, so
    that nothing flickers; pixels nearer than near_m (ringing of the video codec beside the
    signer) are missing and 0. An empty frame (see `is_empty`) is all 0. Frames come one by one.
    """
    empty = [is_empty(g, grey_per_metre=grey_per_metre, near_m=near_m) for g in greys]
    full = np.flatnonzero(~np.array(empty, bool))
    chosen = full[np.linspace(0, len(full) - 1, min(len(full), CLIP_SAMPLES)).astype(int)]
    g, lowest = _clip_frame([_view(greys[t], camera, grey_per_metre, near_m) for t in chosen])
    zero = _zero_height(lowest, height_rule)

    def frames() -> Iterator[Bytes]:
        for grey, nothing in zip(greys, empty, strict=True):
            if nothing:
                yield np.zeros((*grey.shape, 3), np.uint8)
            else:
                view = _view(grey, camera, grey_per_metre, near_m)
                yield view.picture(grey.shape, zero, g, view.normals(ANGLE_RADIUS))

    return sum(empty), frames()


def _clip_frame(views: Sequence[_View]) -> tuple[Floats, float]:
    """Gravity (3,) and the lowest height in cm of these views; heights of none are 0."""
    views = [replace(view, at=view.at[::CLIP_STEP]) for view in views]
    found = [view.normals(GRAVITY_RADIUS) for view in views]
    g = _gravity(np.concatenate([np.zeros((3, 0)), *found], axis=1))
    heights = np.concatenate([np.zeros(0), *(view.heights(g) for view in views)])
    return g, float(np.percentile(heights, LOWEST_PERCENTILE)) if len(heights) else 0.0
