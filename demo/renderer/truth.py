"""Ground truth of a clip: 133 COCO-WholeBody keypoints with visibility, depth, and optical flow."""

import numpy as np
import numpy.typing as npt

from renderer.body import Array, IntArray, Mesh, RestBody
from renderer.scene import SIZE, Camera, Caster, look, pixel_box, pixel_grid

FACE_68: tuple[int, ...] = (
    5749, 5219, 5736, 5225, 737, 3681, 923, 786, 787, 7487, 7609, 10333, 7441, 11818, 12317, 11812,
    12330, 255, 225, 204, 205, 209, 6968, 6964, 6963, 6983, 7008, 132, 135, 164, 5038, 344, 313,
    317, 7060, 7089, 5111, 0, 54, 69, 4847, 6760, 6837, 6822, 6768, 11710, 13340, 11449, 407, 505,
    460, 466, 7203, 7238, 7151, 7216, 7229, 496, 490, 477, 414, 462, 468, 7205, 7158, 7263, 523,
    534,
)  # fmt: skip
"""Mesh vertices of the iBUG-68 points: jaw from the signer's right ear, brows, nose, eyes, lips."""

FINGER_BONES: tuple[str, ...] = tuple(f"finger{f}-{k}" for f in range(1, 6) for k in (1, 2, 3))

# Depth of a joint behind its own surface, metres: about the radius of the body there. A joint that
# is only hidden by its own flesh counts as visible.
_DEPTH_M = np.concatenate(
    [
        [0.03, 0.03, 0.03, 0.06, 0.06, 0.11, 0.11, 0.10, 0.10, 0.06, 0.06, 0.17, 0.17],
        [0.10] * 4,
        [0.06] * 6,
        [0.012] * 68,
        ([0.045] + [0.032, 0.03, 0.022, 0.022] + [0.032, 0.022, 0.022, 0.022] * 4) * 2,
    ]
)


def keypoints_world(body: RestBody, mesh: Mesh, vertices: Array, heads: Array) -> Array:
    """Keypoints (T,133,3) in world metres.

    Body and feet come from anny's COCO regressors, face from fixed vertices, hands from the
    finger bones and the vertices around the finger tips.

    Args:
        vertices: (T,V,3) of the body without clothes; heads: (T,J,3) of the bones.
    """
    parts = [np.einsum("kv,tvc->tkc", mesh.regressor, vertices), vertices[:, list(FACE_68)]]
    for side in range(2):
        s = "LR"[side]
        joints = heads[:, [body.bone(f"{name}.{s}") for name in FINGER_BONES]]  # (T,15,3)
        tips = [vertices[:, t].mean(1) for t in mesh.tip_vertices[5 * side : 5 * side + 5]]
        hand = np.concatenate(
            [joints.reshape(-1, 5, 3, 3), np.stack(tips, axis=1)[:, :, None]], axis=2
        )  # (T,5,4,3)
        parts.append(heads[:, [body.bone(f"wrist.{s}")]])
        parts.append(hand.reshape(-1, 20, 3))
    return np.concatenate(parts, axis=1)


def visible(
    camera: Camera, caster: Caster, vertices: Array, faces: IntArray, points: Array
) -> npt.NDArray[np.bool_]:
    """Whether the points (133,3) of a frame are in the picture and not hidden.

    A point is hidden if the first surface on its ray is nearer by more than the radius of the body.
    """
    projected = camera.project(points)
    inside = np.all((projected[:, :2] > -0.5) & (projected[:, :2] < SIZE - 0.5), axis=1)
    directions = points - camera.centre
    hits = caster.cast(np.broadcast_to(camera.centre, directions.shape), directions)
    first = np.full(len(points), np.inf)
    hit = hits.face >= 0
    surface = np.einsum("nk,nkc->nc", hits.weights[hit], vertices[faces[hits.face[hit]]])
    first[hit] = camera.project(surface)[:, 2]
    result: npt.NDArray[np.bool_] = inside & (first > projected[:, 2] - _DEPTH_M)
    return result


def depth_map(camera: Camera, vertices: Array, faces: IntArray) -> Array:
    """Camera z (H,W) in metres of the surface at each pixel's centre; 0 without surface."""
    sight = look(
        camera, Caster(vertices, faces), vertices, faces, pixel_grid(pixel_box(camera, vertices))
    )
    depth = np.zeros((SIZE, SIZE))
    x, y = sight.pixels.astype(int).T
    depth[y, x] = sight.depth
    return depth


def optical_flow(
    camera: Camera, before: Array, after: Array, faces: IntArray
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Movement of the surface at each pixel from one frame to the next.

    Args:
        before, after: (V,3) vertices of frames t-1 and t.

    Returns:
        flow (H,W,2) float32 pixels, x then y, on the grid of frame t-1; valid (H,W): the surface
        point is visible in both frames. The wall does not move: its flow is zero, and valid
        unless the signer covers it in frame t.
    """
    sight = look(
        camera, Caster(before, faces), before, faces, pixel_grid(pixel_box(camera, before))
    )
    moved = sight.hits.interpolate(faces, after)
    target = camera.project(moved)
    x, y = sight.pixels.astype(int).T
    flow = np.zeros((SIZE, SIZE, 2), dtype=np.float32)
    flow[y, x] = target[:, :2] - sight.pixels
    later = Caster(after, faces)
    directions = moved - camera.centre
    hits = later.cast(np.broadcast_to(camera.centre, directions.shape), directions)
    surface = hits.interpolate(faces, after)
    shown = camera.project(surface)[:, 2] > target[:, 2] - 2e-3
    shown &= np.all((target[:, :2] > -0.5) & (target[:, :2] < SIZE - 0.5), axis=1)
    valid = depth_map(camera, after, faces) == 0
    valid[y, x] = shown & (hits.face >= 0)
    return flow, valid
