"""Feature files in HDF5; docs/artifacts.md is their specification."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.whole import whole_file
from slr_pipeline.schema import FEATURES

FORMAT = "slr-feature"
CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Clip:
    """A feature of one sample: values (T, ...), frame size in pixels, frames per second.

    A quarantined sample has T = 0, size 0 x 0 and fps 0.
    """

    sample: str
    values: NDArray[Any]
    width: int
    height: int
    fps: float


def write_feature(
    path: str | Path,
    feature: str,
    clips: Iterable[Clip],
    attributes: Mapping[str, str | int | float | bool],
    provenance: Mapping[str, Any],
) -> None:
    """Write a feature file from clips, one at a time; the same clips give the same bytes.

    Raises ArtifactError when a clip has not the shape, dtype or finite values of the schema.
    """
    schema = FEATURES[feature]
    rows: list[Clip] = []
    offsets = [0]
    frame_bytes = int(np.prod(schema.shape)) * np.dtype(schema.dtype).itemsize
    with (
        whole_file(path, lambda partial: FeatureFile(partial, feature)) as partial,
        h5py.File(partial, "w") as file,
    ):
        values = file.create_dataset(
            "values",
            shape=(0, *schema.shape),
            maxshape=(None, *schema.shape),
            dtype=schema.dtype,
            chunks=(max(1, CHUNK_BYTES // frame_bytes), *schema.shape),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )
        for clip in clips:
            _check_clip(clip, feature, path)
            values.resize(offsets[-1] + len(clip.values), axis=0)
            values[offsets[-1] :] = clip.values
            offsets.append(offsets[-1] + len(clip.values))
            rows.append(Clip(clip.sample, clip.values[:0], clip.width, clip.height, clip.fps))
        _write_rows(file, rows, offsets)
        file.attrs["format"] = FORMAT
        file.attrs["feature"] = feature
        file.attrs["version"] = schema.version
        file.attrs["dims"] = ",".join(schema.dims)
        file.attrs["units"] = schema.units
        for name, value in sorted(attributes.items()):
            file.attrs[name] = value
        file.attrs["provenance"] = json.dumps(provenance, sort_keys=True)


def _write_rows(file: h5py.File, rows: Sequence[Clip], offsets: Sequence[int]) -> None:
    names = [row.sample for row in rows]
    file.create_dataset("sample", data=names, dtype=h5py.string_dtype("utf-8"), shape=(len(rows),))
    file.create_dataset("offset", data=np.asarray(offsets, dtype=np.int64))
    size = np.asarray([(row.width, row.height) for row in rows], dtype=np.int32).reshape(-1, 2)
    file.create_dataset("size", data=size)
    file.create_dataset("fps", data=np.asarray([row.fps for row in rows], dtype=np.float64))


def _check_clip(clip: Clip, feature: str, path: str | Path) -> None:
    schema = FEATURES[feature]
    where = f"{path}: sample {clip.sample}"
    found = (clip.values.shape[1:], str(clip.values.dtype))
    if found != (schema.shape, schema.dtype):
        raise ArtifactError(
            f"{where}: expected {feature} (T, {schema.shape}) {schema.dtype}, found {found}"
        )
    if clip.values.dtype.kind == "f" and not np.isfinite(clip.values).all():
        raise ArtifactError(f"{where}: {feature} has NaN or infinite values")


class FeatureFile:
    """The index of one feature file: names, offsets, sizes. Values are read by `FeatureStore`.

    Raises ArtifactError for a file that is foreign, short, of another feature or version.
    """

    def __init__(self, path: str | Path, feature: str) -> None:
        self.path = Path(path)
        try:
            with h5py.File(self.path, "r") as file:
                self._check_kind(file, feature)
                self.samples = [name.decode() for name in file["sample"][:]]
                self.offset: NDArray[np.int64] = file["offset"][:]
                self.size: NDArray[np.int32] = file["size"][:]
                self.fps: NDArray[np.float64] = file["fps"][:]
                self.attributes: dict[str, Any] = dict(file.attrs)
                self._check_lengths(file["values"].shape, feature)
        except (OSError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise ArtifactError(
                f"{path}: not a whole {feature} file ({reason}); delete it and run again"
            ) from error

    def _check_kind(self, file: h5py.File, feature: str) -> None:
        version = FEATURES[feature].version
        expected = {"format": FORMAT, "feature": feature, "version": version}
        for name, value in expected.items():
            found = file.attrs.get(name)
            if found != value:
                raise ArtifactError(
                    f"{self.path}: {name} is {found!r}, expected {value!r}; "
                    "delete the file and run again"
                )

    def _check_lengths(self, shape: tuple[int, ...], feature: str) -> None:
        rows = len(self.samples)
        whole = (
            len(self.offset) == rows + 1
            and self.size.shape == (rows, 2)
            and self.fps.shape == (rows,)
            and self.offset[0] == 0
            and bool((np.diff(self.offset) >= 0).all())
            and shape == (int(self.offset[-1]), *FEATURES[feature].shape)
            and len(set(self.samples)) == rows
        )
        if not whole:
            raise ArtifactError(
                f"{self.path}: index and values disagree; delete the file and run again"
            )


class FeatureStore:
    """One feature of many samples over its shard files, read by sample name.

    Files are opened lazily and once per process, so a store can be handed to data loader workers.
    """

    def __init__(self, feature: str, paths: Iterable[str | Path]) -> None:
        self.feature = feature
        self._places: dict[str, tuple[FeatureFile, int]] = {}
        self._open: dict[Path, h5py.File] = {}
        self._process = os.getpid()
        for path in paths:
            index = FeatureFile(path, feature)
            for row, sample in enumerate(index.samples):
                if sample in self._places:
                    other = self._places[sample][0].path
                    raise ArtifactError(f"{path}: sample {sample} is also in {other}")
                self._places[sample] = (index, row)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    @property
    def samples(self) -> tuple[str, ...]:
        """All sample names, in the order of the files and their rows."""
        return tuple(self._places)

    def frames(self, sample: str) -> int:
        """T of a sample; 0 when it is quarantined. ArtifactError when no shard has it."""
        index, row = self._place(sample)
        return int(index.offset[row + 1] - index.offset[row])

    def read(self, sample: str) -> Clip:
        """The clip of one sample. ArtifactError when no shard has it or its bytes are damaged."""
        index, row = self._place(sample)
        if self._process != os.getpid():
            self._open, self._process = {}, os.getpid()
        try:
            if index.path not in self._open:
                self._open[index.path] = h5py.File(index.path, "r")
            start, end = index.offset[row], index.offset[row + 1]
            values = self._open[index.path]["values"][start:end]
        except OSError as error:
            raise ArtifactError(
                f"{index.path}: sample {sample} cannot be read ({error}); "
                "delete the file and run again"
            ) from error
        width, height = (int(length) for length in index.size[row])
        return Clip(sample, values, width, height, float(index.fps[row]))

    def _place(self, sample: str) -> tuple[FeatureFile, int]:
        if sample not in self._places:
            raise ArtifactError(
                f"sample {sample} is in none of the {self.feature} files; "
                "do the files belong to this sample table?"
            )
        return self._places[sample]
