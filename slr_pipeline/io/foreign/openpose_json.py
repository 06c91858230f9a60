"""Folders of OpenPose's JSON, one file a frame: BODY_135, or BODY_25 with hands and face."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.foreign.keypoints import (
    FoundClip,
    arranged,
    checked,
    damaged,
    numbers,
    read_bytes,
)
from slr_pipeline.io.messages import listed
from slr_pipeline.skeleton import BODY_25_HANDS_FACE, BODY_135, KEYPOINTS_133

MOST_BYTES: Final = 2**24
"""Of one frame: more than 2,000 people."""

_FRAME_NAME: Final = re.compile(r"(\d+)_keypoints\.json")

# The lists of a person, and how many points each has; the order is that of the joined layout.
_PARTS: Final = {
    "pose_keypoints_2d": 25,
    "face_keypoints_2d": 70,
    "hand_left_keypoints_2d": 21,
    "hand_right_keypoints_2d": 21,
}


def read_folder(folder: Path) -> FoundClip:
    """The clip of a folder of `*_keypoints.json`, in the order of the numbers in their names.

    `people: []` is a frame without a person. DataError when there are none, numbers are missing or
    stand twice, or a frame has other points; ArtifactError for a damaged file.
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
                "each clip a folder"
            )
        numbered[number] = path
    if not numbered:
        raise DataError(f"{folder}: no file *_keypoints.json; expected one a frame")
    span = range(min(numbered), max(numbered) + 1)
    if len(span) != len(numbered):
        missing = [str(number) for number in span if number not in numbered]
        raise DataError(f"{folder}: frames are missing: {listed(missing)}; make them again")
    return FoundClip(str(folder), tuple(_read_frame(numbered[i]) for i in span), None)


def _read_frame(path: Path) -> NDArray[np.float32]:
    """The people (P, 133, 3) of one frame."""
    data = read_bytes(path, MOST_BYTES)
    try:
        found = [_person(path, person) for person in json.loads(data)["people"]]
    except SlrError:
        raise
    except Exception as error:  # what a damaged file raises is anyone's guess
        raise damaged(path, "frame of OpenPose's JSON", error) from error
    if not found:
        return np.zeros((0, 133, 3), np.float32)
    points = np.stack(found)
    return points[points[..., 2].any(axis=1)]


def _person(path: Path, person: dict[str, Any]) -> NDArray[np.float32]:
    body = _points(person["pose_keypoints_2d"])
    if len(body) == len(BODY_135):
        return checked(str(path), body, BODY_135)
    parts = [body]
    for name, length in _PARTS.items():
        if name != "pose_keypoints_2d":  # empty where the model of the part was not run
            found = _points(person.get(name, []))
            parts.append(found if len(found) else np.zeros((length, 3)))
    sizes = [len(part) for part in parts]
    if sizes != list(_PARTS.values()):
        raise DataError(
            f"{path}: {sizes} points of body, face, left and right hand; expected "
            f"{list(_PARTS.values())} of BODY_25, or {len(BODY_135)} of BODY_135"
        )
    return checked(str(path), np.concatenate(parts), BODY_25_HANDS_FACE)


def _points(values: list[object]) -> NDArray[np.float64]:
    """(V, 3) of a flat list x, y, score, x, ..."""
    return numbers(values).reshape(-1, 3)


def write_folder(folder: Path, sample: str, points: NDArray[np.float32], layout: str) -> None:
    """Write points (T, 133, 3) as one JSON a frame, as OpenPose names them; whole or not at all.

    `layout` is `body-25` or `body-135`. A folder that is there is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{sample}.") as temporary:
        partial = Path(temporary) / sample
        partial.mkdir()
        for number, frame in enumerate(points):
            text = json.dumps({"version": 1.3, "people": _written(frame, layout)})
            (partial / f"{sample}_{number:012d}_keypoints.json").write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)


def _written(frame: NDArray[np.float32], layout: str) -> list[dict[str, list[float]]]:
    """The list `people` of a frame (133, 3): one person, or none."""
    if not frame[:, 2].any():
        return []
    person: dict[str, list[float]] = {"person_id": [-1], **{name: [] for name in _PARTS}}
    if layout == "body-135":
        person["pose_keypoints_2d"] = _flat(arranged(frame, KEYPOINTS_133, BODY_135))
    else:
        joined = arranged(frame, KEYPOINTS_133, BODY_25_HANDS_FACE)
        ends = np.cumsum(list(_PARTS.values()))
        for name, part in zip(_PARTS, np.split(joined, ends[:-1]), strict=True):
            person[name] = _flat(part)
    return [person]


def _flat(points: NDArray[np.float32]) -> list[float]:
    """x, y, score, x, ... in the fewest digits that read back as the same 32-bit numbers."""
    return [float(str(value)) for value in points.reshape(-1)]
