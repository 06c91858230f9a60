"""Keypoints of a clip to the values of a landmark stream; pure numpy.

One-dimensional convolutions on few, normalised landmarks won the Google Isolated Sign Language
Recognition competition (Kaggle, 2023); repaired and normalised hands are from Roh et al. (2024).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.data.skeleton_transform import trimmed
from slr_pipeline.features.arrays import Floats
from slr_pipeline.features.hand_gaps import closed_gaps
from slr_pipeline.features.landmarks import (
    HANDS,
    SHAPE_VALUES,
    Points,
    at_moments,
    hand_shape,
    in_body_frame,
    movement,
)
from slr_pipeline.schema import LandmarkRepresentation
from slr_pipeline.skeleton import FLIP_57

Array = NDArray[np.float32]

MOVEMENT = 10.0
"""Factor of movements, so that they are about as large as positions."""

MASKED_FRAMES = 0.3
"""The largest share of a clip that a time mask, or the time without a hand, covers."""


@dataclass(frozen=True)
class LandmarkTransform:
    """Keypoints (T, 133, 3) to the values (C, frames) of a landmark stream.

    Position: the 57 points in the frame of the body, and the shapes of both hands. Motion: their
    first and second differences. Both: whether each hand is seen. See `features.landmarks`.

    The fields are settings of `LandmarkSettings`. The augmentation is one affine map of the body's
    frame for the whole clip.
    """

    representation: LandmarkRepresentation
    frames: int
    trim: bool
    flip_probability: float
    speed_range: float
    rotation_deg: float
    scale_range: float
    shear_range: float
    shift_range: float
    time_masks: int
    hand_drop_probability: float

    def __call__(
        self,
        keypoints: Array,
        rng: np.random.Generator | None,
        *,
        mirror: bool = False,
        speed: float = 1.0,
    ) -> Array:
        """Return the values (C, frames) augmented by `rng`; `keypoints` have T >= 1 frames.

        Without `rng`, `mirror` shows the mirrored person. At a lower `speed` the middle part of the
        clip is seen, at a higher one its ends are held.
        """
        closed, _ = closed_gaps(keypoints)
        points = in_body_frame(trimmed(closed) if self.trim else closed)
        if rng is not None:
            mirror = rng.random() < self.flip_probability
        if mirror:
            points = mirrored(points)
        if rng is None:
            T = len(points.xy)
            moments = self._moments(T) * speed + (1 - speed) * (T - 1) / 2
            return self._values(at_moments(points, moments))
        points = at_moments(points, self._random_moments(len(points.xy), rng))
        return self._values(self._without(self._moved(points, rng), rng))

    def _moments(self, T: int) -> Floats:
        """The middles of equal parts of a clip."""
        return (np.arange(self.frames) + 0.5) * T / self.frames - 0.5

    def _random_moments(self, T: int, rng: np.random.Generator) -> Floats:
        """Moments at another speed, over a part of the clip or beyond both of its ends."""
        speed = 1 + rng.uniform(-self.speed_range, self.speed_range)
        spare = T * (1 - speed)
        return self._moments(T) * speed + rng.uniform(min(spare, 0), max(spare, 0))

    def _moved(self, points: Points, rng: np.random.Generator) -> Points:
        """All points of the clip turned, scaled, sheared and shifted together."""
        angle = np.deg2rad(rng.uniform(-self.rotation_deg, self.rotation_deg))
        scale = 1 + rng.uniform(-self.scale_range, self.scale_range, 2) * (1, 0.5)
        shear = rng.uniform(-self.shear_range, self.shear_range)
        shift = rng.uniform(-self.shift_range, self.shift_range, 2)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, sin], [-sin, cos]])
        form = scale[0] * np.array([[scale[1], 0], [shear, 1]])
        return Points((points.xy @ form @ turn + shift) * points.seen[..., None], points.seen)

    def _without(self, points: Points, rng: np.random.Generator) -> Points:
        """Points of which none is seen for some short times, and one hand for another."""
        seen = points.seen.copy()
        T = len(seen)
        for _ in range(self.time_masks):
            seen[_random_span(T, rng)] = False
        if rng.random() < self.hand_drop_probability:
            seen[_random_span(T, rng), HANDS[rng.integers(2)]] = False
        return Points(points.xy * seen[..., None], seen)

    def _values(self, points: Points) -> Array:
        T = len(points.xy)
        hands = np.stack([points.seen[:, hand].any(axis=1) for hand in HANDS], axis=1)
        values = [points.xy.reshape(T, -1), *(hand_shape(points, hand) for hand in HANDS)]
        if self.representation == "motion":
            there = [np.repeat(points.seen, 2, axis=1), np.repeat(hands, SHAPE_VALUES, axis=1)]
            both = np.concatenate(there, axis=1)
            first = movement(np.concatenate(values, axis=1), both)
            values = [MOVEMENT * first, MOVEMENT * movement(first, both)]
        stacked = np.concatenate([*values, hands], axis=1)
        return np.ascontiguousarray(stacked.T, dtype=np.float32)


def mirrored(points: Points) -> Points:
    """The points of the mirrored person."""
    return Points(points.xy[:, FLIP_57] * (-1, 1), points.seen[:, FLIP_57])


def _random_span(T: int, rng: np.random.Generator) -> slice:
    length = int(rng.integers(0, int(MASKED_FRAMES * T) + 1))
    start = int(rng.integers(0, T - length + 1))
    return slice(start, start + length)
