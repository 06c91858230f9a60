"""The motion of a clip, rest, sign, rest, as bone rotations of every frame."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from renderer.body import Array, RestBody, forward_heads, unit
from renderer.handshapes import HANDSHAPES
from renderer.pose import pose_arm, pose_torso
from renderer.signers import Signer
from renderer.signs import MOUTHS, ORIENTATIONS, PLACES, Place, Sign, Vector

MEAN_FRAMES = 24
_RAISED, _DONE = 0.32, 0.72  # share of the clip when the movement starts and ends


@dataclass(frozen=True)
class Motion:
    """Posed skeleton of a clip: rotations (T,J,3,3), root (T,3) m, face actions (T,) by name."""

    rotations: Array
    root: Array
    face: dict[str, Array]


@dataclass(frozen=True)
class Take:
    """How one performance differs from the signer's average."""

    frames: int
    onset: float  # shift of the movement in time, share of the clip
    amplitude: float
    shift: Array  # (3,) m, offset of the sign's position (out, forward, up)
    rest_shift: Array  # (2,3) m, offset of the resting hands
    sway: Array  # (3,2) amplitude rad and phase of the torso's slow sway
    nod: Array  # (3,2) the same of the head
    tilt: Array  # (3,) rad, rotation of the hand's orientation
    blink: float  # time of a blink, share of the clip


def draw_take(signer: Signer, generator: np.random.Generator) -> Take:
    """Draw one take; the order of the draws determines the data set."""
    tempo = signer.tempo * generator.uniform(0.92, 1.08)
    return Take(
        frames=int(np.clip(round(MEAN_FRAMES / tempo), 20, 30)),
        onset=float(generator.uniform(-0.03, 0.03)),
        amplitude=signer.amplitude * float(generator.uniform(0.92, 1.08)),
        shift=generator.uniform(-0.012, 0.012, 3),
        rest_shift=generator.uniform(-0.012, 0.012, (2, 3)),
        sway=_wave(generator, 0.025),
        nod=_wave(generator, 0.05),
        tilt=generator.uniform(-0.10, 0.10, 3),
        blink=float(generator.uniform(0.0, 1.6)),
    )


def _wave(generator: np.random.Generator, size: float) -> Array:
    return np.stack([generator.uniform(-size, size, 3), generator.uniform(0, 2 * np.pi, 3)], axis=1)


def anchors(body: RestBody) -> dict[str, Array]:
    """Points (3,) on the front of the resting body in metres; the shoulder is the left one."""
    eye = body.head_of("eye.L")
    shoulder = body.head_of("upperarm01.L")
    between = 2.0 * eye[0]
    heights = {
        "chin": eye[2] - 1.80 * between,
        "forehead": eye[2] + 0.9 * between,
        "chest": shoulder[2] - 0.09,
        "belly": body.heads[0, 2] + 0.14,
    }
    points = {}
    for name, height in heights.items():
        near = (np.abs(body.vertices[:, 0]) < 0.03) & (np.abs(body.vertices[:, 2] - height) < 0.02)
        points[name] = np.array([0.0, body.vertices[near, 1].min(), height])
    points["shoulder"] = np.array([shoulder[0], points["chest"][1], shoulder[2]])
    return points


def ease(x: Array) -> Array:
    """Minimum-jerk curve from 0 to 1 for x in 0..1 (Flash and Hogan, 1985)."""
    x = np.clip(x, 0.0, 1.0)
    course: Array = x**3 * (10 - 15 * x + 6 * x**2)
    return course


def to_world(vector: Vector | Array, side: int) -> Array:
    """Convert (out, forward, up) of the hand on `side` (0 left, 1 right) to world axes."""
    v = np.asarray(vector, dtype=np.float64)
    out = 1.0 if side == 0 else -1.0
    return np.stack([out * v[..., 0], -v[..., 1], v[..., 2]], axis=-1)


