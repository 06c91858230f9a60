"""Reads feature files; docs/reference/artifacts.md specifies the format."""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.container import open_container
from slr_pipeline.io.jpeg import Encoded
from slr_pipeline.io.rows import Rows
from slr_pipeline.schema import FEATURES, FeatureSchema

FORMAT = "slr-feature"

Estimator = dict[str, str]
"""The pose estimator behind a feature: the attributes named in `ESTIMATOR`."""

ESTIMATOR = ("estimator", "weights_sha256")

MOST_OPEN_FILES = 64
"""Files a store keeps open per process: all training shards of AUTSL, and far below the limit of
1,024 descriptors when a stream reads several features."""


@dataclass(frozen=True)
class Clip:
    """A feature of one sample; a quarantined sample has T = 0, size 0 x 0 and fps 0.

    `values` are (T, ...), pictures decoded unless `read` left them `Encoded`; `boxes` (T, boxes, 4)
    are x0, y0, x1, y1 in px; `width` and `height` are those of the video frame in px; `fps` is that
    of `values`, which may have fewer or more frames per second than the video, `video_fps`.
    """

    sample: str
    values: Any
    boxes: NDArray[np.int32]
    width: int
    height: int
    fps: float
    video_fps: float


def picture_shape(schema: FeatureSchema) -> tuple[int, ...]:
    """Shape of one picture of a picture feature."""
    return schema.shape[1:] if schema.pictures > 1 else schema.shape


