"""Bone rotations from hand positions: two-bone arms, fingers, torso and head."""

import numpy as np
from scipy.spatial.transform import Rotation

from renderer.body import FINGERS, Array, HandFrame, RestBody, unit

_REACH = 0.985  # share of the arm's length: a fully straight elbow looks unnatural


def align(from_a: Array, from_b: Array, to_a: Array, to_b: Array) -> Array:
    """Rotations (T,3,3) that map direction a to a', and b as close to b' as possible.

    Args:
        from_a, from_b: (3,) or (T,3); to_a, to_b: (T,3).
    """

    def frame(a: Array, b: Array) -> Array:
        a = unit(a)
        c = unit(np.cross(a, b))
        return np.stack([a, np.cross(c, a), c], axis=-1)

    turned: Array = frame(to_a, to_b) @ np.swapaxes(frame(from_a, from_b), -1, -2)
    return turned


def twist_angle(rotations: Array, axis: Array) -> Array:
    """Angle (T,) rad of each rotation's twist about `axis` (3,)."""
    quaternions = Rotation.from_matrix(rotations).as_quat()
    angles = 2.0 * np.arctan2(quaternions[:, :3] @ axis, quaternions[:, 3])
    wrapped: Array = (angles + np.pi) % (2 * np.pi) - np.pi
    return wrapped


def about(axis: Array, angles: Array) -> Array:
    """Rotations (T,3,3) about the unit axis (3,) by `angles` (T,) rad."""
    matrices: Array = Rotation.from_rotvec(np.asarray(angles)[:, None] * axis).as_matrix()
    return matrices


def finger_rotations(hand: HandFrame, shapes: Array) -> dict[str, Array]:
    """Rotations of the finger bones relative to the hand, in world axes of the rest pose.

    Args:
        shapes: (T,25) rows of `Handshape.angles`.

    Returns:
        bone name without its side, e.g. "finger2-1", to (T,3,3).
    """
    frames = len(shapes)
    flex = np.radians(shapes[:, :12]).reshape(frames, 4, 3).cumsum(axis=2)
    spread = np.radians(shapes[:, 12:16])
    thumb = shapes[:, 16:].reshape(frames, 3, 3)
    forward, thumb_side, _ = hand.axes.T
    sideways = np.cross(forward, thumb_side)
    result = {}
    for i, finger in enumerate(FINGERS):
        splay = about(sideways, spread[:, i] - hand.rest_spread[i])
        for k in range(3):
            bend = about(hand.hinges[i], flex[:, i, k] - hand.rest_flex[i, k])
            result[f"{finger}-{k + 1}"] = splay @ bend
    for k in range(3):
        towards = unit(thumb[:, k] @ hand.axes.T)
        rest = hand.thumb[k]
        result[f"finger1-{k + 1}"] = shortest(rest, towards)
    return result


def shortest(rest: Array, towards: Array) -> Array:
    """The smallest rotations (T,3,3) that map the unit vector `rest` (3,) to `towards` (T,3)."""
    axes = np.cross(rest, towards)
    sines = np.linalg.norm(axes, axis=1, keepdims=True)
    angles = np.arctan2(sines, (towards @ rest)[:, None])
    matrices: Array = Rotation.from_rotvec(axes / np.maximum(sines, 1e-9) * angles).as_matrix()
    return matrices


