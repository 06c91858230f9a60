"""MediaPipe's landmark tasks as a whole-body estimator: pose, hands and face become the 133.

The pose is followed through the video. The face and the hands are searched around its nose and its
wrists, in each frame independently; the hands as in the second look of `pose.second_look`. On the
rendered demo, a search in the whole frame finds fewer hands. The models are files of their own.

Scores: a body or foot point has the model's visibility; all points of a hand share the probability
of its side; those of the face have 1, because the tasks give no presence. A point outside the
picture keeps its coordinates. The two small toes are always missing.
"""

import hashlib
import importlib.metadata
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import MediapipeTasksSettings, WeightsFile
from slr_pipeline.config.weights import how_to_get
from slr_pipeline.errors import ArtifactError, SlrError
from slr_pipeline.io.feature_writer import Attributes
from slr_pipeline.io.foreign.weights import check_sha256
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.pose.landmarks import (
    FACE_SOURCE,
    MIN_SCORE,
    PLOTTING,
    POSE_SOURCE,
    POSE_TARGET,
    deferred_stderr,
    to_pixels,
)
from slr_pipeline.pose.second_look import MIN_PALM, SURE, FoundHand, SecondLook, inside, square_crop
from slr_pipeline.pose.stand_ins import stand_ins
from slr_pipeline.skeleton import FACE, KEYPOINTS_133, SHOULDERS
from slr_pipeline.text import shown

_INSTALL: Final = "pip install --no-deps -r requirements/tasks.txt"

_HEAD_SIDE: Final = 1.5
"""Side of the crop around the nose, relative to the shoulder width or the distance from the middle
of the shoulders to the nose, whichever is longer."""

_NOSE: Final = KEYPOINTS_133.index("nose")

_KEPT: Final[list[Any]] = []
"""Landmarkers that stay open: MediaPipe waits for ever when the garbage collector closes one."""


class MediaPipeTasks:
    """The landmarkers of pose, hands and face of MediaPipe's Tasks API; a `PoseEstimator`.

    SlrError where MediaPipe 1 or later is not installed, DataError for a missing model file,
    ArtifactError for one with another SHA-256 or another content.
    """

    def __init__(self, settings: MediapipeTasksSettings) -> None:
        self.name = f"mediapipe-{_installed()}-tasks"
        self.attributes: Attributes = {}
        files = {"pose": settings.pose, "hand": settings.hand, "face": settings.face}
        digests = (
            f"{check_sha256(file.path, file.sha256)}  {part}\n" for part, file in files.items()
        )
        self.weights_sha256 = hashlib.sha256("".join(digests).encode()).hexdigest()
        self._settings = settings
        with deferred_stderr(), stand_ins(*PLOTTING):
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            self._mediapipe: Any = mediapipe
            self._pose = vision.PoseLandmarker
            self._pose_options = vision.PoseLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=settings.pose.path),
                running_mode=vision.RunningMode.VIDEO,
            )
            hand_options = vision.HandLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=settings.hand.path),
                num_hands=2,
                min_hand_detection_confidence=MIN_PALM,
                min_hand_presence_confidence=SURE,
            )
            face_options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=settings.face.path)
            )
            self._open_pose().close()  # checks the file before the first clip
            self._hands = _open(vision.HandLandmarker, hand_options, settings.hand)
            self._face = _open(vision.FaceLandmarker, face_options, settings.face)
            _KEPT.extend((self._hands, self._face))
            blank = self._image(np.zeros((8, 8, 3), np.uint8))
            for landmarker in (self._hands, self._face):
                landmarker.detect(blank)  # its threads log at the first picture
        self._second_look = SecondLook(self._find_hands)

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """See `PoseEstimator.estimate`.

        The same frames give the same bytes on the same kind of processor.
        """
        keypoints = []
        frame_ms = max(1000 / clip.fps, 1.0)  # the tracker refuses equal times
        with ExitStack() as stack:
            for index, frame in enumerate(clip.frames):
                first = index == 0
                with deferred_stderr() if first else nullcontext():
                    if first:  # a new tracker for each video: no state is kept
                        tracker = self._open_pose()
                        stack.callback(_close, tracker)
                    result = tracker.detect_for_video(self._image(frame), round(index * frame_ms))
                keypoints.append(self._keypoints(frame, result))
        return np.stack(keypoints) if keypoints else np.zeros((0, 133, 3), np.float32)

    def _keypoints(self, frame: NDArray[np.uint8], result: Any) -> NDArray[np.float32]:
        """Keypoints (133, 3) in px of a frame from the landmarks of its pose."""
        keypoints = np.zeros((133, 3), np.float32)
        if result.pose_landmarks:
            pose = result.pose_landmarks[0]
            points = [(pose[i].x, pose[i].y, pose[i].visibility) for i in POSE_SOURCE]
            keypoints[POSE_TARGET] = points
            to_pixels(keypoints, width=frame.shape[1], height=frame.shape[0])
            self._add_face(frame, keypoints)
            self._second_look.correct(frame, keypoints)
        return keypoints

    def _add_face(self, frame: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> None:
        nose = keypoints[_NOSE, :2]
        if not inside(nose, (0, 0, frame.shape[1], frame.shape[0])):
            return
        left, right = (keypoints[shoulder, :2] for shoulder in SHOULDERS)
        size = max(np.linalg.norm(left - right), np.linalg.norm(nose - (left + right) / 2))
        crop, corner = square_crop(frame, nose, _HEAD_SIDE * size)
        faces = self._face.detect(self._image(crop)).face_landmarks
        if faces:
            points = np.array([(faces[0][i].x, faces[0][i].y) for i in FACE_SOURCE])
            keypoints[FACE, :2] = points * len(crop) + corner
            keypoints[FACE, 2] = 1

    def _find_hands(self, picture: NDArray[np.uint8]) -> Iterator[FoundHand]:
        """See `HandFinder`."""
        result = self._hands.detect(self._image(picture))
        for landmarks, sides in zip(result.hand_landmarks, result.handedness, strict=True):
            score = max(sides[0].score, MIN_SCORE)
            points = [(point.x, point.y, score) for point in landmarks]
            yield sides[0].category_name.lower(), np.array(points)

    def _image(self, picture: NDArray[np.uint8]) -> Any:
        data = np.ascontiguousarray(picture)
        return self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=data)

    def _open_pose(self) -> Any:
        return _open(self._pose, self._pose_options, self._settings.pose)


def _open(landmarker: Any, options: Any, file: WeightsFile) -> Any:
    try:
        return landmarker.create_from_options(options)
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(
            f"{file.path}: not a complete model of MediaPipe's {landmarker.__name__} "
            f"({shown(str(error).splitlines()[0][:200])}); {how_to_get(file.path)}"
        ) from error


@deferred_stderr()
def _close(landmarker: Any) -> None:
    landmarker.close()


def _installed() -> str:
    """The installed release of MediaPipe; SlrError unless it is 1 or later."""
    try:
        installed = importlib.metadata.version("mediapipe")
    except importlib.metadata.PackageNotFoundError:
        installed = "none"
    if not installed.partition(".")[0].isdecimal() or installed.startswith("0."):
        raise SlrError(
            f"the estimator needs mediapipe 1.2.3 or later, found {installed}: {_INSTALL}"
        )
    return installed
