"""Camera and ray casting: the surface that each pixel shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from renderer.body import Array, IntArray, RestBody, unit
from renderer.signers import View

SIZE = 512  # pixels, height and width of the picture
_HEADROOM_M = 0.13


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion. Whole pixel coordinates are pixel centres.

    `rotation`: (3,3) world to camera (x right, y down, z forward); `centre`: (3,) metres.
    """

    focal_px: float
    principal_px: float  # in x and in y
    rotation: Array
    centre: Array

    def project(self, points: Array) -> Array:
        """World points (...,3) to (...,3): x and y in pixels, camera z in metres."""
        local = (points - self.centre) @ self.rotation.T
        z = local[..., 2:]
        pixels = local[..., :2] / z * self.focal_px + self.principal_px
        return np.concatenate([pixels, z], axis=-1)

    def rays(self, pixels: Array) -> Array:
        """Directions (N,3), of camera z 1, through pixels (N,2)."""
        plane = (pixels - self.principal_px) / self.focal_px
        directions: Array = np.concatenate([plane, np.ones((len(plane), 1))], 1) @ self.rotation
        return directions


def place_camera(view: View, body: RestBody) -> Camera:
    """The signer's camera: upper body centred, with room above the head."""
    top = body.vertices[:, 2].max()
    target = np.array([0.0, 0.0, top + _HEADROOM_M - view.picture_height_m / 2])
    yaw, pitch = np.radians(view.yaw), np.radians(view.pitch)
    back = np.array([np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    right = unit(np.cross(-back, [0.0, 0.0, 1.0]))
    down = np.cross(-back, right)
    return Camera(
        focal_px=SIZE * view.distance_m / view.picture_height_m,
        principal_px=(SIZE - 1) / 2,
        rotation=np.stack([right, down, -back]),
        centre=target + view.distance_m * back,
    )


@dataclass(frozen=True)
class Hits:
    """First surface on each of N rays. `face` is -1 if there is none."""

    face: IntArray  # (N,)
    weights: Array  # (N,3) barycentric weights of the face's vertices

    def interpolate(self, faces: IntArray, values: Array) -> Array:
        """Per-vertex values (V,C) at the hits; only for rays that hit."""
        result: Array = np.einsum("nk,nkc->nc", self.weights, values[faces[self.face]])
        return result


class Caster:
    """Ray casting onto one posed mesh: vertices (V,3) metres, faces (F,3)."""

    def __init__(self, vertices: Array, faces: IntArray) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._scene: Any = EmbreeScene()
        # embree keeps no reference to the mesh: this object does
        self._mesh = TriangleMesh(
            self._scene,
            np.ascontiguousarray(vertices, dtype=np.float32),
            np.ascontiguousarray(faces, dtype=np.int32),
        )

    def cast(self, origins: Array, directions: Array) -> Hits:
        """First hits of rays (N,3)."""
        hits = self._scene.run(
            np.ascontiguousarray(origins, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            output=True,
        )
        u, v = hits["u"].astype(np.float64), hits["v"].astype(np.float64)
        return Hits(hits["primID"].astype(np.int64), np.stack([1 - u - v, u, v], axis=1))

    def blocked(self, origins: Array, directions: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether rays (N,3) hit anything."""
        return self.cast(origins, directions).face >= 0


def pixel_box(camera: Camera, vertices: Array) -> tuple[int, int, int, int]:
    """Rows and columns (top, bottom, left, right; ends excluded) that may show the vertices."""
    x, y = camera.project(vertices)[:, :2].T
    left, right = int(np.floor(x.min())) - 1, int(np.ceil(x.max())) + 2
    top, bottom = int(np.floor(y.min())) - 1, int(np.ceil(y.max())) + 2
    return max(top, 0), min(bottom, SIZE), max(left, 0), min(right, SIZE)


@dataclass(frozen=True)
class Sight:
    """The pixels (N,2), x then y, that show the signer, and their hits."""

    pixels: Array
    hits: Hits
    points: Array  # (N,3) surface points, metres
    depth: Array  # (N,) camera z, metres


def look(camera: Camera, caster: Caster, vertices: Array, faces: IntArray, pixels: Array) -> Sight:
    """The surface at `pixels` (M,2), without pixels that show no surface."""
    directions = camera.rays(pixels)
    hits = caster.cast(np.broadcast_to(camera.centre, directions.shape), directions)
    seen = hits.face >= 0
    hits = Hits(hits.face[seen], hits.weights[seen])
    points = hits.interpolate(faces, vertices)
    return Sight(pixels[seen], hits, points, camera.project(points)[:, 2])


def pixel_grid(box: tuple[int, int, int, int]) -> Array:
    """Pixel centres (N,2), x then y, of a box of rows and columns."""
    top, bottom, left, right = box
    y, x = np.mgrid[top:bottom, left:right]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