def hand_rotation(body: RestBody, side: int, orientation: str) -> Array:
    """Rotation (3,3) of the hand from its rest pose into a named orientation."""
    wanted = ORIENTATIONS[orientation]
    fingers = unit(to_world(wanted.fingers, side))
    palm = to_world(wanted.palm, side)
    palm = unit(palm - fingers * (palm @ fingers))
    turn = 1.0 if side == 0 else -1.0
    axes = np.stack([fingers, turn * np.cross(palm, fingers), palm], axis=1)
    rotation: Array = axes @ body.hands[side].axes.T
    return rotation


def path(sign: Sign, u: Array, size: float) -> Array:
    """Offset (T,3) of the hand from the sign's position, metres (out, forward, up).

    Args:
        u: (T,) completed share of the movement, 0..1.
        size: length of the movement, metres.
    """
    direction = unit(np.asarray(sign.direction, dtype=np.float64))
    offset: Array = np.zeros((len(u), 3))
    if sign.movement == "line":
        offset = (ease(u) - 0.5)[:, None] * size * direction
    elif sign.movement == "tap":
        away = 0.5 + 0.5 * np.cos(2 * np.pi * sign.repeats * u)
        offset = away[:, None] * size * direction
    elif sign.movement == "arc":
        angle = np.pi * (ease(u) - 0.5)
        up = np.array([0.0, 0.0, 1.0])
        sweep = 0.5 * np.sin(angle)[:, None] * direction
        offset = size * (sweep + 0.30 * (np.cos(angle) - 0.6)[:, None] * up)
    elif sign.movement == "circle":
        angle = 2 * np.pi * sign.repeats * u
        first, second = np.array([1.0, 0.0, 0.0]), np.cross(direction, [1.0, 0.0, 0.0])
        offset = size * 0.5 * (np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second)
    elif sign.movement == "apart":
        offset = (ease(u) * size + 0.035)[:, None] * direction
    return offset


def _shapes(names: tuple[str, ...], u: Array) -> Array:
    """Handshape rows (T,25) of a hand that changes through the shapes `names`."""
    rows = np.stack([HANDSHAPES[name].angles() for name in names])
    if len(names) == 1:
        return np.repeat(rows, len(u), axis=0)
    place = np.clip(u, 0, 1) * (len(names) - 1)
    first = np.minimum(place.astype(int), len(names) - 2)
    part = ease(place - first)[:, None]
    mixed: Array = rows[first] * (1 - part) + rows[first + 1] * part
    return mixed


@dataclass(frozen=True)
class _HandCourse:
    """One hand over the clip: wrists (T,3), rotations (T,3,3), poles (T,3), shapes (T,25)."""

    wrists: Array
    rotations: Array
    poles: Array
    shapes: Array


def _wrists(body: RestBody, side: int, place: Place, offsets: Array, rotations: Array) -> Array:
    """Wrist positions (T,3) that put the hand's contact point at the place plus `offsets` (T,3)."""
    anchor = anchors(body)[place.anchor] * np.array([1.0 if side == 0 else -1.0, 1.0, 1.0])
    points = anchor + to_world(np.asarray(place.offset) + offsets, side)
    reach = rotations @ body.hands[side].axes[:, 0] * (place.contact * body.hands[side].length)
    wrists: Array = points - reach
    return wrists


