"""MediaPipe Holistic as a whole-body estimator: its 33 + 21 + 21 + 468 points become the 133.

It follows one person (the most prominent) through the video. Its models come with the wheel of the
release named below, so nothing is downloaded; later wheels lack them.

Scores: a body or foot point has the model's visibility; all points of a hand or of the face share
the presence score of that hand or face in the frame, at least `MIN_SCORE`. A hand of the second
look (`second_look`) has the probability of its side instead. A point outside the picture keeps its
coordinates: without it, a hand at the border would jump to the corner.

MediaPipe has no small toes: these two keypoints are always missing. Its foot index is the big toe.
"""

import hashlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import MediapipeSettings
from slr_pipeline.errors import SlrError
from slr_pipeline.io.feature_writer import Attributes
from slr_pipeline.io.video import sha256_of
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.pose.landmarks import (
    FACE_SOURCE,
    PLOTTING,
    POSE_SOURCE,
    POSE_TARGET,
    deferred_stderr,
    to_pixels,
)
from slr_pipeline.pose.second_look import MIN_PALM, SURE, FoundHand, SecondLook
from slr_pipeline.pose.stand_ins import stand_ins
from slr_pipeline.skeleton import FACE, LEFT_HAND, RIGHT_HAND

VERSION: Final = "0.10.21"

_INSTALL: Final = (
    "pip install --no-deps -r requirements/pose.txt"
    if sys.version_info < (3, 13)
    else "it has no wheels for Python 3.13 and later; set estimator: mediapipe_tasks, or use "
    "Python 3.11 or 3.12"
)

_GRAPH: Final = "modules/holistic_landmark/holistic_landmark_cpu.binarypb"
_HANDS_GRAPH: Final = "modules/hand_landmark/hand_landmark_tracking_cpu.binarypb"
_MODELS: Final = (
    _GRAPH,
    "modules/face_detection/face_detection_short_range.tflite",
    "modules/face_landmark/face_landmark.tflite",
    "modules/hand_landmark/hand_landmark_full.tflite",
    "modules/holistic_landmark/hand_recrop.tflite",
    "modules/pose_detection/pose_detection.tflite",
    "modules/pose_landmark/pose_landmark_full.tflite",
    _HANDS_GRAPH,
    "modules/palm_detection/palm_detection_full.tflite",
)

# Inner streams of the graph: the presence scores, which its outputs lack.
_HAND: Final = "handlandmarksleftandrightcpu__handlandmarksfromposecpu_{}__handlandmarkcpu__"
_LEFT_HAND_SCORE: Final = _HAND.format(1) + "hand_presence_score"
_RIGHT_HAND_SCORE: Final = _HAND.format(2) + "hand_presence_score"
_FACE_SCORE: Final = "facelandmarksfromposecpu__facelandmarkcpu__face_presence_score"
_OUTPUTS: Final = (
    "pose_landmarks",
    "left_hand_landmarks",
    "right_hand_landmarks",
    "face_landmarks",
    _LEFT_HAND_SCORE,
    _RIGHT_HAND_SCORE,
    _FACE_SCORE,
)

_DETECTION_THRESHOLD: Final = (
    "poselandmarkcpu__posedetectioncpu__TensorsToDetectionsCalculator.min_score_thresh"
)
_TRACKING_THRESHOLD: Final = (
    "poselandmarkcpu__poselandmarkbyroicpu__tensorstoposelandmarksandsegmentation__"
    "ThresholdingCalculator.threshold"
)
_HAND_THRESHOLDS: Final = tuple(
    _HAND.format(side) + "ThresholdingCalculator.threshold" for side in (1, 2)
)
_HAND_PRESENCE: Final = 0.05
"""Least presence of a hand. MediaPipe's own 0.5 loses blurred, closed and edge-on hands."""

# The graph of the second look: it finds hands in a picture without the pose.
_PALM_THRESHOLD: Final = "palmdetectioncpu__TensorsToDetectionsCalculator.min_score_thresh"
_PRESENCE_THRESHOLD: Final = "handlandmarkcpu__ThresholdingCalculator.threshold"
_SIDES: Final = {"Right": "left", "Left": "right"}  # the graph takes the picture as mirrored


