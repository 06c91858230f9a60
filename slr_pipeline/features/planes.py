"""Planes through the windows of a depth picture, by least squares of 1/depth."""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]


def fit_planes(
    depth: Floats, valid: Flags, radius: int, at: Indices
) -> tuple[Floats, Floats, Floats]:
    """1/depth near the flat pixels `at`: slope along u, along v, and level at the pixel, (N,) each.

    depth and valid (H, W); a window of (2 radius + 1)^2 counts its valid pixels. NaN where these
    are none, a point or a line; that is told exactly, since the determinant is of whole numbers
    counted from the window's middle (which float32 holds up to radius 50).
    """
    inverse = np.zeros(depth.shape)
    np.divide(1.0, depth, out=inverse, where=valid)
    mean = inverse.sum() / max(int(valid.sum()), 1)  # taken off for float32's sake
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
    picture: NDArray[np.floating], power_u: int, power_v: int, radius: int, at: Indices
) -> Floats:
    """Sum of picture * i^power_u * j^power_v over the window of each pixel of `at`, (N,).

    i and j run from -radius to radius; beyond the picture everything is 0.
    """
    steps = np.arange(-radius, radius + 1, dtype=picture.dtype)
    summed = cv2.sepFilter2D(
        picture, -1, steps**power_u, steps**power_v, borderType=cv2.BORDER_CONSTANT
    )
    return summed.ravel()[at].astype(np.float64)


def adjugate_normals(
    x: Floats, y: Floats, z: Floats, valid: Flags, radius: int, at: Indices
) -> Floats:
    """adj(A) b, (3, N), of the windows of the flat pixels `at`, as the released code writes it.

    A = sum p p^T and b = sum p/z over the valid pixels, p = (x, y, 1). x (W,) and y (H,) are ray
    coordinates, z (H, W) depths. For windows of few valid pixels, where rounding is all that
    remains; the order of the sums (row by row) is a part of it.
    """
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(valid, radius), (side, side))
    row, column = np.divmod(at, valid.shape[1])
    window, down, right = np.nonzero(windows[row, column])
    v, u = row[window] + down - radius, column[window] + right - radius

    def sums(values: Floats) -> Floats:
        return np.bincount(window, values, minlength=len(at)).astype(np.float64)

    x, y, z = x[u], y[v], z[v, u]
    a1, a2, a3, a4, a5, a6 = map(sums, (x * x, x * y, x, y * y, y, np.ones_like(x)))
    b1, b2, b3 = map(sums, (x / z, y / z, 1 / z))
    xy, xz, yz = a3 * a5 - a2 * a6, a2 * a5 - a3 * a4, a2 * a3 - a1 * a5
    return np.stack(
        [
            (a4 * a6 - a5 * a5) * b1 + xy * b2 + xz * b3,
            xy * b1 + (a1 * a6 - a3 * a3) * b2 + yz * b3,
            xz * b1 + yz * b2 + (a1 * a4 - a2 * a2) * b3,
        ]
    )
