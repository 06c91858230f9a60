"""One clip of the demo: name, geometry, pictures and ground truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from renderer import truth
from renderer.body import (
    Array,
    Mesh,
    RestBody,
    forward_heads,
    load_mesh,
    load_model,
    rest_body,
    skin,
)
from renderer.motion import draw_take, perform
from renderer.paint import Figure, dress, wear
from renderer.picture import render
from renderer.rooms import paint_wall
from renderer.scene import Camera, Caster, place_camera
from renderer.signers import SIGNERS, Signer, Split
from renderer.signs import SIGNS, Sign
from slr_pipeline.errors import DataError

SEED = 20210
TAKES = 2


@dataclass(frozen=True)
class Clip:
    """One sign by one signer, one of its takes."""

    sample: str
    signer: Signer
    sign: Sign
    take: int

    @property
    def split(self) -> Split:
        """The split of the clip's signer."""
        return self.signer.split


def all_clips() -> list[Clip]:
    """The clips of the demo, by signer and sample number; numbers do not reveal the sign."""
    clips = []
    for signer in SIGNERS:
        order = np.random.default_rng([SEED, signer.number]).permutation(len(SIGNS) * TAKES)
        for number, k in enumerate(order, start=1):
            sample = f"signer{signer.number}_sample{number}"
            clips.append(Clip(sample, signer, SIGNS[int(k) // TAKES], int(k) % TAKES))
    return clips


def find_clip(sample: str) -> Clip:
    """The clip with this name.

    Raises:
        DataError: no clip has that name.
    """
    for clip in all_clips():
        if clip.sample == sample:
            return clip
    raise DataError(f"{sample}: no such clip; names go from signer0_sample1 to signer7_sample16")


@dataclass(frozen=True)
class Studio:
    """What all clips share: the anny model, the mesh, the canonical bone heads (J,3)."""

    model: Any
    mesh: Mesh
    canonical_heads: Array


def open_studio() -> Studio:
    """Load the body model; the first time takes a minute."""
    model = load_model()
    heads = model()["rest_bone_poses"][0, :, :3, 3].numpy()
    return Studio(model, load_mesh(model), heads)


@dataclass(frozen=True)
class Scene:
    """The geometry of a clip, from which pictures and ground truth are made.

    `vertices`: (T,V,3) dressed mesh with hair, metres; `keypoints`: (T,133,3) world metres.
    """

    clip: Clip
    body: RestBody
    figure: Figure
    camera: Camera
    vertices: Array
    keypoints: Array

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.vertices)


def build_scene(studio: Studio, clip: Clip) -> Scene:
    """Pose, skin and dress the signer of a clip."""
    signer = clip.signer
    body = rest_body(studio.model, studio.mesh, signer.shape)
    generator = np.random.default_rng([SEED, signer.number, clip.sign.label, clip.take])
    motion = perform(body, signer, clip.sign, draw_take(signer, generator))
    naked = skin(studio.model, body, signer.shape, motion.rotations, motion.root, motion.face)
    heads = forward_heads(body, motion.rotations, motion.root)
    figure = dress(body, studio.mesh, studio.canonical_heads, signer.look)
    head = body.bone("head")
    dressed = [
        wear(figure, body, naked[t], heads[t, head], motion.rotations[t, head])
        for t in range(len(naked))
    ]
    return Scene(
        clip=clip,
        body=body,
        figure=figure,
        camera=place_camera(signer.view, body),
        vertices=np.stack(dressed),
        keypoints=truth.keypoints_world(body, studio.mesh, naked, heads),
    )


@dataclass(frozen=True)
class Truth:
    """Ground truth: `keypoints` (T,133,3) x, y, visible; `depth` (T,133) m, camera z."""

    keypoints: npt.NDArray[np.float32]
    depth: npt.NDArray[np.float32]


def clip_truth(scene: Scene) -> Truth:
    """Keypoints rounded to 0.01 px and their depth rounded to 0.1 mm."""
    projected = scene.camera.project(scene.keypoints)
    seen = np.stack(
        [
            truth.visible(scene.camera, Caster(v, scene.figure.faces), v, scene.figure.faces, k)
            for v, k in zip(scene.vertices, scene.keypoints, strict=True)
        ]
    )
    keypoints = np.concatenate([projected[..., :2].round(2), seen[..., None]], axis=-1)
    return Truth(keypoints.astype(np.float32), projected[..., 2].round(4).astype(np.float32))


def clip_pictures(studio: Studio, scene: Scene) -> tuple[list[npt.NDArray[np.uint8]], list[Array]]:
    """Colour pictures (H,W,3) sRGB and metric depth maps (H,W) of every frame."""
    signer = scene.clip.signer
    wall = paint_wall(signer.room)
    frames = [
        render(signer, studio.mesh, scene.figure, scene.camera, vertices, wall)
        for vertices in scene.vertices
    ]
    return [f[0] for f in frames], [f[1] for f in frames]


def clip_flow(scene: Scene, frame: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Flow (H,W,2) from `frame` - 1 to `frame` and where it is valid; see `truth.optical_flow`.

    Raises:
        DataError: the clip has no such frame, or the frame is the first.
    """
    if not 1 <= frame < scene.frames:
        raise DataError(
            f"{scene.clip.sample}: no flow of frame {frame}; expected a frame from 1 to "
            f"{scene.frames - 1} (frame 0 has no frame before it)"
        )
    before, after = scene.vertices[frame - 1], scene.vertices[frame]
    return truth.optical_flow(scene.camera, before, after, scene.figure.faces)


def clip_depth(scene: Scene, frame: int) -> Array:
    """Metric depth (H,W) of one frame, 0 outside the signer.

    Raises:
        DataError: the clip has no such frame.
    """
    if not 0 <= frame < scene.frames:
        raise DataError(
            f"{scene.clip.sample}: no depth of frame {frame}; expected a frame from 0 to "
            f"{scene.frames - 1}"
        )
    return truth.depth_map(scene.camera, scene.vertices[frame], scene.figure.faces)
