"""HHA step by step in float64: the reference of the tests and of benchmarks/hha.py.

Simple rather than fast; it shares no code with slr_pipeline.features.hha.
"""

import numpy as np
from scipy.signal import convolve2d

FX, FY, CX, CY = 518.8579011745, 519.4696111213, 325.5824494112, 253.7361663340
NYU = (FX, FY, CX, CY)


def pixel_coordinates(shape):
    """1-based u = 1..W and v = 1..H, both (H, W)."""
    v, u = np.mgrid[1 : shape[0] + 1, 1 : shape[1] + 1].astype(float)
    return u, v


def normals(depth_m, missing, camera, radius):
    """Step 2: (H, W, 3) unit normals; NaN where the window has no valid pixel."""
    fx, fy, cx, cy = camera
    u, v = pixel_coordinates(depth_m.shape)
    z = 100.0 * depth_m.astype(float)
    point = np.stack([(u - cx) * z / fx, (v - cy) * z / fy, z], axis=-1)
    z = np.where(missing, np.nan, z)
    x, y = point[..., 0] / z, point[..., 1] / z
    height, width = depth_m.shape

    def box_sum(values):
        padded = np.pad(np.where(missing, 0.0, values), radius)
        total = np.zeros((height, width))
        for j in range(2 * radius + 1):
            for i in range(2 * radius + 1):
                total += padded[j : j + height, i : i + width]
        return total

    a1, a2, a3, a4, a5, a6 = map(box_sum, (x * x, x * y, x, y * y, y, np.ones_like(x)))
    b1, b2, b3 = map(box_sum, (point[..., 0] / z**2, point[..., 1] / z**2, 1 / z))
    normal = np.stack(
        [
            (a4 * a6 - a5 * a5) * b1 + (a3 * a5 - a2 * a6) * b2 + (a2 * a5 - a3 * a4) * b3,
            (a3 * a5 - a2 * a6) * b1 + (a1 * a6 - a3 * a3) * b2 + (a2 * a3 - a1 * a5) * b3,
            (a2 * a5 - a3 * a4) * b1 + (a2 * a3 - a1 * a5) * b2 + (a1 * a4 - a2 * a2) * b3,
        ],
        axis=-1,
    )
    with np.errstate(invalid="ignore"):
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    normal[np.round(a6) == 0] = np.nan
    normal *= sign(normal[..., 2])[..., None]
    return normal * sign((normal * point).sum(axis=-1))[..., None]


def degenerate(missing, radius):
    """(H, W) bool: the valid pixels of the window are one point or one line, computed exactly.

    The adjugate times b is 0 there except for rounding, so the reference's normal is noise.
    """
    u, v = (c.astype(int) for c in pixel_coordinates(missing.shape))
    window = np.ones((2 * radius + 1, 2 * radius + 1), int)
    n, su, sv, suu, suv, svv = (
        convolve2d(np.where(missing, 0, c), window, mode="same")
        for c in (np.ones_like(u), u, v, u * u, u * v, v * v)
    )
    uu, uv, vv = n * suu - su * su, n * suv - su * sv, n * svv - sv * sv
    return (n > 0) & (uu * vv == uv * uv)


def sign(values):
    """-1 or 1; 0 and NaN give 1."""
    return np.where(values < 0, -1.0, 1.0)


def gravity(normal):
    """Step 3: the unit vector most orthogonal to walls and most parallel to floors' normals."""
    normal = normal[np.isfinite(normal).all(axis=-1)]
    g = np.array([0.0, 1.0, 0.0])
    for threshold in (45.0, 15.0):
        for _ in range(5):
            along = np.abs(normal @ g)
            floor = normal[along > np.cos(np.radians(threshold))]
            wall = normal[along < np.sin(np.radians(threshold))]
            if len(floor) + len(wall) == 0:
                continue
            _, vectors = np.linalg.eigh(wall.T @ wall - floor.T @ floor)
            smallest = vectors[:, 0]
            g = smallest if smallest @ g >= 0 else -smallest
    return g


def rotation_to(g):
    """Step 4: Rodrigues' rotation that takes (0, 1, 0) to g."""
    down = np.array([0.0, 1.0, 0.0])
    angle = np.arccos(np.clip(down @ g, -1, 1))
    if np.degrees(angle) <= 0.1:
        return np.eye(3)
    k = np.cross(down, g) / np.linalg.norm(np.cross(down, g))
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def metric_hha(depth_m, missing, camera, height_rule):
    """Steps 1 to 6: (H, W, 3) uint8 of disparity, height, angle."""
    fx, fy, cx, cy = camera
    u, v = pixel_coordinates(depth_m.shape)
    z = 100.0 * depth_m.astype(float)
    point = np.stack([(u - cx) * z / fx, (v - cy) * z / fy, z], axis=-1)
    g = gravity(normals(depth_m, missing, camera, 10))
    height = -(point @ rotation_to(g))[..., 1]  # rows of point @ R are R^T p
    lowest = height.min()
    if height_rule == "floor" and lowest > -90:
        lowest = -130.0
    cosine = np.clip(normals(depth_m, missing, camera, 3) @ g, -1, 1)
    angle = np.nan_to_num(np.degrees(np.arccos(cosine)), nan=180.0)
    channels = np.stack([31000 / np.maximum(z, 100), height - lowest, angle + 38], axis=-1)
    return to_bytes(channels)


def to_bytes(values):
    """Round halves away from zero, as MATLAB does, and clip to 0..255."""
    rounded = np.sign(values) * np.floor(np.abs(values) + 0.5)
    return np.clip(rounded, 0, 255).astype(np.uint8)


def hha(grey, camera=NYU, grey_per_metre=60.0, height_rule="lowest"):
    """The published picture of one grey frame: (H, W, 3) uint8, 0 where grey is 0."""
    if grey.min() == grey.max():
        return np.zeros((*grey.shape, 3), np.uint8)
    out = metric_hha(grey / grey_per_metre, grey == 0, camera, height_rule)
    out[grey == 0] = 0
    return out
