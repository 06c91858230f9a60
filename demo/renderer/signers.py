"""Signers as data: body, skin, hair, clothes, handedness, camera, light, room, movement."""

from dataclasses import dataclass
from typing import Literal

Rgb = tuple[int, int, int]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Shape:
    """Body shape in the parameters of anny, each 0..1 (gender 0 male, 1 female)."""

    gender: float
    age: float
    muscle: float
    weight: float
    height: float
    proportions: float

    def phenotype(self) -> dict[str, float]:
        """The parameters by anny's names."""
        return {
            "gender": self.gender,
            "age": self.age,
            "muscle": self.muscle,
            "weight": self.weight,
            "height": self.height,
            "proportions": self.proportions,
        }


@dataclass(frozen=True)
class Look:
    """Colours (sRGB) and cut of hair and clothes.

    `hair_style`: "crop" (scalp only), "short" (some volume), "bob" (to the chin), "long" (to the
    shoulders), "bun" (crop and a knot).
    `sleeve`: how far down the arm the shirt goes: 0 shoulder, 0.5 mid upper arm, 1 elbow, 2 wrist.
    """

    skin: Rgb
    hair: Rgb
    hair_style: Literal["crop", "short", "bob", "long", "bun"]
    shirt: Rgb
    sleeve: float
    trousers: Rgb
    iris: Rgb
    lips: Rgb


@dataclass(frozen=True)
class View:
    """Camera and light. Angles in degrees; yaw to the signer's left and pitch upwards positive."""

    distance_m: float
    yaw: float
    pitch: float
    picture_height_m: float  # height of the field of view at the signer
    light: tuple[float, float, float]  # towards the light, world axes
    light_strength: float
    ambient: float
    warmth: float  # -1 blue .. 1 yellow


@dataclass(frozen=True)
class Room:
    """The wall behind the signer."""

    kind: Literal["plain", "gradient", "door", "shelf", "pictures", "panels", "window", "board"]
    wall: Rgb
    accent: Rgb


@dataclass(frozen=True)
class Signer:
    """One signer."""

    number: int
    split: Split
    left_handed: bool
    shape: Shape
    look: Look
    view: View
    room: Room
    tempo: float  # above 1 is faster
    amplitude: float  # size of the movements


SIGNERS: tuple[Signer, ...] = (
    Signer(
        0, "train", False,
        Shape(0.05, 0.66, 0.62, 0.50, 0.55, 0.60),
        Look((226, 178, 148), (58, 40, 28), "short", (52, 84, 140), 0.6, (44, 46, 54),
             (92, 64, 40), (178, 98, 92)),
        View(2.05, 0.0, 2.0, 1.07, (0.35, -0.8, 0.65), 0.78, 0.46, 0.1),
        Room("plain", (188, 192, 190), (160, 160, 160)), 1.00, 1.00,
    ),
    Signer(
        1, "train", False,
        Shape(0.95, 0.64, 0.50, 0.48, 0.52, 0.65),
        Look((240, 198, 172), (150, 104, 58), "long", (150, 40, 58), 2.0, (60, 60, 72),
             (70, 110, 140), (196, 92, 96)),
        View(1.95, 4.0, 0.0, 1.04, (-0.5, -0.8, 0.55), 0.80, 0.44, 0.0),
        Room("gradient", (158, 178, 204), (214, 222, 232)), 1.12, 0.92,
    ),
    Signer(
        2, "train", True,
        Shape(0.10, 0.75, 0.52, 0.62, 0.60, 0.50),
        Look((196, 144, 108), (32, 28, 26), "crop", (224, 222, 214), 2.0, (60, 70, 96),
             (58, 40, 26), (150, 84, 76)),
        View(2.10, -4.0, 3.0, 1.09, (0.6, -0.7, 0.5), 0.82, 0.44, -0.1),
        Room("door", (198, 190, 172), (136, 100, 66)), 0.92, 1.08,
    ),
    Signer(
        3, "train", False,
        Shape(0.90, 0.70, 0.55, 0.60, 0.45, 0.55),
        Look((144, 98, 70), (24, 20, 20), "bun", (206, 200, 222), 0.5, (40, 40, 46),
             (46, 30, 20), (124, 60, 62)),
        View(2.00, 3.0, -2.0, 1.02, (-0.3, -0.9, 0.6), 0.98, 0.50, 0.15),
        Room("shelf", (176, 190, 178), (126, 92, 64)), 1.05, 0.95,
    ),
    Signer(
        4, "train", False,
        Shape(0.00, 0.92, 0.45, 0.55, 0.50, 0.50),
        Look((232, 186, 162), (150, 148, 146), "short", (72, 104, 78), 2.0, (78, 70, 60),
             (88, 120, 140), (176, 104, 98)),
        View(2.15, -2.0, 1.0, 1.04, (0.2, -0.8, 0.8), 0.76, 0.50, 0.2),
        Room("pictures", (206, 200, 204), (96, 80, 110)), 0.90, 1.00,
    ),
    Signer(
        5, "val", False,
        Shape(1.00, 0.66, 0.48, 0.42, 0.58, 0.70),
        Look((214, 164, 128), (44, 28, 24), "bob", (84, 60, 120), 0.8, (50, 50, 58),
             (84, 58, 34), (180, 80, 88)),
        View(2.00, 2.0, 2.0, 1.05, (0.5, -0.8, 0.6), 0.84, 0.44, 0.0),
        Room("panels", (180, 204, 206), (150, 178, 184)), 1.08, 1.04,
    ),
    Signer(
        6, "test", False,
        Shape(0.08, 0.64, 0.70, 0.46, 0.66, 0.62),
        Look((132, 92, 68), (20, 18, 18), "crop", (170, 192, 214), 0.55, (66, 70, 80),
             (40, 28, 20), (122, 66, 64)),
        View(2.10, -3.0, 1.0, 1.10, (-0.4, -0.8, 0.6), 1.05, 0.54, 0.05),
        Room("window", (204, 206, 200), (150, 184, 214)), 0.96, 1.06,
    ),
    Signer(
        7, "test", False,
        Shape(0.92, 0.88, 0.48, 0.58, 0.48, 0.55),
        Look((244, 206, 186), (196, 160, 104), "bob", (58, 128, 132), 2.0, (72, 66, 70),
             (96, 124, 96), (200, 108, 110)),
        View(2.00, 4.0, 3.0, 1.02, (0.3, -0.85, 0.55), 0.76, 0.46, -0.15),
        Room("board", (214, 206, 190), (58, 88, 72)), 1.02, 0.96,
    ),
)  # fmt: skip
"""The eight signers of the demo; the split is by signer."""
