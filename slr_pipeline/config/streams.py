"""The settings of each kind of stream: the sections under `streams:`."""

from typing import Annotated, Any, Literal, assert_never

from pydantic import Field, model_validator

from slr_pipeline.config.estimators import WeightsFile
from slr_pipeline.config.features import FeatureSettings
from slr_pipeline.config.recipes import (
    LandmarkFinetune,
    LandmarkTraining,
    Phase,
    R2plus1dFinetune,
    R2plus1dTraining,
    SlgcnFinetune,
    SlgcnTraining,
    SstcnFinetune,
    SstcnTraining,
    TrainingSettings,
    VtnFinetune,
    VtnTraining,
)
from slr_pipeline.config.section import InheritedFidelity, PlainPath, Section
from slr_pipeline.schema import Feature, LandmarkRepresentation, Representation, SampleView

_TRAINING = "The recipe of phase `train`."
_FINETUNE = (
    "Changes of the recipe in phase `finetune` of protocol `challenge`. With 0 epochs, the default "
    "after 0 epochs of training, the stream has no such phase."
)
_MODEL = "The model of the stream."

FlipProbability = Annotated[
    float, Field(ge=0, le=1, description="Probability that a training item is mirrored.")
]


Speed = Annotated[float, Field(ge=0.5, le=2)]

EVALUATION = ("test_clips", "test_mirror", "test_speeds")
"""Keys of the settings of evaluation, which a run may change after training."""


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"width {width} is not a multiple of heads {heads}")


class _TrainedSettings(Section):
    """Settings of every stream with a model."""

    model: str = Field(description=_MODEL)
    fidelity: InheritedFidelity = "corrected"
    init: WeightsFile | None = None
    """Initial weights, as written by `slr import-checkpoint`; null: random."""
    gpus: int = Field(1, ge=1, le=64)
    """Data-parallel processes per machine, each with its own GPU (device `cpu`: its own cores) and
    an equal share of every batch, which batch norm sees."""
    nodes: int = Field(1, ge=1, le=64)
    """Machines of data-parallel training, as tasks of one SLURM job."""
    test_mirror: bool = False
    """Evaluation also sees each clip mirrored; the logits of both are averaged."""
    test_speeds: list[Speed] = Field([1.0], min_length=1)
    """Speeds at which evaluation sees each clip, as in `[0.9, 1, 1.1]`; their logits are averaged.
    Streams that give every clip the same number of frames (`landmark`, `sstcn`, `slgcn` with
    `stretch`) see its middle part at a lower speed, and its first and last frame for longer at a
    higher one."""
    seeds: int = Field(1, ge=1, le=20)
    """Trainings of the stream, one job each, with the seeds `seed`, `seed` + 1, ... of the
    experiment; their logits are averaged. A higher number trains only those that are missing."""

    @model_validator(mode="before")
    @classmethod
    def _fine_tuned_after_training_or_on_request(cls, values: Any) -> Any:
        """Without epochs of training there are none of fine-tuning, unless they are given."""
        if isinstance(values, dict):
            training, finetune = (values.get(key, {}) for key in ("training", "finetune"))
            untrained = isinstance(training, dict) and training.get("epochs") == 0
            if untrained and isinstance(finetune, dict):
                return {**values, "finetune": {"epochs": 0, **finetune}}
        return values


class SlgcnSettings(_TrainedSettings):
    """SL-GCN on skeletons of 27 joints (SAM-SLR, section 3.1)."""

    model: Literal["slgcn"] = Field(description=_MODEL)
    representation: Representation = "joint"
    """Input of the network: `joint` positions, `bone` vectors from parent to child, or the motion
    of either."""
    width: int = Field(64, ge=16, multiple_of=16)
    """Channels of the first units, a multiple of the 16 groups; later units have 2x and 4x."""
    frames: int = Field(150, ge=1)
    """Frames of the skeleton tensor."""
    window: int = Field(100, ge=1)
    """Consecutive frames of a training item, at a random place."""
    flip_probability: FlipProbability = 0.5
    shift_px: float = Field(10.0, ge=0)
    """Largest random shift of a training item, in pixels of a 512 px frame."""
    rotation_deg: float = Field(0.0, ge=0, le=180)
    """Largest random rotation of a training item, in degrees."""
    scale_range: float = Field(0.0, ge=0, lt=1)
    """Largest random change of scale; 0.1 means 0.9 to 1.1."""
    trim: bool = False
    """Drop the frames before the first and after the last visible hand; for clips with rest around
    the sign and estimators that detect only raised hands."""
    stretch: bool = False
    """Stretch a clip of fewer than `frames` frames; `false`: repeat it from its start."""
    training: SlgcnTraining = Field(default_factory=SlgcnTraining, description=_TRAINING)
    finetune: SlgcnFinetune = Field(default_factory=SlgcnFinetune, description=_FINETUNE)

    @model_validator(mode="after")
    def _augmentation_fits(self) -> "SlgcnSettings":
        if self.window > self.frames:
            raise ValueError(f"window {self.window} is longer than frames {self.frames}")
        extra = self.rotation_deg or self.scale_range or self.trim or self.stretch
        if self.fidelity == "published" and extra:
            raise ValueError(
                "fidelity published does not rotate, scale, trim or stretch; leave out "
                "rotation_deg, scale_range, trim and stretch"
            )
        return self


