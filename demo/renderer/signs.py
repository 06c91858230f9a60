"""Signs as data: handshape, orientation, place, movement, direction, mouth.

The signs are invented and belong to no sign language; their glosses describe what the hands do.
Directions are in the frame of the dominant hand: (out to its side, forward to the viewer, up), so a
left-handed signer signs the mirror image.
"""

from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]
Movement = Literal["line", "tap", "arc", "circle", "apart", "hold"]
Helper = Literal["rest", "mirror", "base"]


@dataclass(frozen=True)
class Orientation:
    """Directions of fingers, palm and elbow; (out, forward, up)."""

    fingers: Vector
    palm: Vector
    elbow: Vector


@dataclass(frozen=True)
class Sign:
    """One sign.

    `handshapes`: the shapes of the hand during the movement, in order.
    `helper`: the other hand rests, mirrors the dominant one, or is the flat base under it.
    `direction`: direction of a line or an arc, or the axis of a circle.
    `extent_m`: length of the movement on a body of 0.5 m arms. `repeats`: number of repetitions.
    """

    label: int
    gloss: str
    turkish: str
    handshapes: tuple[str, ...]
    orientation: str
    place: str
    movement: Movement
    direction: Vector
    extent_m: float
    repeats: int
    mouth: str
    helper: Helper


ORIENTATIONS: dict[str, Orientation] = {
    "palm_down": Orientation((-0.60, 0.75, -0.05), (0.0, -0.42, -1.0), (0.75, -0.1, -0.8)),
    "to_face": Orientation((-0.50, -0.15, 0.85), (-0.25, -1.0, -0.1), (0.55, 0.2, -1.0)),
    "palm_out": Orientation((0.05, 0.05, 1.0), (0.0, 1.0, 0.0), (0.75, 0.1, -0.9)),
    "palms_facing": Orientation((-0.10, 0.85, 0.50), (-1.0, 0.0, 0.1), (0.55, -0.2, -1.0)),
    "on_base": Orientation((-0.60, 0.75, 0.05), (-0.1, 0.0, -1.0), (0.75, -0.1, -0.7)),
    "base": Orientation((-0.55, 0.85, 0.0), (0.0, 0.1, 1.0), (0.45, -0.3, -1.0)),
    "rest": Orientation((-0.55, 0.35, -0.70), (-0.45, -0.75, -0.15), (0.5, -0.35, -0.9)),
    "thumb_to_chin": Orientation((-0.15, 0.25, 1.0), (-1.0, -0.25, 0.0), (0.9, 0.0, -0.7)),
    "thumb_to_chest": Orientation((-0.15, 0.55, 0.8), (-1.0, 0.0, 0.0), (0.8, -0.1, -0.8)),
    "finger_to_lips": Orientation((-0.45, -0.25, 0.85), (-0.2, -1.0, -0.2), (0.6, 0.2, -1.0)),
    "along_brow": Orientation((-1.0, 0.15, 0.1), (0.0, -0.3, -1.0), (0.8, 0.0, -0.6)),
}


@dataclass(frozen=True)
class Place:
    """A point near the body: an anchor on it and an offset in metres (out, forward, up).

    `contact`: the point of the hand at this place, from 0 (wrist) to 1 (tip of the middle finger).
    """

    anchor: Literal["chin", "forehead", "chest", "shoulder", "belly"]
    offset: Vector
    contact: float


PLACES: dict[str, Place] = {
    "neutral": Place("chest", (0.10, 0.30, -0.01), 0.5),
    "chin": Place("chin", (0.01, 0.02, -0.005), 0.98),
    "forehead": Place("forehead", (0.09, 0.15, -0.10), 0.5),
    "chest": Place("chest", (0.02, 0.22, -0.02), 0.5),
    "side": Place("shoulder", (0.09, 0.24, 0.13), 0.5),
    "other_palm": Place("chest", (-0.05, 0.27, -0.13), 0.4),
    "under_palm": Place("chest", (0.05, 0.27, -0.19), 0.5),
    "rest": Place("belly", (0.085, 0.08, 0.0), 0.5),
    "before_chin": Place("chin", (0.02, 0.10, -0.04), 0.45),
    "before_chest": Place("chest", (0.02, 0.11, 0.0), 0.40),
    "brow": Place("forehead", (-0.01, 0.03, -0.025), 0.98),
}

MOUTHS: dict[str, dict[str, float]] = {
    "closed": {},
    "open": {"jawOpen": 0.55},
    "round": {"mouthPucker": 0.8, "mouthFunnel": 0.6, "jawOpen": 0.15},
    "smile": {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9},
    "puff": {"cheekPuff": 1.0},
    "wide": {"mouthStretchLeft": 0.8, "mouthStretchRight": 0.8, "jawOpen": 0.3},
}

SIGNS: tuple[Sign, ...] = (
    Sign(0, "rise", "yükselmek", ("flat",), "palm_down", "neutral", "line", (0.0, 0.0, 1.0),
         0.30, 1, "puff", "rest"),
    Sign(1, "sink", "alçalmak", ("flat",), "palm_down", "neutral", "line", (0.0, 0.0, -1.0),
         0.30, 1, "puff", "rest"),
    Sign(2, "say", "söylemek", ("point",), "to_face", "chin", "tap", (0.35, 0.7, -0.6),
         0.14, 2, "open", "rest"),
    Sign(3, "taste", "tatmak", ("five",), "to_face", "chin", "tap", (0.35, 0.7, -0.6),
         0.14, 2, "open", "rest"),
    Sign(4, "rainbow", "gökkuşağı", ("vee",), "palm_out", "forehead", "arc", (1.0, 0.0, 0.0),
         0.46, 1, "wide", "rest"),
    Sign(5, "wash", "yıkamak", ("fist",), "on_base", "other_palm", "circle", (0.0, 0.0, 1.0),
         0.15, 2, "round", "base"),
    Sign(6, "open", "açmak", ("flat",), "palms_facing", "chest", "apart", (1.0, 0.0, 0.05),
         0.22, 1, "smile", "mirror"),
    Sign(7, "lamp", "lamba", ("bunch", "five", "bunch", "five"), "palm_out", "side", "hold",
         (0.0, 0.0, 1.0), 0.0, 1, "closed", "rest"),
)  # fmt: skip
"""The eight signs. `rise` and `sink` differ in direction only, `say` and `taste` in handshape."""
