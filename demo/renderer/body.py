"""The body of one signer, from the model anny: rest skeleton, hand frames, skinning.

World axes: x to the signer's left, y to the signer's back (the face looks along -y), z up; metres.
`rotations` are rotations of bones from the rest pose, in world axes: a bone that does not move
relative to its parent has the rotation of its parent.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from renderer.signers import Shape

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FINGERS = ("finger2", "finger3", "finger4", "finger5")


@dataclass(frozen=True)
class HandFrame:
    """One hand at rest.

    Columns of `axes` (3,3): towards the fingers, towards the thumb, out of the palm.
    """

    axes: Array
    hinges: Array  # (4,3) flexion axis of each finger
    rest_flex: Array  # (4,3) rad, flexion of each phalanx at rest
    rest_spread: Array  # (4,) rad, spread of each straight finger at rest
    thumb: Array  # (3,3) rest directions of the thumb's bones
    length: float  # m, wrist to the tip of the straight middle finger


@dataclass(frozen=True)
class RestBody:
    """One signer's rest skeleton and the mesh that all signers share."""

    labels: tuple[str, ...]
    parents: tuple[int, ...]
    heads: Array  # (J,3) m
    orientations: Array  # (J,3,3)
    tips: Array  # (2,5,3) m, finger tips of the left and the right hand, thumb first
    vertices: Array  # (V,3) m
    hands: tuple[HandFrame, HandFrame]  # left, right

    def bone(self, label: str) -> int:
        """Index of a bone."""
        return self.labels.index(label)

    def head_of(self, label: str) -> Array:
        """Rest position (3,) of a bone's head."""
        head: Array = self.heads[self.bone(label)]
        return head


@dataclass(frozen=True)
class Mesh:
    """The mesh that all signers share: triangles, canonical positions, skinning weights."""

    faces: IntArray  # (F,3)
    canonical: Array  # (V,3) positions on the mean body, for painting
    weights: Array  # (V,J) skinning weights
    tip_vertices: tuple[IntArray, ...]  # 10 sets: left thumb..little, right thumb..little
    regressor: Array  # (23,V) COCO body and feet
    mouth: Array  # (V,) 1 inside the mouth, 0 elsewhere


def load_model() -> Any:
    """Build the anny model; the first time takes some seconds, then anny has it in its cache."""
    import anny.models.full_model
    import torch

    torch.set_num_threads(1)  # a fixed order of summation: the same bytes on every run
    anny.models.full_model.load_blend_shape = _blend_shape  # its own takes a minute for the same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anny.Anny(
            rig="anny",
            topology="anny",
            facial_actions="all",
            pose_parameterization="world-orient",
            skinning_method="lbs",
        )


def _blend_shape(path: str, vertices_count: int, world_transformation: Any, dtype: Any) -> Any:
    """The offsets (V,3) of a file of rows `vertex x y z`, in anny's axes and units."""
    import torch

    rows = np.loadtxt(path).reshape(-1, 4)
    offsets = torch.zeros((vertices_count, 3), dtype=dtype)
    offsets[rows[:, 0].astype(np.int64)] = torch.as_tensor(rows[:, 1:], dtype=dtype)
    return world_transformation.apply(offsets)


def load_mesh(model: Any) -> Mesh:
    """The parts of the model that all signers share."""
    import anny

    output = model()
    canonical = output["rest_vertices"][0].numpy()
    weights = np.zeros((len(canonical), len(model.bone_labels)))
    indices = model.vertex_bone_indices.numpy()
    np.add.at(
        weights,
        (np.arange(len(canonical))[:, None], indices),
        model.vertex_bone_weights.numpy(),
    )
    regressor = anny.KeypointsRegressor.coco(model, labels=list(BODY_AND_FEET))
    labels = list(model.bone_labels)
    heads = output["rest_bone_poses"][0, :, :3, 3].numpy()
    tips = tuple(
        _tip_vertices(canonical, weights, heads, labels, f"finger{finger}", side)
        for side in "LR"
        for finger in range(1, 6)
    )
    return Mesh(
        faces=model.faces.numpy().astype(np.int64),
        canonical=canonical,
        weights=weights,
        tip_vertices=tips,
        regressor=regressor.regression_weights.numpy(),
        mouth=_mouth(model),
    )


BODY_AND_FEET = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle", "left_big_toe", "left_small_toe", "left_heel",
    "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip


def _mouth(model: Any) -> Array:
    """1 for the vertices (V,) of gums, tongue and cheeks' inner sides, 0 for all others."""
    from anny.face_segmentation import get_face_segmentation_mask

    inner = get_face_segmentation_mask(model, ["mouth_cavity", "tongue"]).numpy()
    mouth = np.zeros(len(model.template_vertices))
    mouth[model.faces.numpy()[inner]] = 1.0
    return mouth


