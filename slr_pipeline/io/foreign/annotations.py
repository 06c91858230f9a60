"""Annotation pickles of mmaction2 and pyskl: the skeletons of a whole data set in one file."""

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.foreign.keypoints import FoundClip, checked, damaged, people, read_bytes
from slr_pipeline.io.foreign.pickles import Array, load_pickle
from slr_pipeline.io.messages import printable
from slr_pipeline.skeleton import BODY, BODY_135, KEYPOINTS_133

MOST_BYTES: Final = 2**33
"""8 GiB: all of AUTSL takes 1.7 GB in 16-bit numbers."""

_LAYOUTS: Final = {
    len(names): names for names in (KEYPOINTS_133, BODY_135, KEYPOINTS_133[: len(BODY)])
}
"""What so many points are: COCO-WholeBody, BODY_135, or the 17 of COCO."""

_ENDINGS: Final = ("_color.mp4", ".mp4", "_color")


@dataclass(frozen=True)
class Annotation:
    """What is written of one sample: `keypoints` (T, 133, 3) of a picture in px."""

    sample: str
    split: str
    label: int | None
    keypoints: NDArray[np.float32]
    width: int
    height: int


class AnnotationFile:
    """The annotations of a pickle, found by sample name; nothing in it is run.

    A sample is found by its `frame_dir` without folder and without `_color`, `.mp4` or both at its
    end. ArtifactError for a damaged pickle or one that asks for code to be run; DataError for one
    that holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = read_bytes(path, MOST_BYTES)
        try:
            self._found = _by_name(path, load_pickle(path, data, MOST_BYTES))
        except SlrError:
            raise
        except Exception as error:  # what a damaged file raises is anyone's guess
            raise damaged(path, "pickle of annotations", error) from error

    def has(self, sample: str) -> bool:
        """Whether a sample is annotated."""
        return sample in self._found

    def read(self, sample: str) -> FoundClip:
        """The clip of a sample: of `keypoint` (M, T, V, 2) and `keypoint_score` (M, T, V)."""
        where = f"{self.path}, {sample}"
        annotation = self._found[sample]
        try:
            points = _points(where, annotation)
            size = _size(annotation.get("img_shape"))
        except SlrError:
            raise
        except Exception as error:
            raise damaged(where, "annotation", error) from error
        return FoundClip(where, people(where, points), size)


def _by_name(path: Path, content: object) -> dict[str, Mapping[str, Any]]:
    listed = content.get("annotations") if isinstance(content, Mapping) else content
    if not isinstance(listed, list):
        raise DataError(f"{path}: no list `annotations`; expected a pickle of mmaction2 or pyskl")
    found: dict[str, Mapping[str, Any]] = {}
    for annotation in listed:
        given = annotation.get("frame_dir") if isinstance(annotation, Mapping) else None
        if not isinstance(given, str):
            raise DataError(f"{path}: an annotation has no `frame_dir`; expected a sample name")
        name = _plain(given)
        if name in found:
            raise DataError(f"{path}: {printable(name)} is annotated twice; keep one")
        found[name] = annotation
    return found


def _plain(frame_dir: str) -> str:
    name = frame_dir.rstrip("/").rsplit("/", 1)[-1]
    ending = next((ending for ending in _ENDINGS if name.endswith(ending)), "")
    return name.removesuffix(ending)


def _points(where: str, annotation: Mapping[str, Any]) -> NDArray[np.float32]:
    """(T, M, 133, 3) of an annotation."""
    arrays = [annotation.get(key) for key in ("keypoint", "keypoint_score")]
    shapes = [array.numpy().shape if isinstance(array, Array) else None for array in arrays]
    places, scores = shapes
    given = _LAYOUTS.get(places[2]) if places and len(places) == 4 else None
    if places is None or given is None or places[3] != 2 or scores != places[:3]:
        raise DataError(
            f"{where}: keypoint {places} and keypoint_score {scores}; expected (M, T, V, 2) and "
            f"(M, T, V) with V of {', '.join(map(str, _LAYOUTS))}"
        )
    xy, score = (array.numpy().astype(np.float32) for array in arrays if isinstance(array, Array))
    values = np.concatenate([xy, score[..., None]], axis=-1)
    return checked(where, values.transpose(1, 0, 2, 3), given)


def _size(img_shape: Sequence[object] | None) -> tuple[int, int] | None:
    """(width, height) of the file's (height, width)."""
    if img_shape is None:
        return None
    height, width = img_shape
    if type(height) is not int or type(width) is not int or min(height, width) < 1:
        raise ValueError(f"img_shape is {str(img_shape)[:60]}")
    return width, height


def write_annotations(path: Path, annotations: Iterable[Annotation]) -> None:
    """Write one pickle of all annotations, as mmaction2's PoseDataset reads it.

    A sample without a label has no key `label`. It opens with numpy 1.26 and later.
    """
    written: list[dict[str, Any]] = []
    split: dict[str, list[str]] = {}
    for one in annotations:
        size = (one.height, one.width)
        label = {} if one.label is None else {"label": one.label}
        split.setdefault(one.split, []).append(one.sample)
        written.append(
            {
                "frame_dir": one.sample,
                **label,
                "img_shape": size,
                "original_shape": size,
                "total_frames": len(one.keypoints),
                "keypoint": np.ascontiguousarray(one.keypoints[None, ..., :2]),
                "keypoint_score": np.ascontiguousarray(one.keypoints[None, ..., 2]),
            }
        )
    with atomic_write(path) as partial, partial.open("wb") as file:
        pickle.dump({"split": split, "annotations": written}, file, protocol=4)