class LandmarkSettings(_TrainedSettings):
    """LandmarkNet on landmarks in the frames of reference of body and hands; of neither system."""

    model: Literal["landmark"] = Field(description=_MODEL)
    representation: LandmarkRepresentation = "position"
    """Input of the network: `position` of the landmarks and shapes of the hands, or their
    `motion`."""
    width: int = Field(128, ge=8)
    """Channels between the blocks."""
    blocks: int = Field(2, ge=1)
    """Groups of three blocks of convolutions and one of attention."""
    heads: int = Field(4, ge=1)
    """Attention heads."""
    frames: int = Field(48, ge=1)
    """Frames of an item; every clip is resampled to them."""
    trim: bool = True
    """Drop the frames before the first and after the last visible hand."""
    flip_probability: FlipProbability = 0.5
    speed_range: float = Field(0.3, ge=0, lt=1)
    """Largest random change of speed; 0.3 means 0.7 to 1.3."""
    rotation_deg: float = Field(15.0, ge=0, le=180)
    """Largest random rotation of a training item, in degrees."""
    scale_range: float = Field(0.2, ge=0, lt=1)
    """Largest random change of scale; that of the width alone is half of it."""
    shear_range: float = Field(0.1, ge=0)
    """Largest random shear."""
    shift_range: float = Field(0.1, ge=0)
    """Largest random shift, in widths of the shoulders."""
    time_masks: int = Field(1, ge=0)
    """Times of a training item in which nothing is seen, each at most 0.3 of the clip."""
    hand_drop_probability: float = Field(0.3, ge=0, le=1)
    """Probability that one hand is not seen for at most 0.3 of a training item."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout before the classifier; in the attention it is a fifth of it."""
    drop_path: float = Field(0.2, ge=0, lt=1)
    """Probability that a training item skips a block."""
    training: LandmarkTraining = Field(default_factory=LandmarkTraining, description=_TRAINING)
    finetune: LandmarkFinetune = Field(default_factory=LandmarkFinetune, description=_FINETUNE)

    @model_validator(mode="after")
    def _fits(self) -> "LandmarkSettings":
        _check_heads(self.width, self.heads)
        if self.fidelity == "published":
            raise ValueError("no published system has this model; set its fidelity to corrected")
        return self


class SstcnSettings(_TrainedSettings):
    """SSTCN on heat-maps of 33 keypoints (SAM-SLR, section 3.2)."""

    model: Literal["sstcn"] = Field(description=_MODEL)
    width: int = Field(1980, ge=2, multiple_of=2)
    """Channels of the layers that mix all frames and joints."""
    frames: int = Field(60, ge=1, le=60)
    """Frames of an item, out of the 60 stored."""
    flip_probability: FlipProbability = 0.5
    dropout: float = Field(0.333, ge=0, lt=1)
    """Dropout probability of a channel."""
    training: SstcnTraining = Field(default_factory=SstcnTraining, description=_TRAINING)
    finetune: SstcnFinetune = Field(default_factory=SstcnFinetune, description=_FINETUNE)


class R2plus1dSettings(_TrainedSettings):
    """R(2+1)D-18 with SiLU on picture features (SAM-SLR, section 3.3)."""

    model: Literal["r2plus1d"] = Field(description=_MODEL)
    feature: Literal["frames", "flow", "hha", "depth_flow"]
    """The feature it reads."""
    width: int = Field(64, ge=2)
    """Channels of the first layer; later layers have 2x, 4x and 8x."""
    frames: int = Field(32, ge=1)
    """Frames of a clip."""
    size: int = Field(128, ge=16)
    """Height and width of a clip, in pixels."""
    flip_probability: FlipProbability = 0.5
    rotation_deg: float = Field(5.0, ge=0, le=180)
    """Largest random rotation of a training item, in degrees."""
    jitter: float = Field(0.0, ge=0, lt=1)
    """Largest relative change of brightness, contrast and saturation; only for feature `frames`,
    fidelity `corrected`."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout before the classifier."""
    test_clips: int = Field(5, ge=1)
    """Clips per video at evaluation; their logits are averaged."""
    training: R2plus1dTraining = Field(default_factory=R2plus1dTraining, description=_TRAINING)
    finetune: R2plus1dFinetune = Field(default_factory=R2plus1dFinetune, description=_FINETUNE)

    @model_validator(mode="after")
    def _only_corrected_frames_jitter(self) -> "R2plus1dSettings":
        if self.jitter and (self.fidelity == "published" or self.feature != "frames"):
            raise ValueError(
                f"jitter is for feature frames in fidelity corrected; found {self.feature}, "
                f"{self.fidelity}"
            )
        return self


