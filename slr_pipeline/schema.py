"""The meaning of every feature: dims, shape, dtype, units and version. Data only."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Fidelity = Literal["published", "corrected"]
"""`published` repeats the released code, slips included; `corrected` does what the papers mean."""

Feature = Literal[
    "keypoints",
    "frames",
    "hand_crops",
    "depth_hand_crops",
    "pose_flow",
    "flow",
    "depth_flow",
    "hha",
    "heatmaps",
]
"""The names of the features."""

Representation = Literal["joint", "bone", "joint_motion", "bone_motion"]
"""Input of a skeleton stream: positions, vectors from parent to child, or their motion."""

LandmarkRepresentation = Literal["position", "motion"]
"""Input of a landmark stream: positions and shapes of the hands, or their first and second
differences over time."""

LANDMARK_VALUES: dict[LandmarkRepresentation, int] = {"position": 256, "motion": 510}
"""Values of a frame of a landmark stream."""

NO_MOVEMENT = 128
"""The byte of flow that means no movement."""


class Change(NamedTuple):
    """The part of a training item's augmentation that the device of the model applies."""

    mirrored: float = False
    angle_rad: float = 0.0
    """Clockwise rotation of the pictures, which flow vectors follow."""
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


class SampleView(NamedTuple):
    """How an item of evaluation shows a sample; the default also in training.

    Clip number `clip` from 0 of `clips` clips of its pictures; mirrored; `speed` times as fast.
    """

    clip: int = 0
    clips: int = 1
    mirrored: bool = False
    speed: float = 1.0


@dataclass(frozen=True)
class FeatureSchema:
    """One feature. `shape` is per frame; raise `version` when the values change meaning.

    `pictures` is the number of JPEG pictures per frame, 0 for plain numbers, and `boxes` that of
    boxes. `frames` is T if it does not depend on the video. `counts` are the attributes that count
    something over the clips of a file.
    """

    version: int
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    units: str
    pictures: int = 0
    boxes: int = 0
    frames: int | None = None
    counts: tuple[str, ...] = ()


_FLOW = FeatureSchema(
    version=1,
    dims=("frame", "component", "y", "x"),
    shape=(2, 256, 256),
    dtype="uint8",
    units="round(255 (v + bound_px) / (2 bound_px)), v in px of the crop a frame; x, then y",
    pictures=2,
    boxes=1,
    counts=("clips_without_person",),
)

FEATURES: dict[str, FeatureSchema] = {
    "keypoints": FeatureSchema(
        version=2,
        dims=("frame", "keypoint", "channel"),
        shape=(133, 3),
        dtype="float32",
        units="px, px, score in [0, 1]",
    ),
    "frames": FeatureSchema(
        version=1,
        dims=("frame", "y", "x", "channel"),
        shape=(256, 256, 3),
        dtype="uint8",
        units="sRGB",
        pictures=1,
        boxes=1,
        counts=("clips_without_person",),
    ),
    "hand_crops": FeatureSchema(
        version=1,
        dims=("frame", "hand", "y", "x", "channel"),
        shape=(2, 256, 256, 3),
        dtype="uint8",
        units="sRGB; left hand, then right hand",
        pictures=2,
        boxes=2,
        counts=("missing_boxes", "imputed_boxes"),
    ),
    "depth_hand_crops": FeatureSchema(
        version=1,
        dims=("frame", "hand", "y", "x"),
        shape=(2, 256, 256),
        dtype="uint8",
        units="grey of the depth video; left hand, then right hand",
        pictures=2,
        boxes=2,
        counts=("missing_boxes", "imputed_boxes"),
    ),
    "pose_flow": FeatureSchema(
        version=1,
        dims=("frame", "value"),
        shape=(106,),
        dtype="float32",
        units="angle / pi and magnitude in head lengths a frame, of 53 keypoints in turn",
        counts=("zero_neck_frames", "keypoints_never_seen"),
    ),
    "flow": _FLOW,
    "depth_flow": _FLOW,
    "hha": FeatureSchema(
        version=2,
        dims=("frame", "y", "x", "channel"),
        shape=(256, 256, 3),
        dtype="uint8",
        units="31000 / depth in cm, height in cm, angle with gravity in degrees + 38",
        pictures=1,
        boxes=1,
        counts=("clips_without_person", "empty_frames"),
    ),
    "heatmaps": FeatureSchema(
        version=1,
        dims=("frame", "keypoint", "y", "x"),
        shape=(33, 24, 24),
        dtype="uint8",
        units="255 x heat-map value",
        frames=60,
    ),
}
DEPTH_FEATURES = ("depth_hand_crops", "depth_flow", "hha")
"""Features from the depth video, which no stream of track `rgb` may read."""
PICTURE_FEATURES = tuple(name for name, schema in FEATURES.items() if schema.pictures)
"""Features stored as pictures; they take nearly all of the disk space of a run."""
