"""Annotation pickles of mmaction2 and pyskl: the skeletons of a whole data set in one file."""

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.foreign.files import read_bytes, reading
from slr_pipeline.io.foreign.keypoints import ForeignClip, people_in_frames, to_133
from slr_pipeline.io.foreign.pickles import Array, load_pickle
from slr_pipeline.io.messages import printable
from slr_pipeline.skeleton import BODY, BODY_135, KEYPOINTS_133

MAX_BYTES: Final = 2**33
"""8 GiB: all of AUTSL takes 1.7 GB in 16-bit numbers."""

_LAYOUTS: Final = {
    len(names): names for names in (KEYPOINTS_133, BODY_135, KEYPOINTS_133[: len(BODY)])
}
"""The layouts by their number of points: COCO-WholeBody, BODY_135, and the 17 of COCO."""

_ENDINGS: Final = ("_color.mp4", ".mp4", "_color")


@dataclass(frozen=True)
class Annotation:
    """One sample to write: `keypoints` (T, 133, 3) in px of pictures of `width` x `height`."""

    sample: str
    split: str
    label: int | None
    keypoints: NDArray[np.float32]
    width: int
    height: int


class AnnotationFile:
    """The annotations of a pickle by sample name; nothing in it is run.

    The sample name is `frame_dir` without its folder and a final `_color`, `.mp4` or both.
    ArtifactError for a damaged pickle or one that asks to run code; DataError for one with other
    content.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = read_bytes(path, MAX_BYTES)
        with reading(path, "pickle of annotations"):
            self._annotations = _by_sample(path, load_pickle(path, data))

    def has(self, sample: str) -> bool:
        """Whether a sample is annotated."""
        return sample in self._annotations

    def read(self, sample: str) -> ForeignClip:
        """The clip of a sample, from `keypoint` (M, T, V, 2) and `keypoint_score` (M, T, V)."""
        where = f"{self.path}, {sample}"
        annotation = self._annotations[sample]
        with reading(where, "annotation"):
            points = _points(where, annotation)
            size = _size(annotation.get("img_shape"))
        return ForeignClip(where, people_in_frames(where, points), size)


def _by_sample(path: Path, content: object) -> dict[str, Mapping[str, Any]]:
    annotations = content.get("annotations") if isinstance(content, Mapping) else content
    if not isinstance(annotations, list):
        raise DataError(f"{path}: no list `annotations`; expected a pickle of mmaction2 or pyskl")
    by_sample: dict[str, Mapping[str, Any]] = {}
    for annotation in annotations:
        frame_dir = annotation.get("frame_dir") if isinstance(annotation, Mapping) else None
        if not isinstance(frame_dir, str):
            raise DataError(f"{path}: an annotation has no `frame_dir`; expected a sample name")
        name = _sample_name(frame_dir)
        if name in by_sample:
            raise DataError(f"{path}: {printable(name)} is annotated twice; keep one")
        by_sample[name] = annotation
    return by_sample


def _sample_name(frame_dir: str) -> str:
    name = frame_dir.rstrip("/").rsplit("/", 1)[-1]
    ending = next((ending for ending in _ENDINGS if name.endswith(ending)), "")
    return name.removesuffix(ending)


def _points(where: str, annotation: Mapping[str, Any]) -> NDArray[np.float32]:
    """Points (T, M, 133, 3) of an annotation."""
    xy, scores = (
        array.numpy() if isinstance(array, Array) else None
        for array in (annotation.get("keypoint"), annotation.get("keypoint_score"))
    )
    layout = _LAYOUTS.get(xy.shape[2]) if xy is not None and xy.ndim == 4 else None
    if xy is None or scores is None or not layout or xy.shape != (*scores.shape, 2):
        shapes = [None if array is None else array.shape for array in (xy, scores)]
        raise DataError(
            f"{where}: keypoint {shapes[0]} and keypoint_score {shapes[1]}; expected "
            f"(M, T, V, 2) and (M, T, V) with V of {', '.join(map(str, _LAYOUTS))}"
        )
    values = np.concatenate([xy.astype(np.float32), scores.astype(np.float32)[..., None]], axis=-1)
    return to_133(where, values.transpose(1, 0, 2, 3), layout)


def _size(img_shape: Any) -> tuple[int, int] | None:
    """(width, height) from the file's (height, width)."""
    if img_shape is None:
        return None
    height, width = img_shape
    if type(height) is not int or type(width) is not int or min(height, width) < 1:
        raise ValueError(f"img_shape is {str(img_shape)[:60]}")
    return width, height


def write_annotations(path: Path, annotations: Iterable[Annotation]) -> None:
    """Write all annotations as one pickle, as mmaction2's PoseDataset reads it.

    A sample without a label has no key `label`. The file opens with numpy 1.26 and later.
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
