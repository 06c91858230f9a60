"""Surface normals of depth pictures: planes fitted to windows by least squares of 1/depth."""

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.arrays import Flags, Floats
from slr_pipeline.features.camera import Camera

PixelIndices = NDArray[np.intp]
"""(N,) pixels of a picture, flat."""


def normals_at(
    depth: Floats, valid: Flags, camera: Camera, radius: int, at: PixelIndices
) -> Floats:
    """Unit normals (3, N) at the flat pixels `at`, away from the camera; x right, y down, z ahead.

    Each is the normal n of the plane 1/z = n . (x, y, 1) through the valid pixels of the
    (2 radius + 1)^2 window of depth (H, W) in metres; NaN if these are fewer than a plane needs.
    Radius up to 50. The released code solves the same regression up to a factor, adj(A) b. Here it
    is solved in pixels from the window's centre, where its sums are small whole numbers, and then
    transformed to the rays (x, y, 1).
    """
    slope_u, slope_v, level = _fit_planes(depth, valid, radius, at)
    v, u = np.divmod(at, depth.shape[1])
    normal = np.stack([slope_u * camera.fx, slope_v * camera.fy, level])  # (3, N)
    normal[2] -= slope_u * (u + 1 - camera.cx) + slope_v * (v + 1 - camera.cy)
    # n . (x, y, 1) is the level: its sign decides at pixels with a depth, elsewhere that of n_z.
    return _unit(normal, np.where(depth.ravel()[at] > 0, level, normal[2]))


def published_normals_at(
    depth: Floats, valid: Flags, camera: Camera, radius: int, at: PixelIndices
) -> Floats:
    """Normals (3, N) as `normals_at`, with rounding noise for windows of a point or a line.

    PUBLISHED: the released code normalises what float64 leaves of a sum that is 0. This noise votes
    for gravity along a person's outline and turns it by some degrees; without it the height would
    be off by centimetres.
    """
    normal = normals_at(depth, valid, camera, radius, at)
    lost = np.flatnonzero(np.isnan(normal[0]))
    at = at[lost]
    noise = _adjugate_normals(camera, 100.0 * depth, valid, radius, at)
    v, u = np.divmod(at, depth.shape[1])
    x, y = (u + 1 - camera.cx) / camera.fx, (v + 1 - camera.cy) / camera.fy
    along_ray = noise[0] * x + noise[1] * y + noise[2]
    normal[:, lost] = _unit(noise, np.where(depth.ravel()[at] > 0, along_ray, noise[2]))
    return normal


def _unit(normal: Floats, side: Floats) -> Floats:
    """Unit vectors along (3, N), reversed where `side` (N,) is negative; NaN for length 0."""
    length = np.sqrt(np.einsum("cn,cn->n", normal, normal))
    with np.errstate(invalid="ignore"):
        turned: Floats = normal / np.where(side < 0, -length, length)
    return turned


def _fit_planes(
    depth: Floats, valid: Flags, radius: int, at: PixelIndices
) -> tuple[Floats, Floats, Floats]:
    """1/depth near the flat pixels `at`: slope along u, along v, and level at the pixel, (N,) each.

    The valid pixels of a (2 radius + 1)^2 window count. NaN if they are none, a point or a line.
    That is decided exactly: the determinant is of whole numbers, counted from the window's centre,
    which float32 holds up to radius 50.
    """
    inverse = np.zeros(depth.shape)
    np.divide(1.0, depth, out=inverse, where=valid)
    mean = inverse.sum() / max(int(valid.sum()), 1)  # subtracted for the precision of float32
    weight = valid.astype(np.float32)
    value = (inverse - mean) * valid
    n = _window_sum(weight, 0, 0, radius, at)
    su, sv = _window_sum(weight, 1, 0, radius, at), _window_sum(weight, 0, 1, radius, at)
    sw = _window_sum(value, 0, 0, radius, at)
    uu = n * _window_sum(weight, 2, 0, radius, at) - su * su  # n^2 times the covariance
    uv = n * _window_sum(weight, 1, 1, radius, at) - su * sv
    vv = n * _window_sum(weight, 0, 2, radius, at) - sv * sv
    uw = n * _window_sum(value, 1, 0, radius, at) - su * sw
    vw = n * _window_sum(value, 0, 1, radius, at) - sv * sw
    determinant = uu * vv - uv * uv
    determinant[determinant == 0] = np.nan
    slope_u = (vv * uw - uv * vw) / determinant
    slope_v = (uu * vw - uv * uw) / determinant
    n[n == 0] = np.nan
    return slope_u, slope_v, (sw - slope_u * su - slope_v * sv) / n + mean


def _window_sum(
    picture: NDArray[np.floating], power_u: int, power_v: int, radius: int, at: PixelIndices
) -> Floats:
    """Sum of picture * i^power_u * j^power_v over the window of each pixel of `at`, (N,).

    i and j run from -radius to radius; outside the picture everything is 0.
    """
    steps = np.arange(-radius, radius + 1, dtype=picture.dtype)
    summed = cv2.sepFilter2D(
        picture, -1, steps**power_u, steps**power_v, borderType=cv2.BORDER_CONSTANT
    )
    return summed.ravel()[at].astype(np.float64)


def _adjugate_normals(
    camera: Camera, z: Floats, valid: Flags, radius: int, at: PixelIndices
) -> Floats:
    """adj(A) b, (3, N), of the windows of the flat pixels `at`, as the released code computes it.

    A = sum p p^T and b = sum (X, Y, z)/z^2 over the valid pixels, p = (X, Y, z)/z with the points
    (X, Y, z) of depths z (H, W). For windows of few valid pixels, where only rounding remains: the
    order of the operations and of the sums (row by row) matters.
    """
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(valid, radius), (side, side))
    row, column = np.divmod(at, valid.shape[1])
    window, down, right = np.nonzero(windows[row, column])
    v, u = row[window] + down - radius, column[window] + right - radius

    def sums(values: Floats) -> Floats:
        return np.bincount(window, values, minlength=len(at)).astype(np.float64)

    z = z[v, u]
    X, Y = (u + 1 - camera.cx) * z / camera.fx, (v + 1 - camera.cy) * z / camera.fy
    x, y = X / z, Y / z
    a1, a2, a3, a4, a5, a6 = map(sums, (x * x, x * y, x, y * y, y, np.ones_like(x)))
    b1, b2, b3 = map(sums, (X / z**2, Y / z**2, 1 / z))
    xy, xz, yz = a3 * a5 - a2 * a6, a2 * a5 - a3 * a4, a2 * a3 - a1 * a5
    return np.stack(
        [
            (a4 * a6 - a5 * a5) * b1 + xy * b2 + xz * b3,
            xy * b1 + (a1 * a6 - a3 * a3) * b2 + yz * b3,
            xz * b1 + yz * b2 + (a1 * a4 - a2 * a2) * b3,
        ]
    )