class MediaPipeHolistic:
    """MediaPipe Holistic, middle model, tracking from frame to frame; a `PoseEstimator`.

    SlrError where MediaPipe is not installed.
    """

    def __init__(self, settings: MediapipeSettings) -> None:
        try:
            installed = importlib.metadata.version("mediapipe")
        except importlib.metadata.PackageNotFoundError:
            installed = "none"
        if installed != VERSION:
            raise SlrError(
                f"the estimator needs mediapipe {VERSION}, found {installed}: {_INSTALL}"
            )
        with deferred_stderr(), stand_ins(*PLOTTING):
            try:
                import mediapipe
                from mediapipe.python.solution_base import SolutionBase
            except ImportError as error:
                raise SlrError(f"mediapipe cannot be imported ({error}): {_INSTALL}") from error
        self._solution_base = SolutionBase
        with deferred_stderr():
            self._second_look = SecondLook(HandGraph(SolutionBase))
        self._thresholds = {
            _DETECTION_THRESHOLD: settings.min_detection_confidence,
            _TRACKING_THRESHOLD: settings.min_tracking_confidence,
            **dict.fromkeys(_HAND_THRESHOLDS, _HAND_PRESENCE),
        }
        self.name = f"mediapipe-{VERSION}-holistic"
        self.attributes: Attributes = {}
        self.weights_sha256 = _digest(Path(mediapipe.__file__).parent)

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """See `PoseEstimator.estimate`.

        The same frames give the same bytes on the same kind of processor.
        """
        graph = None
        keypoints = []
        try:
            for frame in clip.frames:
                if graph is None:  # a new graph for each video, 20 ms: no state is kept
                    with deferred_stderr():
                        graph = self._open_graph()
                        result = graph.process({"image": frame})
                else:
                    result = graph.process({"image": frame})
                found = _keypoints(result, width=frame.shape[1], height=frame.shape[0])
                self._second_look.correct(frame, found)
                keypoints.append(found)
        finally:
            if graph is not None:
                graph.close()
        return np.stack(keypoints) if keypoints else np.zeros((0, 133, 3), np.float32)

    def _open_graph(self) -> Any:
        return self._solution_base(
            binary_graph_path=f"mediapipe/{_GRAPH}",
            side_inputs={
                "model_complexity": 1,  # the only model in the wheel
                # Filters body and feet only. On the demo, shoulders jitter by 0.3 instead of 1.8
                # of 512 px, but fast wrists lag: PCK@0.1 of 96 instead of 99 %. Hands do not lag.
                "smooth_landmarks": True,
                "enable_segmentation": False,
                "smooth_segmentation": False,
                "refine_face_landmarks": False,
                "use_prev_landmarks": True,
            },
            calculator_params=self._thresholds,
            outputs=list(_OUTPUTS),
        )


def _keypoints(result: Any, *, width: int, height: int) -> NDArray[np.float32]:
    """Keypoints (133, 3) in px from the results for one frame."""
    keypoints = np.zeros((133, 3), np.float32)
    if result.pose_landmarks is not None:
        pose = result.pose_landmarks.landmark
        points = [(pose[i].x, pose[i].y, pose[i].visibility) for i in POSE_SOURCE]
        keypoints[POSE_TARGET] = points
    parts = (
        (LEFT_HAND, result.left_hand_landmarks, range(21), _LEFT_HAND_SCORE),
        (RIGHT_HAND, result.right_hand_landmarks, range(21), _RIGHT_HAND_SCORE),
        (FACE, result.face_landmarks, FACE_SOURCE, _FACE_SCORE),
    )
    for target, landmarks, source, score in parts:
        if landmarks is not None:
            part = landmarks.landmark
            presence = getattr(result, score)
            keypoints[target] = [(part[i].x, part[i].y, presence) for i in source]
    to_pixels(keypoints, width=width, height=height)
    return keypoints


class HandGraph:
    """The palm and hand models of the wheel; a `HandFinder`. Keeps no state between pictures."""

    def __init__(self, solution_base: Any) -> None:
        self._graph = solution_base(
            binary_graph_path=f"mediapipe/{_HANDS_GRAPH}",
            side_inputs={"model_complexity": 1, "num_hands": 2, "use_prev_landmarks": False},
            calculator_params={_PALM_THRESHOLD: MIN_PALM, _PRESENCE_THRESHOLD: SURE},
            outputs=["multi_hand_landmarks", "multi_handedness"],
        )
        # Its threads log at the start: wait for that here.
        self._graph.process({"image": np.zeros((8, 8, 3), np.uint8)})

    def __call__(self, picture: NDArray[np.uint8]) -> Iterator[FoundHand]:
        """See `HandFinder`."""
        result = self._graph.process({"image": picture})
        for landmarks, sides in zip(
            result.multi_hand_landmarks or (), result.multi_handedness or (), strict=True
        ):
            side = sides.classification[0]
            points = [(point.x, point.y, side.score) for point in landmarks.landmark]
            yield _SIDES[side.label], np.array(points)


def _digest(package: Path) -> str:
    """One SHA-256 of the names and digests of the model files and of their graph."""
    lines = (f"{sha256_of(package / model)}  {model}\n" for model in _MODELS)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
