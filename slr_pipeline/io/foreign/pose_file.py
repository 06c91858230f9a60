"""`.pose` files of pose-format: Holistic, OpenPose and COCO-WholeBody; needs the extra `formats`.

Points are identified by the names of component and point, so a file may lack some of them.
"""

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.foreign.files import damaged_file, read_bytes
from slr_pipeline.io.foreign.keypoints import ForeignClip, people_in_frames, reorder, to_133
from slr_pipeline.skeleton import (
    BODY,
    BODY_25_HANDS_FACE,
    BODY_135,
    FACE,
    FEET,
    HOLISTIC,
    KEYPOINTS_133,
    LEFT_HAND,
    RIGHT_HAND,
)

if TYPE_CHECKING:
    from pose_format import Pose
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent

MAX_BYTES: Final = 2**30

PLACEHOLDER_SIZE: Final = (1000, 1000)
"""pose-format writes this size where it was given none."""

_VERSIONS: Final = (0.0, 0.1, 0.2)

_INSTALL: Final = "pip install -c requirements/constraints.txt -e '.[formats]'"

_HAND_OF_HOLISTIC: Final = (
    "WRIST",
    *(f"THUMB_{joint}" for joint in ("CMC", "MCP", "IP", "TIP")),
    *(
        f"{finger}_{joint}"
        for finger in ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
        for joint in ("MCP", "PIP", "DIP", "TIP")
    ),
)
_HAND_OF_OPENPOSE: Final = (
    *("BASE", "T_STT", "T_BCMC", "T_MCP", "T_IP"),
    *(f"{finger}_{joint}" for finger in "IMRP" for joint in ("CMC", "MCP", "PIP", "DIP")),
)
_FACE_OF_OPENPOSE: Final = (
    *(f"FB_{i}" for i in range(17)),
    *(f"FEB_{i}" for i in range(17, 27)),
    *(f"FN_{i}" for i in range(27, 36)),
    *(f"FE_{i}" for i in range(36, 48)),
    *(f"FLO_{i}" for i in range(48, 60)),
    *(f"FLI_{i}" for i in range(60, 68)),
    *("FP_68", "FP_69"),
)
_BODY_25: Final = (
    *("Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "MidHip"),
    *("RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar"),
    *("LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel"),
)
_BODY_OF_135: Final = (
    *("Nose", "LEye", "REye", "LEar", "REar", "LShoulder", "RShoulder", "LElbow", "RElbow"),
    *("LWrist", "RWrist", "LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle"),
    *("UpperNeck", "HeadTop"),
    *("LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel"),
)
_HAND_OF_135: Final = (
    *("Thumb1CMC", "Thumb2Knuckles", "Thumb3IP", "Thumb4FingerTip"),
    *(
        f"{finger}{joint}"
        for finger in ("Index", "Middle", "Ring", "Pinky")
        for joint in ("1Knuckles", "2PIP", "3DIP", "4FingerTip")
    ),
)
_FACE_OF_135: Final = (
    *(f"FaceContour{i}" for i in range(17)),
    *(f"REyeBrow{i}" for i in range(5)),
    *(f"LEyeBrow{i}" for i in reversed(range(5))),
    *(f"NoseUpper{i}" for i in range(4)),
    *(f"NoseLower{i}" for i in range(5)),
    *(f"{side}Eye{i}" for side in "RL" for i in range(6)),
    *(f"OMouth{i}" for i in range(12)),
    *(f"IMouth{i}" for i in range(8)),
    *("RPupil", "LPupil"),
)


def _holistic_name(name: str) -> str:
    return name.upper().replace("BIG_TOE", "FOOT_INDEX")


def _slice(names: tuple[str, ...], *parts: range) -> tuple[str, ...]:
    return tuple(names[i] for part in parts for i in part)


_PointNames = tuple[tuple[str, ...], tuple[str, ...]]
"""The points of a component: their names in a file, and in this project."""

_HAND_OF_133: Final = tuple(f"hand_{i}" for i in range(21))
_LAYOUTS: Final[dict[str, dict[str, _PointNames]]] = {
    "coco-wholebody-133": {
        "BODY": (_slice(KEYPOINTS_133, BODY, FEET), _slice(KEYPOINTS_133, BODY, FEET)),
        "FACE": (_slice(KEYPOINTS_133, FACE), _slice(KEYPOINTS_133, FACE)),
        "LEFT_HAND": (_HAND_OF_133, _slice(KEYPOINTS_133, LEFT_HAND)),
        "RIGHT_HAND": (_HAND_OF_133, _slice(KEYPOINTS_133, RIGHT_HAND)),
    },
    "body-135": {
        "BODY_135": (
            (
                *_BODY_OF_135,
                *(f"L{name}" for name in _HAND_OF_135),
                *(f"R{name}" for name in _HAND_OF_135),
                *_FACE_OF_135,
            ),
            BODY_135,
        )
    },
    "body-25": {
        "pose_keypoints_2d": (_BODY_25, BODY_25_HANDS_FACE[:25]),
        "face_keypoints_2d": (_FACE_OF_OPENPOSE, BODY_25_HANDS_FACE[25:95]),
        "hand_left_keypoints_2d": (_HAND_OF_OPENPOSE, BODY_25_HANDS_FACE[95:116]),
        "hand_right_keypoints_2d": (_HAND_OF_OPENPOSE, BODY_25_HANDS_FACE[116:]),
    },
    "holistic": {
        "POSE_LANDMARKS": (tuple(_holistic_name(n) for n in HOLISTIC[:33]), HOLISTIC[:33]),
        "FACE_LANDMARKS": (tuple(str(i) for i in range(468)), HOLISTIC[33:501]),
        "LEFT_HAND_LANDMARKS": (_HAND_OF_HOLISTIC, HOLISTIC[501:522]),
        "RIGHT_HAND_LANDMARKS": (_HAND_OF_HOLISTIC, HOLISTIC[522:]),
    },
}

_COMPONENTS: Final[Mapping[str, _PointNames]] = {
    name: component for layout in _LAYOUTS.values() for name, component in layout.items()
}

_IN_METRES: Final = "POSE_WORLD_LANDMARKS"
"""A component that is not in px; ignored."""


def read_pose(path: Path) -> ForeignClip:
    """Read a `.pose` of format 0.0, 0.1 or 0.2.

    It may have components of Holistic, OpenPose (BODY_25 with hands and face, or BODY_135) and
    COCO-WholeBody. The frame rate is ignored. DataError for other components, ArtifactError for a
    damaged file, SlrError without pose-format.
    """
    data = read_bytes(path, MAX_BYTES)
    _need_pose_format()
    try:
        pose = _parse(path, data)
        names = _names(path, pose.header)
        xy = np.asarray(pose.body.data.data)[..., :2]
        score = np.asarray(pose.body.confidence)
        points = to_133(str(path), np.concatenate([xy, score[..., None]], axis=-1), names)
        size = (pose.header.dimensions.width, pose.header.dimensions.height)
        if min(size) < 1:
            raise DataError(f"{path}: has pictures of {size[0]} x {size[1]} px; make it again")
    except SlrError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise damaged_file(path, ".pose", error) from error
    return ForeignClip(str(path), people_in_frames(str(path), points), size)


def _need_pose_format() -> None:
    try:
        import pose_format  # noqa: F401, PLC0415
    except ImportError as error:
        raise SlrError(f".pose files need pose-format ({error}): {_INSTALL}") from error


def _parse(path: Path, data: bytes) -> "Pose":
    from pose_format import Pose, PoseHeader  # noqa: PLC0415
    from pose_format.numpy import NumPyPoseBody  # noqa: PLC0415
    from pose_format.utils.reader import BufferReader  # noqa: PLC0415

    reader = BufferReader(data)
    header = PoseHeader.read(reader)
    version = round(header.version, 3)
    if version not in _VERSIONS:
        raise DataError(
            f"{path}: .pose of format {version:g}; expected one of {', '.join(map(str, _VERSIONS))}"
        )
    start = reader.read_offset
    body = NumPyPoseBody.read(header, reader)
    frames = len(body.data)
    # pose-format reads 0.1 to the end of the file and ignores its number of frames.
    expected = struct.unpack_from("<H", data, start + 2)[0] if version < 0.2 else frames % 2**16
    if reader.bytes_left() or frames % 2**16 != expected:
        raise ValueError(f"{reader.bytes_left()} bytes too many, {frames} frames of {expected}")
    return Pose(header, body)


def _names(path: Path, header: "PoseHeader") -> tuple[str, ...]:
    """Our names of all points of a header, in its order."""
    names: list[str] = []
    for component in header.components:
        name = component.name.removesuffix("_133")
        if name == _IN_METRES:
            names.extend(f"{_IN_METRES}-{point}" for point in component.points)
            continue
        if name not in _COMPONENTS or not component.format.startswith("XY"):
            raise DataError(
                f"{path}: component {component.name[:60]!r} of format {component.format[:20]!r}; "
                f"expected XYC or XYZC and one of {', '.join(_COMPONENTS)}"
            )
        theirs, ours = _COMPONENTS[name]
        our_name = {**dict(zip(ours, ours, strict=True)), **dict(zip(theirs, ours, strict=True))}
        # Points without a name here, as those of the irises, get one that no layout has.
        names.extend(our_name.get(point, f"{name}-{point}") for point in component.points)
    if not set(names) & set(KEYPOINTS_133):
        raise DataError(f"{path}: has no known point; expected those of a whole body")
    return tuple(names)


def write_pose(
    path: Path, points: NDArray[np.float32], layout: str, *, width: int, height: int, fps: float
) -> None:
    """Write points (T, 133, 3) as a `.pose` of format 0.2.

    `layout` is one of `skeleton.LAYOUTS`; its points that the 133 lack get confidence 0. SlrError
    without pose-format.
    """
    _need_pose_format()
    from pose_format import Pose, PoseHeader  # noqa: PLC0415
    from pose_format.numpy import NumPyPoseBody  # noqa: PLC0415
    from pose_format.pose_header import PoseHeaderDimensions  # noqa: PLC0415

    components = _LAYOUTS[layout]
    wanted = tuple(name for _, ours in components.values() for name in ours)
    values = reorder(points, KEYPOINTS_133, wanted)[:, None]  # (T, 1, V, 3)
    header = PoseHeader(
        version=0.2,
        dimensions=PoseHeaderDimensions(width=width, height=height),
        components=[_component(name, *named) for name, named in components.items()],
    )
    body = NumPyPoseBody(fps, np.ascontiguousarray(values[..., :2]), values[..., 2])
    buffer = io.BytesIO()
    Pose(header, body).write(buffer)
    with atomic_write(path) as partial:
        partial.write_bytes(buffer.getvalue())


def _component(name: str, theirs: tuple[str, ...], ours: tuple[str, ...]) -> "PoseHeaderComponent":
    """A component of the header, with limbs for viewers."""
    from pose_format.pose_header import PoseHeaderComponent  # noqa: PLC0415

    index = {point: i for i, point in enumerate(ours)}
    limbs = [(index[a], index[b]) for a, b in _limbs() if a in index and b in index]
    return PoseHeaderComponent(name, list(theirs), limbs, [(255, 0, 0)], "XYC")


def _limbs() -> list[tuple[Any, Any]]:
    """The limbs that pose-format draws between the 133, by this project's names."""
    from pose_format.utils.cocowholebody133_header import (  # noqa: PLC0415
        cocowholebody_components,
    )

    parts = _LAYOUTS["coco-wholebody-133"].values()
    return [
        (ours[a], ours[b])
        for component, (_, ours) in zip(cocowholebody_components(), parts, strict=True)
        for a, b in component.limbs
    ]