def _tip_vertices(
    canonical: Array, weights: Array, heads: Array, labels: list[str], finger: str, side: str
) -> IntArray:
    """Vertices around the end of a finger: their mean lies a few millimetres inside the tip."""
    bone = labels.index(f"{finger}-3.{side}")
    axis = heads[bone] - heads[labels.index(f"{finger}-2.{side}")]
    own = np.flatnonzero(weights[:, bone] > 0.6)
    along = canonical[own] @ (axis / np.linalg.norm(axis))
    tip: IntArray = own[along > along.max() - 0.008]
    return tip


def rest_body(model: Any, mesh: Mesh, shape: Shape) -> RestBody:
    """The rest body of one signer."""
    output = model(phenotype_kwargs=shape.phenotype())
    poses = output["rest_bone_poses"][0].numpy()
    vertices = output["rest_vertices"][0].numpy()
    labels = tuple(model.bone_labels)
    heads = poses[:, :3, 3]
    tips = np.stack([vertices[t].mean(0) for t in mesh.tip_vertices]).reshape(2, 5, 3)
    hands = tuple(_hand_frame(heads, labels, tips[i], "LR"[i]) for i in range(2))
    return RestBody(
        labels=labels,
        parents=tuple(int(p) for p in model.bone_parents),
        heads=heads,
        orientations=poses[:, :3, :3],
        tips=tips,
        vertices=vertices,
        hands=(hands[0], hands[1]),
    )


def unit(v: Array) -> Array:
    """Normalise `v` (...,3) to length 1."""
    scaled: Array = v / np.linalg.norm(v, axis=-1, keepdims=True)
    return scaled


def _hand_frame(heads: Array, labels: tuple[str, ...], tips: Array, side: str) -> HandFrame:
    """Axes, flexion axes and rest angles of one hand."""

    def at(name: str) -> Array:
        head: Array = heads[labels.index(f"{name}.{side}")]
        return head

    wrist = at("wrist")
    forward = unit(at("finger3-1") - wrist)
    across = at("finger2-1") - at("finger5-1")
    thumb_side = unit(across - forward * (across @ forward))
    turn = 1.0 if side == "L" else -1.0  # the two hands are mirror images
    palm = turn * np.cross(forward, thumb_side)
    hinges, flex, spread = [], [], []
    for i, finger in enumerate(FINGERS):
        joints = np.stack([at(f"{finger}-{k}") for k in (1, 2, 3)] + [tips[i + 1]])
        bones = unit(np.diff(joints, axis=0))  # (3,3)
        hinge = unit(np.cross(bones[0], bones[2]))
        ahead = unit(forward - hinge * (forward @ hinge))
        inward = np.cross(hinge, ahead)
        hinges.append(hinge)
        flex.append(np.arctan2(bones @ inward, bones @ ahead))
        spread.append(np.arctan2(ahead @ thumb_side, ahead @ forward))
    thumb = unit(np.diff(np.stack([at(f"finger1-{k}") for k in (1, 2, 3)] + [tips[0]]), axis=0))
    middle = np.stack([wrist] + [at(f"finger3-{k}") for k in (1, 2, 3)] + [tips[2]])
    return HandFrame(
        axes=np.stack([forward, thumb_side, palm], axis=1),
        hinges=np.stack(hinges),
        rest_flex=np.stack(flex),
        rest_spread=np.array(spread),
        thumb=thumb,
        length=float(np.linalg.norm(np.diff(middle, axis=0), axis=1).sum()),
    )


def forward_heads(body: RestBody, rotations: Array, root: Array) -> Array:
    """Positions of the bones' heads.

    Args:
        rotations: (T,J,3,3), see the module's docstring.
        root: (T,3) position of the root bone, metres.

    Returns:
        (T,J,3) metres.
    """
    heads = np.empty((*rotations.shape[:2], 3))
    heads[:, 0] = root
    for j, parent in enumerate(body.parents[1:], start=1):
        offset = body.heads[j] - body.heads[parent]
        heads[:, j] = heads[:, parent] + rotations[:, parent] @ offset
    return heads


def skin(
    model: Any, body: RestBody, shape: Shape, rotations: Array, root: Array, face: dict[str, Array]
) -> Array:
    """Vertices (T,V,3) of the posed body, metres.

    Args:
        rotations: (T,J,3,3); root: (T,3) metres.
        face: strength (T,) in 0..1 by name of the facial action.
    """
    import torch

    frames = len(rotations)
    pose = np.tile(np.eye(4), (frames, len(body.labels), 1, 1))
    pose[:, :, :3, :3] = rotations @ body.orientations
    pose[:, 0, :3, 3] = root
    with torch.no_grad():
        output = model(
            pose_parameters=torch.from_numpy(pose),
            phenotype_kwargs={
                k: torch.full((frames,), v, dtype=torch.float64)
                for k, v in shape.phenotype().items()
            },
            facial_actions={k: torch.from_numpy(v) for k, v in face.items()},
        )
    vertices: Array = output["vertices"].numpy()
    return vertices
