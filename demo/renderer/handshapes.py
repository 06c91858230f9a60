"""Handshapes as data: flexion and spread of the fingers, position of the thumb."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Row = tuple[float, float, float]


@dataclass(frozen=True)
class Handshape:
    """Angles in degrees, forefinger to little finger; thumb directions in the hand's axes.

    `flex`: (4,3) flexion of the three phalanges, each relative to the bone before it.
    `spread`: (4,) sideways angle of each finger, towards the thumb positive.
    `thumb`: three bone directions along (fingers, thumb side, out of the palm).
    """

    flex: tuple[Row, Row, Row, Row]
    spread: tuple[float, float, float, float]
    thumb: tuple[Row, Row, Row]

    def angles(self) -> npt.NDArray[np.float64]:
        """All numbers as one row (12 + 4 + 9,), for blending shapes."""
        return np.concatenate(
            [np.ravel(self.flex), np.ravel(self.spread), np.ravel(self.thumb)]
        ).astype(np.float64)


_STRAIGHT: Row = (4.0, 5.0, 3.0)
_CURLED: Row = (80.0, 98.0, 62.0)
_THUMB_OUT = ((0.62, 0.72, 0.30), (0.55, 0.82, 0.12), (0.58, 0.81, 0.05))
_THUMB_ALONG = ((0.80, 0.48, 0.36), (0.97, 0.20, 0.14), (0.99, 0.06, 0.10))
_THUMB_ACROSS = ((0.62, 0.42, 0.66), (0.62, -0.32, 0.72), (0.30, -0.86, 0.42))
_THUMB_OPPOSED = ((0.55, 0.30, 0.78), (0.72, 0.02, 0.69), (0.86, -0.10, 0.50))
_THUMB_LOOSE = ((0.72, 0.52, 0.46), (0.86, 0.40, 0.32), (0.93, 0.26, 0.26))

HANDSHAPES: dict[str, Handshape] = {
    "flat": Handshape((_STRAIGHT,) * 4, (2.0, 0.0, -2.0, -4.0), _THUMB_ALONG),
    "five": Handshape((_STRAIGHT,) * 4, (15.0, 3.0, -9.0, -22.0), _THUMB_OUT),
    "fist": Handshape((_CURLED,) * 4, (2.0, 0.0, -2.0, -4.0), _THUMB_ACROSS),
    "point": Handshape(
        (_STRAIGHT, _CURLED, _CURLED, _CURLED), (2.0, 0.0, -2.0, -4.0), _THUMB_ACROSS
    ),
    "vee": Handshape(
        (_STRAIGHT, _STRAIGHT, _CURLED, _CURLED), (13.0, -11.0, -3.0, -5.0), _THUMB_ACROSS
    ),
    "bunch": Handshape(
        ((62.0, 38.0, 16.0), (66.0, 36.0, 16.0), (66.0, 38.0, 16.0), (64.0, 42.0, 18.0)),
        (-3.0, 0.0, 3.0, 8.0),
        _THUMB_OPPOSED,
    ),
    "loose": Handshape(
        ((22.0, 26.0, 14.0), (26.0, 30.0, 16.0), (30.0, 32.0, 18.0), (32.0, 34.0, 18.0)),
        (4.0, 1.0, -2.0, -6.0),
        _THUMB_LOOSE,
    ),
}
