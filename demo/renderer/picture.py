"""Colour pictures with light, shadows and anti-aliased silhouettes."""

import numpy as np
import numpy.typing as npt

from renderer.body import Array, Mesh, unit
from renderer.paint import Figure, albedo, is_skin, linear_to_srgb, vertex_normals
from renderer.scene import SIZE, Camera, Caster, Sight, look, pixel_box, pixel_grid
from renderer.signers import Signer

Picture = npt.NDArray[np.uint8]
_JUMP_M = 0.015  # a larger step in depth between neighbouring pixels is an outline


def _shade(
    sight: Sight, signer: Signer, mesh: Mesh, figure: Figure, normals: Array, caster: Caster,
    camera: Camera,
) -> Array:  # fmt: skip
    """Linear colours (N,3) of the visible surface points."""
    attributes = sight.hits.interpolate(figure.faces, figure.attributes)
    colour = albedo(attributes, mesh, signer.look)
    normal = unit(sight.hits.interpolate(figure.faces, normals))
    to_eye = unit(camera.centre - sight.points)
    facing = np.sum(normal * to_eye, axis=1, keepdims=True)
    normal = np.where(facing < 0, -normal, normal)
    light = unit(np.array(signer.view.light))
    lambert = normal @ light
    wrap = np.where(is_skin(attributes, signer.look), 0.25, 0.1)
    direct = np.clip((lambert + wrap) / (1 + wrap), 0, 1)
    lit = direct > 0
    shadow = np.ones(len(direct))
    starts = sight.points[lit] + normal[lit] * 4e-3
    blocked = caster.blocked(starts, np.broadcast_to(light, starts.shape))
    shadow[lit] = np.where(blocked, 0.45, 1.0)
    sky = 0.75 + 0.25 * normal[:, 2]
    rim = 0.85 + 0.15 * np.abs(facing[:, 0])
    tint = 1 + signer.view.warmth * np.array([0.06, 0.0, -0.08])
    strength = signer.view.ambient * sky * rim + signer.view.light_strength * direct * shadow
    half = unit(light + to_eye)
    gloss = np.clip(np.sum(normal * half, axis=1), 0, 1) ** 24 * shadow
    shaded: Array = colour * strength[:, None] * tint + 0.035 * gloss[:, None]
    return shaded


def _outline(depth: Array) -> npt.NDArray[np.bool_]:
    """Pixels (H,W) on an outline: the signer's silhouette or a jump in depth."""
    edge = np.zeros(depth.shape, dtype=np.bool_)
    for axis in (0, 1):
        jump = np.abs(np.diff(depth, axis=axis)) > _JUMP_M
        first = [slice(None), slice(None)]
        second = [slice(None), slice(None)]
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        edge[tuple(first)] |= jump
        edge[tuple(second)] |= jump
    return edge


def render(
    signer: Signer, mesh: Mesh, figure: Figure, camera: Camera, vertices: Array, wall: Array
) -> tuple[Picture, Array]:
    """Render one frame.

    Args:
        vertices: (V,3) dressed vertices; wall: (H,W,3) linear colours.

    Returns:
        picture (H,W,3) sRGB and metric depth (H,W), 0 outside the signer.
    """
    caster = Caster(vertices, figure.faces)
    normals = vertex_normals(vertices, figure.faces)
    sight = look(camera, caster, vertices, figure.faces, pixel_grid(pixel_box(camera, vertices)))
    colours = _shade(sight, signer, mesh, figure, normals, caster, camera)
    linear = wall.copy()
    x, y = sight.pixels.astype(int).T
    linear[y, x] = colours
    depth = np.zeros((SIZE, SIZE))
    depth[y, x] = sight.depth

    rows, columns = np.nonzero(_outline(depth))
    total = np.zeros((len(rows), 3))
    centres = np.stack([columns, rows], axis=1).astype(np.float64)
    index = np.full((SIZE, SIZE), -1)
    index[rows, columns] = np.arange(len(rows))
    for step in np.array([(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)]):
        part = wall[rows, columns].copy()
        sub = look(camera, caster, vertices, figure.faces, centres + step)
        at = np.rint(sub.pixels - step).astype(int)
        part[index[at[:, 1], at[:, 0]]] = _shade(sub, signer, mesh, figure, normals, caster, camera)
        total += part
    linear[rows, columns] = total / 4
    picture = np.rint(linear_to_srgb(linear)).astype(np.uint8)
    return picture, depth
