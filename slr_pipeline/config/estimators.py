"""The settings of each whole-body pose estimator: the section `features: keypoints:`."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SerializationInfo, model_validator

from slr_pipeline.config.section import (
    InheritedFidelity,
    OutputPath,
    PlainPath,
    RelativePath,
    Section,
    beside_its_file,
    relative,
)

PersonChoice = Literal["largest", "central", "tracked"]
"""How the signer is chosen among several people."""


class WeightsFile(Section):
    """A file with the weights of a network."""

    path: PlainPath
    """The file; docs/reference/weights.md lists published ones."""
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the file, checked before use; null: not checked."""


class SmoothingSettings(Section):
    """The one-euro filter over the frames of a clip (Casiez et al., 2012)."""

    min_cutoff_hz: float = Field(1.0, gt=0)
    """Cutoff frequency of a point at rest; lower is smoother."""
    beta: float = Field(200.0, ge=0)
    """Increase of the cutoff in Hz per unit of speed (longer sides of the frame per second); higher
    means less lag."""
    speed_cutoff_hz: float = Field(8.0, gt=0)
    """Cutoff frequency of the speed."""


class EstimatorSettings(Section):
    """Settings of every estimator."""

    smoothing: SmoothingSettings | None = None
    """Smoothing of the keypoints over time; null: none."""


class MediapipeSettings(EstimatorSettings):
    """MediaPipe Holistic; its wheel contains the models. For Python 3.11 and 3.12."""

    estimator: Literal["mediapipe"] = "mediapipe"
    """The whole-body pose estimator."""
    min_detection_confidence: float = Field(0.5, ge=0, le=1)
    """Lowest confidence of a detected person."""
    min_tracking_confidence: float = Field(0.5, ge=0, le=1)
    """Lowest confidence of tracking; below it, the next frame runs detection again."""


class MediapipeTasksSettings(EstimatorSettings):
    """MediaPipe's landmark tasks, with a model file each, in release 1 of MediaPipe."""

    estimator: Literal["mediapipe_tasks"]
    """The whole-body pose estimator."""
    pose: WeightsFile
    """The pose landmarker: `pose_landmarker_full.task`, or its lite or heavy variant."""
    hand: WeightsFile
    """The hand landmarker: `hand_landmarker.task`."""
    face: WeightsFile
    """The face landmarker: `face_landmarker.task`."""


class OpenposeSettings(EstimatorSettings):
    """The program OpenPose, run on each video."""

    estimator: Literal["openpose"]
    """The whole-body pose estimator."""
    binary: RelativePath
    """The program `openpose.bin`."""
    model_folder: RelativePath
    """The folder `models` of OpenPose."""
    model: Literal["BODY_135", "BODY_25"] = "BODY_135"
    """`BODY_135` (needs a GPU, has no root of the hands), or `BODY_25` with the face and hand
    models."""
    arguments: tuple[str, ...] = ()
    """Additional flags of the program, such as `[--net_resolution, 656x368]`."""
    person: Literal["best", "largest", "central", "tracked"] = "best"
    """How the signer is chosen among several people. `best`: OpenPose keeps the most confident one;
    docs/how-to/estimators.md explains the others."""


class PictureSettings(Section):
    """The size of a frame."""

    width: int = Field(ge=1)
    """Pixels."""
    height: int = Field(ge=1)
    """Pixels."""


