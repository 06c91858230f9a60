"""Hands of MediaPipe Holistic checked, and a second look at those that it missed.

Holistic places a hand by the body's wrist. It loses hands that touch the face or the other hand,
and follows hands below the picture. Here a palm detector searches around the wrist instead.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.keypoint_quality import hands_at_one_place
from slr_pipeline.skeleton import KEYPOINTS_133, LEFT_HAND, RIGHT_HAND, SHOULDERS

GRAPH: Final = "modules/hand_landmark/hand_landmark_tracking_cpu.binarypb"
PALM_MODEL: Final = "modules/palm_detection/palm_detection_full.tflite"

MIN_VISIBILITY: Final = 0.5
"""Least visibility of a wrist for a second look."""

_SURE: Final = 0.5
"""Least presence of a hand that needs no second look."""

FLAT: Final = 16
"""A row or column of a frame belongs to its bars if its grey values differ by no more."""

_CROP_SIDE: Final = 1.2
"""Side of the crop, relative to the shoulder width or the forearm, whichever is longer."""
_BEYOND_WRIST: Final = 0.25
"""The crop's centre lies beyond the wrist by this share of the forearm."""

_PALM: Final = "palmdetectioncpu__TensorsToDetectionsCalculator.min_score_thresh"
_PRESENCE: Final = "handlandmarkcpu__ThresholdingCalculator.threshold"

Frame = NDArray[np.uint8]
Keypoints = NDArray[np.float32]

_SIDES: Final[tuple[tuple[range, int, int, str], ...]] = tuple(
    (hand, KEYPOINTS_133.index(f"{side}_elbow"), KEYPOINTS_133.index(f"{side}_wrist"), label)
    for side, hand, label in (("left", LEFT_HAND, "Right"), ("right", RIGHT_HAND, "Left"))
)
"""Hand, elbow, wrist, and the hand's name in the graph, which takes the picture as mirrored."""


class SecondLook:
    """The palm and hand models of MediaPipe's wheel on crops; keeps no state between frames."""

    def __init__(self, solution_base: Any) -> None:
        self._graph = solution_base(
            binary_graph_path=f"mediapipe/{GRAPH}",
            side_inputs={"model_complexity": 1, "num_hands": 2, "use_prev_landmarks": False},
            calculator_params={_PALM: 0.3, _PRESENCE: _SURE},
            outputs=["multi_hand_landmarks", "multi_handedness"],
        )
        # Its threads log at the start: wait for that here.
        self._graph.process({"image": np.zeros((8, 8, 3), np.uint8)})

    def correct(self, frame: Frame, keypoints: Keypoints) -> None:
        """Correct the hands of keypoints (133, 3) of a frame (H, W, 3) RGB in place.

        A hand outside the picture, and one of two hands at the same place, become missing. A hand
        that is missing or of low presence is searched around its wrist if that is visible in the
        picture; the score of one found there is the probability that it is a hand of that side.
        """
        box = picture_box(frame)
        drop_outside(keypoints, box)
        drop_twin(keypoints)
        shoulders = keypoints[SHOULDERS[0], :2] - keypoints[SHOULDERS[1], :2]
        for hand, elbow, wrist, label in _SIDES:
            place, visibility = keypoints[wrist, :2], keypoints[wrist, 2]
            weak = keypoints[hand.start, 2] < _SURE
            if weak and visibility >= MIN_VISIBILITY and inside(place, box).all():
                forearm = place - keypoints[elbow, :2]
                side_px = _CROP_SIDE * max(np.linalg.norm(part) for part in (shoulders, forearm))
                found = self._search(frame, place + _BEYOND_WRIST * forearm, side_px, label)
                if found is not None:
                    before = keypoints[hand].copy()
                    keypoints[hand] = found
                    drop_outside(keypoints, box)
                    if hands_at_one_place(keypoints[None])[0]:
                        keypoints[hand] = before

    def _search(
        self, frame: Frame, center: NDArray[np.float32], side_px: np.floating, label: str
    ) -> Keypoints | None:
        """The most probable hand of a side (21, 3) in a square of the frame, or None."""
        side = max(round(side_px), 2)
        left, top = (round(float(value) - side / 2) for value in center)
        part = frame[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
        crop = np.zeros((side, side, 3), np.uint8)
        y, x = max(-top, 0), max(-left, 0)
        crop[y : y + part.shape[0], x : x + part.shape[1]] = part
        result = self._graph.process({"image": crop})
        best = None
        for landmarks, sides in zip(
            result.multi_hand_landmarks or (), result.multi_handedness or (), strict=True
        ):
            name, score = sides.classification[0].label, sides.classification[0].score
            if name == label and (best is None or score > best[0, 2]):
                points = [(left + side * p.x, top + side * p.y, score) for p in landmarks.landmark]
                best = np.array(points, np.float32)
        return best


def picture_box(frame: Frame) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (exclusive) in px of a frame without its bars; all 0 if it is flat.

    Bars are rows and columns of one colour at the rim, as players add them to fill a screen.
    """
    grey = frame[..., 1]
    ends = []
    for axis in (0, 1):
        spread = grey.max(axis=axis) - grey.min(axis=axis)
        varied = np.flatnonzero(spread > FLAT)
        ends.append((int(varied[0]), int(varied[-1]) + 1) if len(varied) else (0, 0))
    (left, right), (top, bottom) = ends
    return left, top, right, bottom


def inside(points: Keypoints, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Which points (..., 2) lie in a box (left, top, right, bottom)."""
    corner, end = np.array(box[:2]), np.array(box[2:])
    return np.asarray(((points >= corner) & (points < end)).all(axis=-1))


def drop_outside(keypoints: Keypoints, box: tuple[int, int, int, int]) -> None:
    """Make hands of (133, 3) missing if less than half of their points lie in the box."""
    for hand in (LEFT_HAND, RIGHT_HAND):
        if inside(keypoints[hand, :2], box).mean() < 0.5:
            keypoints[hand] = 0


def drop_twin(keypoints: Keypoints) -> None:
    """Of two hands at one place, make that one missing which is farther from its wrist."""
    if hands_at_one_place(keypoints[None])[0]:
        away = [
            np.linalg.norm(keypoints[hand.start, :2] - keypoints[wrist, :2])
            for hand, _, wrist, _ in _SIDES
        ]
        keypoints[_SIDES[int(np.argmax(away))][0]] = 0
