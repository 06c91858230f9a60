"""`.pose` files of pose-format: Holistic, OpenPose and COCO-WholeBody; needs the extra `formats`.

Points are identified by the names of component and point, so a file may lack some of them.
"""

import io
import struct
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import INSTALL_FORMATS, DataError, SlrError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.foreign.files import read_bytes, reading
from slr_pipeline.io.foreign.keypoints import ForeignClip, people_in_frames, reorder, to_133
from slr_pipeline.skeleton import HOLISTIC, KEYPOINTS_133, LAYOUTS

if TYPE_CHECKING:
    from pose_format import Pose
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent

MAX_BYTES: Final = 2**30

PLACEHOLDER_SIZE: Final = (1000, 1000)
"""pose-format writes this size where it was given none."""

_VERSIONS: Final = (0.0, 0.1, 0.2)


_HAND_OF_HOLISTIC: Final = (
    "WRIST",
    *(f"THUMB_{joint}" for joint in ("CMC", "MCP", "IP", "TIP")),
    *(
        f"{finger}_{joint}"
        for finger in ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
        for joint in ("MCP", "PIP", "DIP", "TIP")
    ),
)

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
    with reading(path, ".pose"):
        pose = _parse(path, data)
        names = _names(path, pose.header)
        xy = np.asarray(pose.body.data.data)[..., :2]
        score = np.asarray(pose.body.confidence)
        points = to_133(str(path), np.concatenate([xy, score[..., None]], axis=-1), names)
        size = (pose.header.dimensions.width, pose.header.dimensions.height)
        if min(size) < 1:
            raise DataError(f"{path}: has pictures of {size[0]} x {size[1]} px; make it again")
    return ForeignClip(str(path), people_in_frames(str(path), points), size)


def _need_pose_format() -> None:
    try:
        import pose_format  # noqa: F401, PLC0415
    except ImportError as error:
        raise SlrError(f".pose files need pose-format ({error}): {INSTALL_FORMATS}") from error


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
    known = {
        component.name: (component.points, ours)
        for layout in LAYOUTS
        for component, ours in _components(layout)
    }
    names: list[str] = []
    for component in header.components:
        name = component.name.removesuffix("_133")
        if name == _IN_METRES:
            names.extend(f"{_IN_METRES}-{point}" for point in component.points)
            continue
        if name not in known or not component.format.startswith("XY"):
            raise DataError(
                f"{path}: component {component.name[:60]!r} of format {component.format[:20]!r}; "
                f"expected XYC or XYZC and one of {', '.join(known)}"
            )
        theirs, ours = known[name]
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

    values = reorder(points, KEYPOINTS_133, LAYOUTS[layout])[:, None]  # (T, 1, V, 3)
    header = PoseHeader(
        version=0.2,
        dimensions=PoseHeaderDimensions(width=width, height=height),
        components=[component for component, _ in _components(layout)],
    )
    body = NumPyPoseBody(fps, np.ascontiguousarray(values[..., :2]), values[..., 2])
    buffer = io.BytesIO()
    Pose(header, body).write(buffer)
    with atomic_write(path) as partial:
        partial.write_bytes(buffer.getvalue())


def _components(layout: str) -> list[tuple["PoseHeaderComponent", tuple[str, ...]]]:
    """The components that pose-format has for a layout, each with our names of its points."""
    from pose_format.utils import (  # noqa: PLC0415
        cocowholebody133_header,
        openpose,
        openpose_135,
    )

    components = {
        "coco-wholebody-133": cocowholebody133_header.cocowholebody_components,
        "body-135": lambda: openpose_135.OpenPose_Components,
        "body-25": lambda: openpose.OpenPose_Components,
        "holistic": _holistic_components,
    }[layout]()
    names = iter(LAYOUTS[layout])
    return [(component, tuple(islice(names, len(component.points)))) for component in components]


def _holistic_components() -> list["PoseHeaderComponent"]:
    """Holistic's components: pose-format's own need MediaPipe."""
    from pose_format.pose_header import PoseHeaderComponent  # noqa: PLC0415
    from pose_format.utils import cocowholebody133_header  # noqa: PLC0415

    coco_body, _, coco_hand, _ = cocowholebody133_header.cocowholebody_components()
    index = {name: i for i, name in enumerate(HOLISTIC[:33])}
    limbs = [(KEYPOINTS_133[a], KEYPOINTS_133[b]) for a, b in coco_body.limbs]
    body_limbs = [(index[a], index[b]) for a, b in limbs if a in index and b in index]
    body = [name.upper().replace("BIG_TOE", "FOOT_INDEX") for name in index]
    face = [str(i) for i in range(468)]
    hand = list(_HAND_OF_HOLISTIC)
    return [
        PoseHeaderComponent(f"{name}_LANDMARKS", points, limbs_of_part, [(255, 0, 0)], "XYC")
        for name, points, limbs_of_part in (
            ("POSE", body, body_limbs),
            ("FACE", face, []),
            ("LEFT_HAND", hand, coco_hand.limbs),
            ("RIGHT_HAND", hand, coco_hand.limbs),
        )
    ]
