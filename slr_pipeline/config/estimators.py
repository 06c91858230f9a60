"""The settings of each whole-body pose estimator: the section `features: keypoints:`."""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from slr_pipeline.config.section import InheritedFidelity, PlainPath, Section

PersonChoice = Literal["largest", "central", "tracked"]
"""How the signer is told among several people."""


class WeightsFile(Section):
    """A file with the weights of a network."""

    path: PlainPath = Field(description="The file, as docs/reference/weights.md names it.")
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="Its SHA-256, checked before use; null: any file of that name.",
    )


class SmoothingSettings(Section):
    """The one-euro filter over the frames of a clip (Casiez et al., 2012)."""

    min_cutoff_hz: float = Field(
        1.0, gt=0, description="Cutoff of a point at rest; lower: smoother."
    )
    beta: float = Field(
        200.0,
        ge=0,
        description="Hz the cutoff rises by with a speed of one longer side of the picture a "
        "second; higher: less lag.",
    )
    speed_cutoff_hz: float = Field(8.0, gt=0, description="Cutoff of the speed.")


class EstimatorSettings(Section):
    """What every estimator has."""

    smoothing: SmoothingSettings | None = Field(
        None, description="Smooth the keypoints over time; null: leave them as they are found."
    )


class MediapipeSettings(EstimatorSettings):
    """MediaPipe Holistic: its models lie in its wheel."""

    estimator: Literal["mediapipe"] = Field(
        "mediapipe", description="The whole-body pose estimator."
    )
    min_detection_confidence: float = Field(
        0.5, ge=0, le=1, description="A person is looked for until found with this confidence."
    )
    min_tracking_confidence: float = Field(
        0.5, ge=0, le=1, description="Below it the person is looked for anew in the next frame."
    )


class OpenposeSettings(EstimatorSettings):
    """OpenPose's own program, run on each video."""

    estimator: Literal["openpose"] = Field(description="The whole-body pose estimator.")
    binary: str = Field(description="The program `openpose.bin`.")
    model_folder: str = Field(description="The folder `models` of OpenPose.")
    model: Literal["BODY_135", "BODY_25"] = Field(
        "BODY_135",
        description="`BODY_135` (needs a GPU; no root of the hands), or `BODY_25` with the models "
        "of face and hands.",
    )
    arguments: tuple[str, ...] = Field(
        (), description="More flags of the program, as in `[--net_resolution, 656x368]`."
    )
    person: Literal["best", "largest", "central", "tracked"] = Field(
        "best",
        description="The signer among several people: `best`: the program keeps the one it is "
        "surest of; the others as in docs/how-to/estimators.md.",
    )


class PictureSettings(Section):
    """The size of a picture."""

    width: int = Field(ge=1, description="Pixels.")
    height: int = Field(ge=1, description="Pixels.")


class ImportedKeypointsSettings(EstimatorSettings):
    """Keypoints that another program made, taken from its files."""

    estimator: Literal["imported"] = Field(description="The whole-body pose estimator.")
    format: Literal["pose", "openpose", "samslr", "mmaction2", "hdf5"] = Field(
        description="`pose`: pose-format; `openpose`: a folder of JSON; `samslr`: its `.npy`; "
        "`mmaction2`: an annotation pickle; `hdf5`: `keypoints` files of another run."
    )
    path: str = Field(
        description="Where the keypoints of a sample are, as in `poses/{sample}.pose`; of "
        "`mmaction2` the one file, of `hdf5` all files, as in "
        "`other/features/keypoints/*/*.h5`."
    )
    tool: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        pattern=r"^[ -~]+$",
        description="What found them, for the artifact; null: unknown.",
    )
    mirrored: bool = Field(
        False,
        description="`true`: found in frames mirrored left to right; `samslr` always is, and is "
        "turned back by itself.",
    )
    picture: PictureSettings | None = Field(
        None,
        description="Size of the pictures that the coordinates are pixels of, where "
        "the file is wrong or the video has another shape; null: what the file says, or where it "
        "does not tell, the size of the video.",
    )
    person: PersonChoice = Field(
        "largest", description="The signer among several people, see docs/how-to/estimators.md."
    )

    @model_validator(mode="after")
    def _path_fits_the_format(self) -> "ImportedKeypointsSettings":
        one_a_sample = self.format in ("pose", "openpose", "samslr")
        if one_a_sample != ("{sample}" in self.path):
            expected = "a path with {sample}" if one_a_sample else "a path without {sample}"
            raise ValueError(f"format {self.format} has {expected}; found path {self.path}")
        if self.mirrored and self.format in ("samslr", "hdf5"):
            raise ValueError(f"format {self.format} says itself what is mirrored; leave it out")
        if self.tool and self.format == "hdf5":
            raise ValueError("format hdf5 says itself which tool found them; leave it out")
        return self


class NetworkSettings(EstimatorSettings):
    """What the networks have that look at one person in a picture of fixed size."""

    detector: WeightsFile | None = Field(
        None,
        description="ONNX file of a YOLOX person detector, as rtmlib takes it; null: the whole "
        "frame is looked at, which suits one signer in the middle.",
    )
    flip_average: bool = Field(
        True, description="Look at each frame and its mirror image: better, and twice the time."
    )
    batch_size: int = Field(
        8, ge=1, description="Frames a network is given at once: bounds memory, of a GPU too."
    )


SIMCC: Final = ("rtmpose", "rtmw", "dwpose", "simcc")
"""How the names of MMPose's configs begin whose networks give no heat-maps."""


class MmposeSettings(NetworkSettings):
    """A whole-body network of MMPose 1.3 with its checkpoint.

    `fidelity: published` estimates as SAM-SLR did, and only in frames of 512 x 512.
    """

    estimator: Literal["mmpose"] = Field(description="The whole-body pose estimator.")
    config: str = Field(
        description="Name of a whole-body config in MMPose's wheel, without `.py`, or the path of "
        "a config file, with it.",
    )
    checkpoint: WeightsFile = Field(description="The weights, as MMPose publishes or saves them.")
    fidelity: InheritedFidelity = "corrected"
    precision: Literal["fp32", "fp16"] = Field(
        "fp32", description="`fp16`: half precision where it does no harm; faster on a GPU."
    )

    @model_validator(mode="after")
    def _published_is_one_way(self) -> "MmposeSettings":
        if self.fidelity == "published" and (self.detector or not self.flip_average):
            raise ValueError("fidelity published has flip_average: true and detector: null")
        return self


class OnnxSettings(NetworkSettings):
    """RTMPose, DWPose or RTMW in an ONNX file, run by ONNX Runtime."""

    estimator: Literal["onnx"] = Field(description="The whole-body pose estimator.")
    model: WeightsFile = Field(description="The ONNX file.")


KeypointsSettings = Annotated[
    MediapipeSettings
    | OpenposeSettings
    | MmposeSettings
    | OnnxSettings
    | ImportedKeypointsSettings,
    Field(discriminator="estimator"),
]
"""Whole-body keypoints: 133 points of COCO-WholeBody per frame, from one of these estimators."""


ON_GPU: Final = ("mmpose", "onnx", "openpose")
"""The estimators that can take a GPU."""


def files_of(section: Section) -> dict[str, str]:
    """The files that a section names, by key: weights, and a network's config of one's own."""
    files = {f"{key}.path": value.path for key, value in section if isinstance(value, WeightsFile)}
    if isinstance(section, MmposeSettings) and section.config.endswith(".py"):
        files["config"] = section.config
    return files