class FeatureFile:
    """The index of one feature file: names, offsets, sizes. `FeatureStore` reads the values.

    Raises ArtifactError for a file that is foreign, short, or of another feature or version.
    """

    def __init__(self, path: str | Path, feature: str) -> None:
        self.path = Path(path)
        try:
            with open_container(self.path) as file:
                self._check_kind(file, feature)
                self.samples = [name.decode() for name in file["sample"][:]]
                self.offset: NDArray[np.int64] = file["offset"][:]
                self.size: NDArray[np.int32] = file["size"][:]
                self.fps: NDArray[np.float64] = file["fps"][:]
                self.rate: NDArray[np.float64] = file["rate" if "rate" in file else "fps"][:]
                self.attributes: dict[str, Any] = dict(file.attrs)
                self._check_lengths(file, FEATURES[feature])
        except (OSError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise ArtifactError(
                f"{path}: not a whole {feature} file ({reason}); delete it and run again"
            ) from error

    def _check_kind(self, file: h5py.File, feature: str) -> None:
        version = FEATURES[feature].version
        expected = {"format": FORMAT, "feature": feature, "version": version}
        for name, value in expected.items():
            actual = file.attrs.get(name)
            if actual != value:
                raise ArtifactError(
                    f"{self.path}: {name} is {actual!r}, expected {value!r}; "
                    "delete the file and run again"
                )

    def _check_lengths(self, file: h5py.File, schema: FeatureSchema) -> None:
        rows, frames = len(self.samples), int(self.offset[-1])
        whole = (
            len(self.offset) == rows + 1
            and self.size.shape == (rows, 2)
            and self.fps.shape == self.rate.shape == (rows,)
            and self.offset[0] == 0
            and bool((np.diff(self.offset) >= 0).all())
            and len(set(self.samples)) == rows
        )
        if schema.pictures:
            # A zero, then the end of each picture in bytes of /values.
            self.picture: NDArray[np.int64] = file["picture"][:]
            whole = (
                whole
                and len(self.picture) == frames * schema.pictures + 1
                and self.picture[0] == 0
                and bool((np.diff(self.picture) > 0).all())
                and file["values"].shape == (self.picture[-1],)
            )
        else:
            whole = whole and file["values"].shape == (frames, *schema.shape)
        if schema.boxes:
            whole = whole and file["box"].shape == (frames, schema.boxes, 4)
        if not whole:
            raise ArtifactError(
                f"{self.path}: index and values disagree; delete the file and run again"
            )


class FeatureStore:
    """One feature of many samples over its shard files, read by sample name.

    Files are opened on first use in each process, so data loader workers can share a store; the
    least recently used is closed when `MOST_OPEN_FILES` are open. `quarantined` samples have T = 0,
    whatever their files hold.

    Raises ArtifactError if the files come from different pose estimators or share a sample.
    """

    def __init__(
        self, feature: str, paths: Iterable[str | Path], quarantined: Collection[str] = ()
    ) -> None:
        self.feature = feature
        self._quarantined = frozenset(quarantined)
        self._places: dict[str, tuple[FeatureFile, int]] = {}
        self._open: OrderedDict[Path, dict[str, Rows]] = OrderedDict()
        self._process = os.getpid()
        estimators: dict[str | Path, Estimator] = {}
        for path in paths:
            index = FeatureFile(path, feature)
            estimators[path] = {name: index.attributes.get(name, "unknown") for name in ESTIMATOR}
            for row, sample in enumerate(index.samples):
                if sample in self._places:
                    other = self._places[sample][0].path
                    raise ArtifactError(f"{path}: sample {sample} is also in {other}")
                self._places[sample] = (index, row)
        self.estimator = _same_estimator(estimators)
        self.samples = tuple(self._places)
        """All sample names, by file and row."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def path_of(self, sample: str) -> Path:
        """The file of a sample. ArtifactError if no file has it."""
        return self._place(sample)[0].path

    def attributes_of(self, sample: str) -> dict[str, Any]:
        """Attributes of the file of a sample. ArtifactError if no file has it."""
        return self._place(sample)[0].attributes

    def digest(self) -> str:
        """Digest of the samples, settings and inputs of the files and the quarantined samples."""
        files = {index.path: index for index, _ in self._places.values()}
        facts = [
            [*index.samples, *sorted(f"{key}={value}" for key, value in index.attributes.items())]
            for index in files.values()
        ]
        facts.append(sorted(self._quarantined & self._places.keys()))
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def frames(self, sample: str) -> int:
        """T of a sample; 0 if it is quarantined. ArtifactError if no file has it."""
        _, _, start, end = self._rows(sample)
        return end - start

    def fps(self, sample: str) -> float:
        """Frames per second of the values of a sample. ArtifactError if no file has it."""
        index, row = self._place(sample)
        return float(index.rate[row])

    def read(
        self,
        sample: str,
        frames: Sequence[int] | NDArray[np.int64] | None = None,
        *,
        decode: bool = True,
        boxes: bool = True,
    ) -> Clip:
        """Read one sample, or some of its frames (indices from 0, in any order, with repeats).

        Only bytes from the first to the last of the frames are read. Without `decode`, pictures are
        `Encoded`; without `boxes`, there are none. ArtifactError if no file has the sample or its
        bytes are damaged.
        """
        index, row, start, end = self._rows(sample)
        chosen: slice | NDArray[np.int64] = slice(None)  # all, without a copy
        if frames is not None:
            first, last = (int(np.min(frames)), int(np.max(frames))) if len(frames) else (0, -1)
            if first < 0 or last >= end - start:
                raise IndexError(f"{sample}: frames {first} to {last} of {end - start}")
            start, end = start + first, start + last + 1
            chosen = np.asarray(frames, np.int64) - first
        try:
            values = self._values(sample, start, end, chosen)
            stored = self._datasets(index.path)
            box = np.zeros((len(values), 0, 4), np.int32)
            if boxes and "box" in stored:
                box = stored["box"][start:end][chosen]
        except (OSError, ArtifactError) as error:
            raise ArtifactError(
                f"{index.path}: sample {sample} cannot be read ({error}); "
                "delete the file and run again"
            ) from error
        if decode and isinstance(values, Encoded):
            values = values.decoded().reshape(len(values), *FEATURES[self.feature].shape)
        width, height = (int(length) for length in index.size[row])
        rates = float(index.rate[row]), float(index.fps[row])
        return Clip(sample, values, box, width, height, *rates)

    def _datasets(self, path: Path) -> dict[str, Rows]:
        """The open datasets of a file; looking them up takes as long as reading a few frames."""
        if self._process != os.getpid():
            self._open, self._process = OrderedDict(), os.getpid()
        if path not in self._open:
            while len(self._open) >= MOST_OPEN_FILES:
                self._open.popitem(last=False)[1]["values"].dataset.file.close()
            file = open_container(path)
            self._open[path] = {
                name: Rows(file[name]) for name in ("values", "box") if name in file
            }
        self._open.move_to_end(path)
        return self._open[path]

    def _values(
        self, sample: str, start: int, end: int, chosen: slice | NDArray[np.int64]
    ) -> NDArray[Any] | Encoded:
        """The chosen of the frames from `start` to `end` of a sample's file."""
        index, _ = self._place(sample)
        dataset, schema = self._datasets(index.path)["values"], FEATURES[self.feature]
        if not schema.pictures:
            values: NDArray[Any] = dataset[start:end]
            return values[chosen]
        ends = index.picture[start * schema.pictures : end * schema.pictures + 1]
        stored: NDArray[np.uint8] = dataset[int(ends[0]) : int(ends[-1])]
        spans = (np.stack([ends[:-1], ends[1:]], axis=1) - ends[0]).reshape(-1, schema.pictures, 2)
        return Encoded(
            stored, spans[chosen], picture_shape(schema), f"{index.path}: sample {sample}"
        )

    def _rows(self, sample: str) -> tuple[FeatureFile, int, int, int]:
        """The file of a sample, its row, and the start and end of its frames."""
        index, row = self._place(sample)
        start, end = (int(index.offset[i]) for i in (row, row + 1))
        return index, row, start, start if sample in self._quarantined else end

    def _place(self, sample: str) -> tuple[FeatureFile, int]:
        if sample not in self._places:
            raise ArtifactError(
                f"sample {sample} is in none of the {self.feature} files; "
                "do the files belong to this sample table?"
            )
        return self._places[sample]


def open_features(
    paths: Iterable[str | Path], quarantined: Collection[str] = ()
) -> dict[str, FeatureStore]:
    """Stores of the features in these files, by name, in order of first appearance.

    ArtifactError for a file that is no feature file, and if two files come from different pose
    estimators.
    """
    files: dict[str, list[str | Path]] = {}
    for path in paths:
        try:
            with open_container(path) as file:
                feature = str(file.attrs.get("feature"))
        except OSError as error:
            reason = " ".join(str(error).split())
            raise ArtifactError(f"{path}: not a feature file ({reason})") from error
        if feature not in FEATURES:
            raise ArtifactError(f"{path}: not a feature file (its feature is {feature!r})")
        files.setdefault(feature, []).append(path)
    stores = {name: FeatureStore(name, parts, quarantined) for name, parts in files.items()}
    _same_estimator({files[feature][0]: store.estimator for feature, store in stores.items()})
    return stores


def check_estimator(model: str | Path, trained: Estimator, store: FeatureStore) -> None:
    """ArtifactError if the model was trained on keypoints of another estimator.

    `trained` is empty for weights that were trained elsewhere.
    """
    if trained:
        _same_estimator({model: trained, store.path_of(store.samples[0]): store.estimator})


def _same_estimator(estimators: Mapping[str | Path, Estimator]) -> Estimator:
    """The estimator of all files, {} without files. ArtifactError that names two that differ."""
    first, expected = next(iter(estimators.items()), ("", {}))
    for path, other in estimators.items():
        if other != expected:
            raise ArtifactError(
                f"{path}: its keypoints are of {_label(other)}, those of {first} of "
                f"{_label(expected)}; a stream needs those of one estimator: delete the files "
                "of the other and run again"
            )
    return expected


def _label(estimator: Estimator) -> str:
    return f"{estimator['estimator']} (weights {estimator['weights_sha256'][:12]})"