class ImportedKeypointsSettings(EstimatorSettings):
    """Keypoints from files of another program."""

    estimator: Literal["imported"]
    """The whole-body pose estimator."""
    format: Literal["pose", "openpose", "samslr", "asl-signs", "mmaction2", "hdf5"]
    """`pose`: pose-format; `openpose`: a folder of JSON; `samslr`: its `.npy`; `asl-signs`: Parquet
    files of Kaggle; `mmaction2`: an annotation pickle; `hdf5`: `keypoints` files of another run."""
    path: RelativePath
    """Path of a sample's keypoints, such as `poses/{sample}.pose` or `poses/*/{sample}.pose` (`*`:
    any folder, `**`: any number); `mmaction2`: the one file; `hdf5`: a pattern of all files, such
    as `other/features/keypoints/*/*.h5`."""
    tool: str | None = Field(None, min_length=1, max_length=100, pattern=r"^[ -~]+$")
    """The estimator, for the record in the artifact; null: unknown."""
    mirrored: bool = False
    """`true` if the frames were mirrored left to right; `samslr` files always are and need no
    flag."""
    picture: PictureSettings | None = None
    """Frame size the coordinates refer to, if the file states a wrong one or the video has another
    aspect ratio; null: the file's, else the video's."""
    person: PersonChoice = "largest"
    """How the signer is chosen among several people (docs/how-to/estimators.md)."""

    @model_validator(mode="after")
    def _path_fits_the_format(self) -> "ImportedKeypointsSettings":
        file_per_sample = self.format in ("pose", "openpose", "samslr", "asl-signs")
        if file_per_sample != ("{sample}" in self.path):
            expected = "a path with {sample}" if file_per_sample else "a path without {sample}"
            raise ValueError(f"format {self.format} needs {expected}; found path {self.path}")
        if self.mirrored and self.format in ("samslr", "hdf5"):
            raise ValueError(f"mirrored: format {self.format} states it itself; leave it out")
        if self.picture and self.format == "asl-signs":
            raise ValueError("picture: format asl-signs has no pixels; leave it out")
        if self.tool and self.format == "hdf5":
            raise ValueError("tool: format hdf5 states it itself; leave it out")
        return self


class NetworkSettings(EstimatorSettings):
    """Settings of networks that see one person in a picture of fixed size."""

    detector: WeightsFile | None = None
    """ONNX file of a YOLOX person detector, in rtmlib's format; null: the whole frame, which suits
    a single signer in the middle."""
    flip_average: bool = True
    """Average over each frame and its mirror image: better, but twice the time."""
    batch_size: int = Field(8, ge=1)
    """Frames per forward pass; limits memory, also on a GPU."""


SIMCC: Final = ("rtmpose", "rtmw", "dwpose", "simcc")
"""Prefixes of MMPose configs whose networks output no heat-maps."""


def _config_beside(name: Any) -> Any:
    return beside_its_file(name) if str(name).endswith(".py") else name


def _relative_config(name: str, info: SerializationInfo) -> str:
    return relative(name, info) if name.endswith(".py") else name


class MmposeSettings(NetworkSettings):
    """A whole-body network of MMPose 1.3 with its checkpoint.

    `fidelity: published` estimates as SAM-SLR did, and only in frames of 512 x 512.
    """

    estimator: Literal["mmpose"]
    """The whole-body pose estimator."""
    config: Annotated[
        OutputPath, BeforeValidator(_config_beside), PlainSerializer(_relative_config)
    ]
    """Name of a whole-body config in MMPose's wheel, without `.py`, or path of a config file, with
    `.py`."""
    checkpoint: WeightsFile
    """The weights, in MMPose's format."""
    fidelity: InheritedFidelity = "corrected"
    precision: Literal["fp32", "fp16"] = "fp32"
    """`fp16`: half precision in backbone and neck; faster on a GPU."""

    @model_validator(mode="after")
    def _published_is_one_way(self) -> "MmposeSettings":
        if self.fidelity == "published" and (self.detector or not self.flip_average):
            raise ValueError("fidelity published needs flip_average: true and detector: null")
        return self


class OnnxSettings(NetworkSettings):
    """RTMPose, DWPose or RTMW as an ONNX file, run by ONNX Runtime."""

    estimator: Literal["onnx"]
    """The whole-body pose estimator."""
    model: WeightsFile
    """The ONNX file."""


KeypointsSettings = Annotated[
    MediapipeSettings
    | MediapipeTasksSettings
    | OpenposeSettings
    | MmposeSettings
    | OnnxSettings
    | ImportedKeypointsSettings,
    Field(discriminator="estimator"),
]
"""The estimator of the whole-body keypoints: 133 points of COCO-WholeBody per frame."""


ON_GPU: Final = ("mmpose", "onnx", "openpose")
"""The estimators that can use a GPU."""


def files_of(section: Section) -> dict[str, str]:
    """The files a section names, by key: weights, and an MMPose config file."""
    files = {f"{key}.path": value.path for key, value in section if isinstance(value, WeightsFile)}
    if isinstance(section, MmposeSettings) and section.config.endswith(".py"):
        files["config"] = section.config
    return files
