"""Keypoints imported from files of another program, in place of an estimator."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob, iglob
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import ImportedKeypointsSettings
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.feature_writer import Attributes
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.foreign.annotations import AnnotationFile
from slr_pipeline.io.foreign.asl_signs import read_asl_signs
from slr_pipeline.io.foreign.keypoints import ForeignClip, people_in_frames
from slr_pipeline.io.foreign.openpose_json import read_folder
from slr_pipeline.io.foreign.pose_file import read_pose
from slr_pipeline.io.foreign.samslr import read_samslr
from slr_pipeline.io.messages import listed
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.pose.people import signer_keypoints


@dataclass(frozen=True)
class _Files:
    """One file or folder per sample."""

    pattern: str
    read_one: Callable[[Path], ForeignClip]

    def has(self, sample: str) -> bool:
        return self._path(sample).exists()

    def read(self, sample: str) -> ForeignClip:
        return self.read_one(self._path(sample))

    def _path(self, sample: str) -> Path:
        path = self.pattern.replace("{sample}", sample)
        return Path(next(iglob(path, recursive=True), path) if "*" in path else path)


class _Features:
    """The `keypoints` files of another run, which has one estimator."""

    def __init__(self, pattern: str) -> None:
        paths = sorted(glob(pattern, recursive=True))
        if not paths:
            raise DataError(f"features.keypoints.path: no file {pattern}; check the pattern")
        self._store = FeatureStore("keypoints", paths)
        self._samples = set(self._store.samples)
        self.estimator = self._store.estimator

    def has(self, sample: str) -> bool:
        return sample in self._samples

    def read(self, sample: str) -> ForeignClip:
        clip = self._store.read(sample)
        size = (clip.width, clip.height) if len(clip.values) else None
        where = f"{self._store.path_of(sample)}, {sample}"
        return ForeignClip(where, people_in_frames(where, clip.values[:, None]), size)


_Source = _Files | _Features | AnnotationFile


class ImportedKeypoints:
    """Imports keypoints; a `PoseEstimator`. Frame t of the file is frame t of the video.

    A file may also have just the frames that features are made of, as keypoints of another run do.

    Coordinates are scaled where file and video differ by a uniform scale, and unmirrored, with left
    and right exchanged, where they were estimated in mirrored frames.
    """

    def __init__(self, settings: ImportedKeypointsSettings) -> None:
        self._settings = settings
        self._mirrored = settings.mirrored or settings.format == "samslr"
        self._source: _Source = _open(settings)
        self.name = f"imported-{settings.format}"
        self.weights_sha256 = "unknown"
        self.attributes: Attributes = {"imported": settings.format}
        if settings.tool is not None:
            self.name = f"{settings.tool} ({self.name})"
        if isinstance(self._source, _Features):
            self.name = self._source.estimator["estimator"]
            self.weights_sha256 = self._source.estimator["weights_sha256"]

    def missing(self, samples: Sequence[str]) -> list[str]:
        """The samples without keypoints."""
        return [sample for sample in samples if not self._source.has(sample)]

    def require(self, samples: Sequence[str]) -> None:
        """DataError that lists the samples without keypoints."""
        missing = self.missing(samples)
        if missing:
            raise DataError(
                f"features.keypoints.path: {self._settings.path} has no keypoints of "
                f"{len(missing)} of {len(samples)} samples: {listed(missing)}; make them, or check "
                "the path"
            )

    def read(self, sample: str) -> ForeignClip:
        """The keypoints of a sample as its file has them."""
        return self._source.read(sample)

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """See `PoseEstimator.estimate`. DataError where the file has other frames."""
        self.require([clip.sample])
        foreign = self.read(clip.sample)
        if len(foreign.frames) not in (clip.length, clip.count):
            raise DataError(
                f"{foreign.where}: {len(foreign.frames)} frames, but {clip.path} has "
                f"{clip.length}; make the keypoints of this video"
            )
        picture = self._settings.picture
        return signer_keypoints(
            foreign,
            clip,
            person=self._settings.person,
            mirrored=self._mirrored,
            picture=None if picture is None else (picture.width, picture.height),
        )


def keypoints_problems(
    settings: ImportedKeypointsSettings, samples: Sequence[str]
) -> Iterator[str]:
    """A line per sample without keypoints, and what is wrong with the first that has some."""
    try:
        source = ImportedKeypoints(settings)
        missing = source.missing(samples)
        if len(missing) == len(samples):
            source.require(samples)  # one line that names the first
        for sample in missing:
            path = settings.path.replace("{sample}", sample)
            yield f"features.keypoints.path: {path} has no keypoints of sample {sample}"
        for sample in [sample for sample in samples if sample not in missing][:1]:
            source.read(sample)
    except SlrError as error:
        yield f"features.keypoints.path: {str(error).removeprefix('features.keypoints.path: ')}"


def _open(settings: ImportedKeypointsSettings) -> _Source:
    if settings.format == "mmaction2":
        return AnnotationFile(Path(settings.path))
    if settings.format == "hdf5":
        return _Features(settings.path)
    readers = {
        "pose": read_pose,
        "openpose": read_folder,
        "samslr": read_samslr,
        "asl-signs": read_asl_signs,
    }
    return _Files(settings.path, readers[settings.format])