def _course(
    body: RestBody, side: int, sign: Sign | None, role: str, take: Take, time: Array
) -> _HandCourse:
    """The course of one hand: from rest to its part of the sign and back.

    Args:
        sign: None for a resting hand; role: "dominant", "mirror", "base" or "rest".
        time: (T,) share of the clip.
    """
    frames = len(time)
    rest_turn = np.repeat(hand_rotation(body, side, "rest")[None], frames, axis=0)
    rest_wrists = _wrists(
        body, side, PLACES["rest"], np.repeat(take.rest_shift[[side]], frames, axis=0), rest_turn
    )
    rest_poles = np.repeat(to_world(ORIENTATIONS["rest"].elbow, side)[None], frames, axis=0)
    rest_shapes = _shapes(("loose",), time)
    if sign is None:
        return _HandCourse(rest_wrists, rest_turn, rest_poles, rest_shapes)

    u = np.clip((time - take.onset - _RAISED) / (_DONE - _RAISED), 0, 1)
    orientation = "base" if role == "base" else sign.orientation
    tilt = Rotation.from_rotvec(take.tilt).as_matrix()
    turns = np.repeat((tilt @ hand_rotation(body, side, orientation))[None], frames, axis=0)
    scale = take.amplitude * arm_length(body) / 0.5
    if role == "base":
        place, offsets = PLACES["under_palm"], np.zeros((frames, 3))
        shapes = _shapes(("flat",), time)
    else:
        place, offsets = PLACES[sign.place], path(sign, u, sign.extent_m * scale)
        shapes = _shapes(sign.handshapes, u)
    wrists = _wrists(body, side, place, offsets + take.shift, turns)
    poles = np.repeat(to_world(ORIENTATIONS[orientation].elbow, side)[None], frames, axis=0)

    raised = _raised(time, take)
    turning = ease(1.25 * raised)
    bulge = (4 * raised * (1 - raised))[:, None] * to_world((0.04, 0.07, 0.0), side)
    return _HandCourse(
        wrists=rest_wrists + (wrists - rest_wrists) * raised[:, None] + bulge,
        rotations=_between(rest_turn[0], turns[0], turning),
        poles=rest_poles + (poles - rest_poles) * raised[:, None],
        shapes=rest_shapes + (shapes - rest_shapes) * ease(1.5 * raised)[:, None],
    )


def arm_length(body: RestBody) -> float:
    """Shoulder to wrist along the bones, metres."""
    points = np.stack([body.head_of(f"{b}.L") for b in ("upperarm01", "lowerarm01", "wrist")])
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _raised(time: Array, take: Take) -> Array:
    """How far (T,) the hand is raised, 0..1."""
    start, end = take.onset, take.onset + 0.96
    up = ease((time - start - 0.04) / (_RAISED - 0.04))
    down = ease((time - take.onset - _DONE) / (end - _DONE - take.onset))
    return up * (1 - down)


def _between(first: Array, second: Array, share: Array) -> Array:
    """Rotations (T,3,3) from `first` (3,3) to `second` (3,3)."""
    ends = Rotation.from_matrix(np.stack([first, second]))
    turned: Array = Slerp([0.0, 1.0], ends)(np.clip(share, 0, 1)).as_matrix()
    return turned


def perform(body: RestBody, signer: Signer, sign: Sign, take: Take) -> Motion:
    """The motion of one clip."""
    time = np.linspace(0.0, 1.0, take.frames)
    dominant = 0 if signer.left_handed else 1
    roles = {"rest": None, "mirror": sign, "base": sign}
    courses = {
        dominant: _course(body, dominant, sign, "dominant", take, time),
        1 - dominant: _course(body, 1 - dominant, roles[sign.helper], sign.helper, take, time),
    }

    def waves(wave: Array) -> Array:
        return wave[:, 0] * np.sin(2 * np.pi * time[:, None] + wave[:, 1])

    shoulder = body.head_of("upperarm01.L")[2]
    shrug = np.stack(
        [0.6 * np.clip(courses[s].wrists[:, 2] - shoulder + 0.05, 0, 0.4) for s in (0, 1)], axis=1
    )
    root = np.repeat(body.heads[:1], take.frames, axis=0)
    rotations = pose_torso(body, waves(take.sway), waves(take.nod), shrug)
    heads = forward_heads(body, rotations, root)
    for side, course in courses.items():
        pose_arm(body, rotations, heads, side, course.wrists, course.rotations, course.poles,
                 course.shapes)  # fmt: skip
    return Motion(rotations, root, _face(sign, take, time))


def _face(sign: Sign, take: Take, time: Array) -> dict[str, Array]:
    """Facial actions: the mouth of the sign while the hand is raised, and a blink."""
    active = _raised(time, take)
    face = {name: strength * active for name, strength in MOUTHS[sign.mouth].items()}
    blink = np.exp(-(((time - take.blink) * take.frames / 1.3) ** 2))
    face["eyeBlinkLeft"] = face["eyeBlinkRight"] = blink
    return face
