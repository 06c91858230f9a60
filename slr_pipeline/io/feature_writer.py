"""Writes feature files, one clip at a time; docs/reference/artifacts.md specifies the format."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError, SlrError
from slr_pipeline.features.heatmaps import HEATMAP_KEYPOINTS
from slr_pipeline.io.container import create_container
from slr_pipeline.io.features import FORMAT, FeatureFile, picture_shape
from slr_pipeline.io.jpeg import JPEG, Encoded, Jpeg, encode_jpeg
from slr_pipeline.schema import FEATURES, FeatureSchema
from slr_pipeline.skeleton import BODY_135, KEYPOINTS_133, POSE_FLOW_KEYPOINTS

CHUNK_BYTES = 1 << 18

KEYPOINT_NAMES = {
    "keypoints": KEYPOINTS_133,
    "heatmaps": tuple(KEYPOINTS_133[keypoint] for keypoint in HEATMAP_KEYPOINTS),
    "pose_flow": tuple(BODY_135[keypoint] for keypoint in POSE_FLOW_KEYPOINTS),
}
"""Names of the keypoints of a feature in the order of its values."""

Attributes = dict[str, str | int | float | bool]
"""Attributes of a feature file beside those that every file has."""


@dataclass(frozen=True)
class NewClip:
    """A feature of one sample, to be written; without frames the sample is quarantined.

    Attributes:
        sample: name of the sample.
        frames: (T, ...), or an iterable of frames, which is consumed one frame at a time; pictures
            may be `Encoded`.
        width, height: of the video in px.
        fps: of the video.
        boxes: (T, boxes, 4), or (4,) for all frames.
        counts: what the feature counts, read once all frames are consumed.
        rate: frames per second of `frames`; None: every frame of the video.
    """

    sample: str
    frames: Iterable[NDArray[Any]] | Encoded = ()
    width: int = 0
    height: int = 0
    fps: float = 0.0
    boxes: NDArray[np.int32] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    rate: float | None = None


@contextmanager
def create_feature_file(
    path: str | Path,
    feature: str,
    attributes: Mapping[str, str | int | float | bool],
    provenance: Mapping[str, Any],
    jpeg: Jpeg = JPEG["corrected"],
) -> Iterator["FeatureWriter"]:
    """Yield a writer; the file appears when the block ends. The same clips give the same bytes.

    An exception in the block removes the unfinished file and names the sample it belongs to.
    """
    described = _description(feature, jpeg) | dict(sorted(attributes.items()))
    recipe = json.dumps([described, provenance.get("settings")], sort_keys=True)
    container = create_container(path, lambda partial: FeatureFile(partial, feature))
    with container as (file, check_disk):
        writer = FeatureWriter(file, path, feature, recipe, jpeg, check_disk)
        try:
            yield writer
        except SlrError as error:
            raise type(error)(f"sample {writer.sample}: {error}") from error
        except Exception as error:
            error.add_note(f"sample {writer.sample}")
            raise
        writer.write_index()
        for name, value in described.items():
            file.attrs[name] = value
        file.attrs["provenance"] = json.dumps(provenance, sort_keys=True)


def _description(feature: str, jpeg: Jpeg) -> Attributes:
    """The attributes that say what the values of a file mean and how they are stored."""
    schema = FEATURES[feature]
    described: Attributes = {
        "format": FORMAT,
        "feature": feature,
        "version": schema.version,
        "dims": ",".join(schema.dims),
        "units": schema.units,
    }
    if schema.pictures:
        described |= {"codec": "jpeg", "quality": jpeg.quality, "subsampled": jpeg.subsampled}
    return described


class FeatureWriter:
    """Appends clips to an open file; holds one batch of frames at most.

    Attributes:
        path: of the finished file.
        feature: its name.
        recipe: feature, version, attributes and settings of the file as text.
        sample: the sample that errors belong to.
        digests: what decides the values of a sample (docs/reference/artifacts.md), by sample.
    """

    def __init__(
        self,
        file: h5py.File,
        path: str | Path,
        feature: str,
        recipe: str,
        jpeg: Jpeg,
        check_disk: Callable[[], None],
    ) -> None:
        self.path = path
        self.feature = feature
        self.recipe = recipe
        self.sample = ""
        self.digests: dict[str, str] = {}
        self._file = file
        self._schema = schema = FEATURES[feature]
        self._jpeg = jpeg
        self._check_disk = check_disk
        self._rows: list[NewClip] = []
        self._offsets = [0]
        self._picture_ends = [0]
        # A batch of numbers fills one chunk of the file; pictures are written frame by frame.
        frame_bytes = int(np.prod(schema.shape)) * np.dtype(schema.dtype).itemsize
        self._batch = 1 if schema.pictures else max(1, CHUNK_BYTES // frame_bytes)
        if schema.frames:
            # Clips of one length end with a chunk: reading one decompresses no other frames.
            self._batch = max(n for n in range(1, self._batch + 1) if schema.frames % n == 0)
        if schema.pictures:
            _create_growing(file, "values", (CHUNK_BYTES,), "uint8", compress=False)
        else:
            _create_growing(file, "values", (self._batch, *schema.shape), schema.dtype)
        if schema.boxes:
            _create_growing(file, "box", (1024, schema.boxes, 4), "int32")

    def add(self, clip: NewClip) -> None:
        """Write a clip. ArtifactError unless its frames have shape, dtype and finite values."""
        self.sample = clip.sample
        frames = 0
        for values, count in self._stored(clip.frames):
            _append(self._file["values"], values)
            frames += count
        expected = self._schema.frames
        if frames and expected is not None and frames != expected:
            raise ArtifactError(f"expected {expected} frames, found {frames}")
        if self._schema.boxes and frames:
            shape = (frames, self._schema.boxes, 4)
            if clip.boxes is None or clip.boxes.shape not in (shape, (4,)):
                actual = None if clip.boxes is None else clip.boxes.shape
                raise ArtifactError(f"boxes {actual} do not fit {frames} frames")
            _append(self._file["box"], np.broadcast_to(clip.boxes, shape))
        self._offsets.append(self._offsets[-1] + frames)
        self._rows.append(replace(clip, frames=(), boxes=None))
        self._check_disk()

    def _stored(
        self, frames: Iterable[NDArray[Any]] | Encoded
    ) -> Iterator[tuple[NDArray[Any], int]]:
        """Batches of frames as the file has them, and their numbers of frames."""
        if isinstance(frames, Encoded):
            for files in frames.files():
                yield self._joined(files), 1
            return
        remaining = iter(frames)
        while batch := list(islice(remaining, self._batch)):
            values = np.stack(batch)
            _check_values(values, self._schema)
            if self._schema.pictures:
                pictures = values.reshape(-1, *picture_shape(self._schema))
                values = self._joined([encode_jpeg(picture, self._jpeg) for picture in pictures])
            yield values, len(batch)

    def _joined(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The JPEG files of a frame one after another; keeps where each ends."""
        for picture in pictures:
            self._picture_ends.append(self._picture_ends[-1] + len(picture))
        return np.concatenate(pictures)

    def write_index(self) -> None:
        """Write what the file holds about its clips beside their values."""
        file, rows, schema = self._file, self._rows, self._schema
        names = [row.sample for row in rows]
        strings = {"dtype": h5py.string_dtype("utf-8"), "shape": (len(rows),)}
        file.create_dataset("sample", data=names, **strings)
        digests = [self.digests.get(name, "") for name in names]
        file.create_dataset("digest", data=digests, **strings)
        file.create_dataset("offset", data=np.asarray(self._offsets, dtype=np.int64))
        size = np.asarray([(row.width, row.height) for row in rows], dtype=np.int32).reshape(-1, 2)
        file.create_dataset("size", data=size)
        rates = {"fps": [row.fps for row in rows]}
        rates["rate"] = [row.fps if row.rate is None else row.rate for row in rows]
        for name, values in rates.items():
            if name == "fps" or values != rates["fps"]:
                file.create_dataset(name, data=np.asarray(values, dtype=np.float64))
        if keypoints := KEYPOINT_NAMES.get(self.feature):
            file.create_dataset("keypoint", data=keypoints, dtype=strings["dtype"])
        if schema.pictures:
            ends = np.asarray(self._picture_ends, dtype=np.int64)
            file.create_dataset("picture", data=ends, chunks=True, compression="gzip", shuffle=True)
        for name in schema.counts:
            counts = [row.counts[name] if row.counts else 0 for row in rows]
            file.create_dataset(name, data=np.asarray(counts, dtype=np.int64))
            file.attrs[name] = sum(counts)


def _create_growing(
    file: h5py.File, name: str, chunk: tuple[int, ...], dtype: str, compress: bool = True
) -> None:
    """Create an empty dataset that can grow along its first axis."""
    filters: dict[str, Any] = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    shape = {"shape": (0, *chunk[1:]), "maxshape": (None, *chunk[1:]), "chunks": chunk}
    file.create_dataset(name, dtype=dtype, **shape, **(filters if compress else {}))


def _append(dataset: h5py.Dataset, values: NDArray[Any]) -> None:
    end = len(dataset)
    dataset.resize(end + len(values), axis=0)
    dataset[end:] = values


def _check_values(values: NDArray[Any], schema: FeatureSchema) -> None:
    actual = (values.shape[1:], str(values.dtype))
    if actual != (schema.shape, schema.dtype):
        raise ArtifactError(f"expected frames {schema.shape} {schema.dtype}, found {actual}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ArtifactError("NaN or infinite values")