def pose_arm(
    body: RestBody,
    rotations: Array,
    heads: Array,
    side: int,
    wrists: Array,
    hands: Array,
    poles: Array,
    shapes: Array,
) -> None:
    """Write the rotations of one arm and hand into `rotations`.

    Args:
        rotations: (T,J,3,3) with shoulders and torso posed; changed in place.
        heads: (T,J,3) positions of these bones, metres.
        side: 0 left, 1 right.
        wrists: (T,3) target positions of the wrist, metres.
        hands: (T,3,3) target rotations of the hand.
        poles: (T,3) directions the elbow points to.
        shapes: (T,25) handshape rows.
    """
    s = "LR"[side]
    shoulder0, elbow0, wrist0 = (
        body.head_of(f"{name}.{s}") for name in ("upperarm01", "lowerarm01", "wrist")
    )
    upper0, lower0 = elbow0 - shoulder0, wrist0 - elbow0
    hinge0 = np.cross(upper0, lower0)
    shoulders = heads[:, body.bone(f"upperarm01.{s}")]
    elbows, ends = reach(
        shoulders, wrists, poles, float(np.linalg.norm(upper0)), float(np.linalg.norm(lower0))
    )
    upper, lower = elbows - shoulders, ends - elbows
    hinge = np.cross(upper, lower)
    upper_turn = align(upper0, hinge0, upper, hinge)
    lower_turn = align(lower0, hinge0, lower, hinge)

    parent = rotations[:, body.bone(f"shoulder01.{s}")]
    axis = unit(upper0)
    half = twist_angle(np.swapaxes(parent, 1, 2) @ upper_turn, axis) / 2
    _set(body, rotations, f"upperarm01.{s}", upper_turn @ about(axis, -half))
    _set(body, rotations, f"upperarm02.{s}", upper_turn)
    axis = unit(lower0)
    twist = twist_angle(np.swapaxes(lower_turn, 1, 2) @ hands, axis)
    _set(body, rotations, f"lowerarm01.{s}", lower_turn @ about(axis, 0.3 * twist))
    _set(body, rotations, f"lowerarm02.{s}", lower_turn @ about(axis, 0.75 * twist))
    _set(body, rotations, f"wrist.{s}", hands)
    for k in range(1, 5):
        _set(body, rotations, f"metacarpal{k}.{s}", hands)
    for name, turn in finger_rotations(body.hands[side], shapes).items():
        _set(body, rotations, f"{name}.{s}", hands @ turn)


def _set(body: RestBody, rotations: Array, label: str, value: Array) -> None:
    rotations[:, body.bone(label)] = value


def reach(
    shoulders: Array, wrists: Array, poles: Array, upper: float, lower: float
) -> tuple[Array, Array]:
    """Elbows and reachable wrists (T,3) of an arm of bone lengths `upper` and `lower`, metres."""
    towards = wrists - shoulders
    distance = np.linalg.norm(towards, axis=1, keepdims=True)
    towards = towards / distance
    distance = np.clip(distance, 1.05 * abs(upper - lower), _REACH * (upper + lower))
    cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    sine = np.sqrt(np.clip(1 - cosine**2, 0, 1))
    out = unit(poles - towards * np.sum(poles * towards, axis=1, keepdims=True))
    elbows = shoulders + upper * (cosine * towards + sine * out)
    return elbows, shoulders + distance * towards


def pose_torso(body: RestBody, lean: Array, turn: Array, shrug: Array) -> Array:
    """Rotations (T,J,3,3) with torso, head and collar bones posed; arms follow rigidly.

    Args:
        lean: (T,3) rad, torso rotation vector, spread over the spine.
        turn: (T,3) rad, rotation vector of the head on top of the torso's.
        shrug: (T,2) rad, how far each collar bone is raised, left and right.
    """
    local = {}
    for name in ("spine05", "spine04", "spine03", "spine02", "spine01"):
        local[name] = Rotation.from_rotvec(lean / 5).as_matrix()
    for name, share in (("neck01", 0.2), ("neck02", 0.2), ("neck03", 0.2), ("head", 0.4)):
        local[name] = Rotation.from_rotvec(turn * share).as_matrix()
    forward = np.array([0.0, -1.0, 0.0])
    for side, sign in ((0, 1.0), (1, -1.0)):
        raised = about(forward, sign * shrug[:, side])
        local[f"clavicle.{'LR'[side]}"] = raised
    rotations = np.empty((len(lean), len(body.labels), 3, 3))
    for j, label in enumerate(body.labels):
        parent = body.parents[j]
        base = rotations[:, parent] if parent >= 0 else np.eye(3)
        rotations[:, j] = base @ local[label] if label in local else base
    return rotations