class VtnSettings(_TrainedSettings):
    """VTN-HC/PF: hand crops and pose flow, ResNet and self-attention (De Coster)."""

    model: Literal["vtn"] = Field(description=_MODEL)
    depth: bool = False
    """Whether the model also sees hand crops of the depth video."""
    backbone: Literal["resnet18", "resnet34"] = "resnet34"
    """The network that encodes each crop."""
    backbone_width: int = Field(64, ge=2)
    """Channels of its first layer; it outputs 8x."""
    width: int = Field(1024, ge=8)
    """Size of the embedding of a frame."""
    heads: int = Field(8, ge=1)
    """Attention heads."""
    layers: int = Field(4, ge=1)
    """Decoder blocks."""
    frames: int = Field(16, ge=1)
    """Frames of an item."""
    stride: int = Field(2, ge=1)
    """Temporal stride: use every n-th frame."""
    size: int = Field(224, ge=32)
    """Height and width of a crop, in pixels."""
    flip_probability: FlipProbability = 0.5
    jitter: float = Field(0.5, ge=0, lt=1)
    """Largest relative change of brightness, contrast and saturation."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout in the decoder blocks."""
    classifier_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the classifier."""
    training: VtnTraining = Field(default_factory=VtnTraining, description=_TRAINING)
    finetune: VtnFinetune = Field(default_factory=VtnFinetune, description=_FINETUNE)

    @model_validator(mode="after")
    def _heads_fit(self) -> "VtnSettings":
        _check_heads(self.width, self.heads)
        return self


class ImportedSettings(Section):
    """Imported logits, as written by `slr import-logits`; nothing is trained."""

    model: Literal["imported"]
    """No model, only files of logits."""
    reads: list[Feature] = Field(min_length=1)
    """The features they were computed from; track `rgb` allows none from depth."""
    val: PlainPath | None = None
    """Logits of val from a model trained on train alone; null: val is not scored, and no calibrated
    track can use the stream."""
    test: PlainPath
    """Logits of test from a model of the experiment's protocol."""
    untuned: PlainPath | None = None
    """Logits of test from before fine-tuning, for tracks that name the stream in `untuned` too;
    null: a track that names it there takes `test`."""
    out_of_fold: PlainPath | None = None
    """Logits of train from models that did not see the sample's signer; required if `folds` is
    set."""


TrainedStream = Annotated[
    SlgcnSettings | LandmarkSettings | SstcnSettings | R2plus1dSettings | VtnSettings,
    Field(discriminator="model"),
]
"""Streams with a model."""

StreamSettings = Annotated[
    SlgcnSettings
    | LandmarkSettings
    | SstcnSettings
    | R2plus1dSettings
    | VtnSettings
    | ImportedSettings,
    Field(discriminator="model"),
]


def recipe_of(stream: TrainedStream, phase: Phase) -> TrainingSettings:
    """The recipe of a phase; that of `finetune` has a fixed schedule and does not use val."""
    if phase == "train":
        return stream.training
    fixed: dict[str, Any] = {
        "schedule": "steps",
        "warmup_epochs": 0,
        "plateau_patience": None,
        "patience": None,
        "weight_decay_epochs": None,
        "reset_epochs": [],
        "overfit_steps": 0,
        "chance_epochs": None,
    }
    return stream.training.model_copy(update={**fixed, **stream.finetune.model_dump()})


def weights_settings(stream: TrainedStream, phase: Phase) -> dict[str, Any]:
    """The settings that the weights of a phase depend on; the others retrain nothing.

    Left out are those of other phases, of evaluation, of other seeds, and of checks that only stop
    a training.
    """
    checks = {"overfit_steps", "chance_epochs"}
    unused: dict[str, Any] = {
        **dict.fromkeys((*EVALUATION, "seeds"), True),
        "training": checks,
    }
    if phase == "train":
        unused["finetune"] = True
    return stream.model_dump(mode="json", exclude=unused)


def evaluation_settings(stream: StreamSettings) -> dict[str, Any]:
    """The settings of evaluation of a stream; imported logits have none."""
    return stream.model_dump(mode="json", include=set(EVALUATION))


def test_views(stream: TrainedStream) -> tuple[SampleView, ...]:
    """Views of a sample that evaluation averages: clips, mirrored or not, at several speeds."""
    clips = stream.test_clips if isinstance(stream, R2plus1dSettings) else 1
    return tuple(
        SampleView(clip, clips, mirrored, speed)
        for speed in stream.test_speeds
        for mirrored in ((False, True) if stream.test_mirror else (False,))
        for clip in range(clips)
    )


def features_of(stream: StreamSettings, features: FeatureSettings) -> tuple[str, ...]:
    """The features that a stream reads."""
    match stream:
        case SlgcnSettings() | LandmarkSettings():
            return ("keypoints",)
        case SstcnSettings():
            return ("heatmaps",) if features.heatmaps.stored else ("keypoints",)
        case R2plus1dSettings():
            return (stream.feature,)
        case VtnSettings():
            depth = ("depth_hand_crops",) if stream.depth else ()
            return ("hand_crops", "pose_flow", *depth)
        case ImportedSettings():
            return tuple(stream.reads)
        case _:
            assert_never(stream)
