"""Folders of OpenPose's JSON, one file per frame: BODY_135, or BODY_25 with face and hands."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.io.foreign.files import read_bytes, reading
from slr_pipeline.io.foreign.keypoints import ForeignClip, reorder, to_133
from slr_pipeline.io.messages import listed
from slr_pipeline.skeleton import BODY_25_HANDS_FACE, BODY_135, KEYPOINTS_133

MAX_BYTES: Final = 2**24
"""Size of one frame's file, enough for 2,000 people."""

_FRAME_NAME: Final = re.compile(r"(\d+)_keypoints\.json")

# A person's lists and their numbers of points, in the order of the joined layout.
_PARTS: Final = {
    "pose_keypoints_2d": 25,
    "face_keypoints_2d": 70,
    "hand_left_keypoints_2d": 21,
    "hand_right_keypoints_2d": 21,
}


def read_folder(folder: Path) -> ForeignClip:
    """Read a folder of `*_keypoints.json`, in the order of the frame numbers in their names.

    `people: []` is a frame without a person. DataError for a folder without such files, a missing
    or doubled frame number, or a frame with other points; ArtifactError for a damaged file.
    """
    numbered: dict[int, Path] = {}
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({error.strerror}); expected a folder of OpenPose's JSON"
        ) from error
    for path in entries:
        match = _FRAME_NAME.search(path.name)
        if match is None:
            continue
        number = int(match[1])
        if number in numbered:
            raise DataError(
                f"{folder}: {numbered[number].name} and {path.name} are both frame {number}; give "
                "each clip its own folder"
            )
        numbered[number] = path
    if not numbered:
        raise DataError(f"{folder}: no file *_keypoints.json; expected one per frame")
    span = range(min(numbered), max(numbered) + 1)
    if len(span) != len(numbered):
        missing = [str(number) for number in span if number not in numbered]
        raise DataError(f"{folder}: frames are missing: {listed(missing)}; make them again")
    return ForeignClip(str(folder), tuple(_read_frame(numbered[i]) for i in span), None)


def _read_frame(path: Path) -> NDArray[np.float32]:
    """The people (P, 133, 3) of one frame."""
    data = read_bytes(path, MAX_BYTES)
    with reading(path, "frame of OpenPose's JSON"):
        people = [_person(path, person) for person in json.loads(data)["people"]]
    if not people:
        return np.zeros((0, 133, 3), np.float32)
    points = np.stack(people)
    return points[points[..., 2].any(axis=1)]


def _person(path: Path, person: dict[str, Any]) -> NDArray[np.float32]:
    body = _points(person["pose_keypoints_2d"])
    if len(body) == len(BODY_135):
        return to_133(str(path), body, BODY_135)
    parts = [body]
    for name, length in _PARTS.items():
        if name != "pose_keypoints_2d":  # empty where the model for this part did not run
            part = _points(person.get(name, []))
            parts.append(part if len(part) else np.zeros((length, 3)))
    sizes = [len(part) for part in parts]
    if sizes != list(_PARTS.values()):
        raise DataError(
            f"{path}: {sizes} points of body, face, left and right hand; expected "
            f"{list(_PARTS.values())} of BODY_25, or {len(BODY_135)} of BODY_135"
        )
    return to_133(str(path), np.concatenate(parts), BODY_25_HANDS_FACE)


def _points(values: list[object]) -> NDArray[np.float64]:
    """Points (V, 3) from a flat list x, y, score, x, ... ValueError for other values."""
    for value in values:
        if type(value) not in (int, float):
            raise ValueError(f"{ascii(value)[:40]} is not a number")
    return np.array(values, np.float64).reshape(-1, 3)


def write_folder(folder: Path, sample: str, points: NDArray[np.float32], layout: str) -> None:
    """Write points (T, 133, 3) as one JSON file per frame, named as OpenPose does.

    `layout` is `body-25` or `body-135`. The folder appears complete or not at all, and replaces an
    existing one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{sample}.") as temporary:
        partial = Path(temporary) / sample
        partial.mkdir()
        for number, frame in enumerate(points):
            text = json.dumps({"version": 1.3, "people": _people(frame, layout)})
            (partial / f"{sample}_{number:012d}_keypoints.json").write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)


def _people(frame: NDArray[np.float32], layout: str) -> list[dict[str, list[float]]]:
    """The list `people` of a frame (133, 3): one person or none."""
    if not frame[:, 2].any():
        return []
    person: dict[str, list[float]] = {"person_id": [-1], **{name: [] for name in _PARTS}}
    if layout == "body-135":
        person["pose_keypoints_2d"] = _flat(reorder(frame, KEYPOINTS_133, BODY_135))
    else:
        joined = reorder(frame, KEYPOINTS_133, BODY_25_HANDS_FACE)
        ends = np.cumsum(list(_PARTS.values()))
        for name, part in zip(_PARTS, np.split(joined, ends[:-1]), strict=True):
            person[name] = _flat(part)
    return [person]


def _flat(points: NDArray[np.float32]) -> list[float]:
    """x, y, score, x, ... with just enough digits to read back the same 32-bit numbers."""
    return [float(str(value)) for value in points.reshape(-1)]
