"""The settings of each kind of stream: the sections under `streams:`."""

from typing import Annotated, Any, Literal, assert_never

from pydantic import Field, model_validator

from slr_pipeline.config.estimators import WeightsFile
from slr_pipeline.config.features import FeatureSettings
from slr_pipeline.config.section import InheritedFidelity, PlainPath, Section
from slr_pipeline.schema import Feature, Representation

_TRAINING = "The recipe of phase `train`."
_FINETUNE = "What differs in phase `finetune` of protocol `challenge`."

Phase = Literal["train", "finetune"]
"""`train`: on train, val picks the epoch. `finetune`: on train and val, from there, as planned."""


class TrainingSettings(Section):
    """A training recipe."""

    epochs: int = Field(
        100, ge=0, description="Passes over the training samples; 0: `init` is used as it is."
    )
    batch_size: int = Field(32, ge=2, description="Samples of one optimiser step.")
    micro_batch: int | None = Field(
        None,
        ge=1,
        description="Samples that go through the model at once, which batch norm sees; gradients "
        "are summed over the batch. null: all of the batch.",
    )
    optimizer: Literal["sgd", "adam"] = Field(
        "adam", description="SGD with Nesterov momentum, or Adam."
    )
    learning_rate: float = Field(1e-3, gt=0, description="Rate after the warm-up.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of `sgd`.")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty on all parameters.")
    weight_decay_epochs: int | None = Field(
        None, ge=0, description="Epochs after which there is no penalty; null: it stays."
    )
    warmup_epochs: int = Field(0, ge=0, description="Epochs of linear rise of the rate.")
    milestones: list[int] = Field(
        [], description="Epochs at which the rate is multiplied by `decay`."
    )
    decay: float = Field(
        0.1, gt=0, le=1, description="Factor of the rate at each milestone or plateau."
    )
    plateau_patience: int | None = Field(
        None,
        ge=0,
        description="The rate falls when val loss has not for more than so many epochs; null: "
        "never.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the uniform target.")
    clip_norm: float | None = Field(
        None, gt=0, description="Largest norm of all gradients together; null: any."
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="The model is the running mean of its weights over the steps, with this "
        "decay; null: the last weights.",
    )
    monitor: Literal["val_accuracy", "val_loss"] = Field(
        "val_accuracy", description="What picks the epoch on val."
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="Epochs without a better one after which training ends; null: all epochs.",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="`auto`: bf16 on a GPU that has it, else fp32."
    )
    deterministic: bool = Field(
        True, description="Only such GPU algorithms as give the same bits each time."
    )
    reset_epochs: list[int] = Field(
        [],
        description="Epochs in which the optimiser forgets its moments before every step, as the "
        "released code of SSTCN does.",
    )
    overfit_steps: int = Field(
        100,
        ge=0,
        description="Before the first epoch a copy of the model must learn one batch by heart in "
        "so many steps; 0: it need not.",
    )
    chance_epochs: int | None = Field(
        30,
        ge=1,
        description="Training stops when val accuracy is what guessing gives after so many "
        "epochs; null: it goes on.",
    )


class FinetuneSettings(Section):
    """What differs from the training recipe when train and val are trained on."""

    epochs: int = Field(ge=0, description="Passes over train and val; the last one is kept.")
    learning_rate: float = Field(gt=0, description="Rate at the start; there is no warm-up.")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty on all parameters.")
    batch_size: int = Field(24, ge=2, description="Samples of one optimiser step.")
    milestones: list[int] = Field(
        [], description="Epochs at which the rate is multiplied by `decay` of the recipe."
    )


class _TrainedSettings(Section):
    """What streams with a model have in common."""

    model: str = Field(description="The model of the stream.")
    fidelity: InheritedFidelity = "corrected"
    init: WeightsFile | None = Field(
        None,
        description="Weights to start from, as `slr import-checkpoint` writes them; null: random.",
    )
    gpus: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes on each machine that train it together, each with a GPU (with "
        "device cpu: cores) and an equal share of every batch, which batch norm sees.",
    )
    nodes: int = Field(
        1, ge=1, le=64, description="Machines that train it together, as tasks of a cluster's job."
    )


class SlgcnTraining(TrainingSettings):
    """The recipe of SL-GCN: SGD, warm-up and steps (SAM-SLR, section 3.1)."""

    epochs: int = Field(250, ge=0, description="Passes over the training samples.")
    batch_size: int = Field(64, ge=2, description="Samples of one optimiser step.")
    optimizer: Literal["sgd", "adam"] = Field("sgd", description="SGD or Adam.")
    learning_rate: float = Field(0.1, gt=0, description="Rate after the warm-up.")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on all parameters.")
    warmup_epochs: int = Field(20, ge=0, description="Epochs of linear rise of the rate.")
    milestones: list[int] = Field(
        [150, 200], description="Epochs at which the rate is multiplied by `decay`."
    )
    freeze_graph_epochs: int = Field(
        1, ge=0, description="First epochs in which the learned adjacency stays fixed."
    )
    keep_final: float = Field(
        0.9, gt=0, le=1, description="DropGraph keep probability at its lowest."
    )
    keep_epochs: int = Field(
        100, ge=1, description="Epochs in which the keep probability falls from 1 to `keep_final`."
    )


class SlgcnFinetune(FinetuneSettings):
    """Fine-tuning of SL-GCN as released; DropGraph's schedule starts again."""

    epochs: int = Field(100, ge=0, description="Passes over train and val.")
    learning_rate: float = Field(0.01, gt=0, description="Rate at the start.")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on all parameters.")
    batch_size: int = Field(64, ge=2, description="Samples of one optimiser step.")
    milestones: list[int] = Field([50], description="Epochs at which the rate falls.")


class SlgcnSettings(_TrainedSettings):
    """SL-GCN on skeletons of 27 joints (SAM-SLR, section 3.1)."""

    model: Literal["slgcn"] = Field(description="The model of the stream.")
    representation: Representation = Field(
        "joint",
        description="What the stream is given: `joint` places, `bone` vectors from parent to "
        "child, or the movement of either.",
    )
    width: int = Field(
        64,
        ge=16,
        multiple_of=16,
        description="Channels of the first units, a multiple of its 16 groups; later units have "
        "2x and 4x.",
    )
    frames: int = Field(150, ge=1, description="Frames of the skeleton tensor.")
    window: int = Field(100, ge=1, description="Consecutive frames of a training item.")
    flip_probability: float = Field(0.5, ge=0, le=1, description="Mirrored training items.")
    shift_px: float = Field(
        10.0, ge=0, description="Largest random shift of a training item, pixels of 512."
    )
    rotation_deg: float = Field(
        0.0, ge=0, le=180, description="Largest random rotation of a training item, degrees."
    )
    scale_range: float = Field(
        0.0, ge=0, lt=1, description="Largest random change of size: 0.1 means 0.9 to 1.1."
    )
    trim: bool = Field(
        False,
        description="Frames before the first and after the last with a hand are left out: for "
        "clips with rest about the sign, and estimators that only find raised hands.",
    )
    stretch: bool = Field(
        False,
        description="A clip of fewer than `frames` is spread over them, and not repeated from "
        "its start.",
    )
    training: SlgcnTraining = Field(default_factory=SlgcnTraining, description=_TRAINING)
    finetune: SlgcnFinetune = Field(default_factory=SlgcnFinetune, description=_FINETUNE)

    @model_validator(mode="after")
    def _augmentation_fits(self) -> "SlgcnSettings":
        if self.window > self.frames:
            raise ValueError(f"window {self.window} is longer than frames {self.frames}")
        changed = self.rotation_deg or self.scale_range or self.trim or self.stretch
        if self.fidelity == "published" and changed:
            raise ValueError(
                "fidelity published neither rotates, scales, trims nor stretches; leave "
                "rotation_deg, scale_range, trim and stretch out"
            )
        return self


class SstcnTraining(TrainingSettings):
    """The recipe of SSTCN: Adam in three stages (SAM-SLR, section 3.2)."""

    epochs: int = Field(400, ge=0, description="Passes over the training samples.")
    batch_size: int = Field(160, ge=2, description="Samples of one optimiser step.")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on all parameters.")
    weight_decay_epochs: int | None = Field(
        50, ge=0, description="Epochs after which there is no penalty; null: it stays."
    )
    milestones: list[int] = Field([50, 250], description="Epochs at which the rate falls.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Share of the uniform target.")


class SstcnFinetune(FinetuneSettings):
    """Fine-tuning of SSTCN. Its recipe was not released: the training's last rate."""

    epochs: int = Field(50, ge=0, description="Passes over train and val.")
    learning_rate: float = Field(1e-5, gt=0, description="Rate at the start.")
    batch_size: int = Field(160, ge=2, description="Samples of one optimiser step.")


class SstcnSettings(_TrainedSettings):
    """SSTCN on heat-maps of 33 keypoints (SAM-SLR, section 3.2)."""

    model: Literal["sstcn"] = Field(description="The model of the stream.")
    width: int = Field(
        1980, ge=2, multiple_of=2, description="Channels where all frames and joints are mixed."
    )
    frames: int = Field(60, ge=1, le=60, description="Frames of an item, of the 60 stored.")
    flip_probability: float = Field(0.5, ge=0, le=1, description="Mirrored training items.")
    dropout: float = Field(0.333, ge=0, lt=1, description="Share of channels dropped.")
    training: SstcnTraining = Field(default_factory=SstcnTraining, description=_TRAINING)
    finetune: SstcnFinetune = Field(default_factory=SstcnFinetune, description=_FINETUNE)


class R2plus1dTraining(TrainingSettings):
    """The recipe of R(2+1)D: Adam, the rate falling on plateaus of val loss (SAM-SLR, 3.3)."""

    batch_size: int = Field(24, ge=2, description="Samples of one optimiser step.")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on all parameters.")
    plateau_patience: int | None = Field(
        10, ge=0, description="Epochs without lower val loss after which the rate falls."
    )
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Share of the uniform target.")


class R2plus1dFinetune(FinetuneSettings):
    """Fine-tuning of R(2+1)D; its number of epochs was not released."""

    epochs: int = Field(30, ge=0, description="Passes over train and val.")
    learning_rate: float = Field(1e-4, gt=0, description="Rate at the start.")
    milestones: list[int] = Field([15], description="Epochs at which the rate falls.")


class R2plus1dSettings(_TrainedSettings):
    """R(2+1)D-18 with SiLU on clips of pictures (SAM-SLR, section 3.3)."""

    model: Literal["r2plus1d"] = Field(description="The model of the stream.")
    feature: Literal["frames", "flow", "hha", "depth_flow"] = Field(
        description="The pictures it sees."
    )
    width: int = Field(64, ge=2, description="Channels of the first layer; later: 2x, 4x, 8x.")
    frames: int = Field(32, ge=1, description="Frames of a clip.")
    size: int = Field(128, ge=16, description="Height and width of a clip, pixels.")
    flip_probability: float = Field(0.5, ge=0, le=1, description="Mirrored training items.")
    rotation_deg: float = Field(
        5.0, ge=0, le=180, description="Largest random rotation of a training item, degrees."
    )
    jitter: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Largest random change of brightness, contrast and saturation of `frames`.",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="Before the classifier.")
    test_clips: int = Field(5, ge=1, description="Clips of a video whose logits are averaged.")
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


class VtnTraining(TrainingSettings):
    """The recipe of VTN-HC/PF: Adam, steps, clipping, early stopping (De Coster, section 3.4)."""

    batch_size: int = Field(32, ge=2, description="Samples of one optimiser step.")
    micro_batch: int | None = Field(
        4, ge=1, description="Samples that go through the model at once, which batch norm sees."
    )
    learning_rate: float = Field(1e-4, gt=0, description="Rate at the start.")
    milestones: list[int] = Field(
        list(range(5, 100, 5)), description="Epochs at which the rate falls."
    )
    clip_norm: float | None = Field(
        1.0, gt=0, description="Largest norm of all gradients together; null: any."
    )
    monitor: Literal["val_accuracy", "val_loss"] = Field(
        "val_loss", description="What picks the epoch on val."
    )
    patience: int | None = Field(
        10, ge=1, description="Epochs without a better one after which training ends."
    )


class VtnFinetune(FinetuneSettings):
    """Fine-tuning of VTN-HC/PF, which its authors did not do."""

    epochs: int = Field(5, ge=0, description="Passes over train and val.")
    learning_rate: float = Field(1e-5, gt=0, description="Rate at the start.")
    batch_size: int = Field(32, ge=2, description="Samples of one optimiser step.")


class VtnSettings(_TrainedSettings):
    """VTN-HC/PF: hand crops and pose flow, ResNet and self-attention (De Coster)."""

    model: Literal["vtn"] = Field(description="The model of the stream.")
    depth: bool = Field(False, description="Whether hand crops of the depth video are seen, too.")
    backbone: Literal["resnet18", "resnet34"] = Field(
        "resnet34", description="What every crop goes through."
    )
    backbone_width: int = Field(64, ge=2, description="Its first channels; it gives 8x as many.")
    width: int = Field(1024, ge=8, description="Size of a frame's embedding.")
    heads: int = Field(8, ge=1, description="Attention heads.")
    layers: int = Field(4, ge=1, description="Decoder blocks.")
    frames: int = Field(16, ge=1, description="Frames of an item.")
    stride: int = Field(2, ge=1, description="Of so many frames one is taken.")
    size: int = Field(224, ge=32, description="Height and width of a crop, pixels.")
    flip_probability: float = Field(0.5, ge=0, le=1, description="Mirrored training items.")
    jitter: float = Field(
        0.5, ge=0, lt=1, description="Largest random change of brightness, contrast, saturation."
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="In the decoder blocks.")
    classifier_dropout: float = Field(0.0, ge=0, lt=1, description="Before the classifier.")
    training: VtnTraining = Field(default_factory=VtnTraining, description=_TRAINING)
    finetune: VtnFinetune = Field(default_factory=VtnFinetune, description=_FINETUNE)

    @model_validator(mode="after")
    def _heads_fit(self) -> "VtnSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class ImportedSettings(Section):
    """Logits made elsewhere, as `slr import-logits` writes them; nothing is trained."""

    model: Literal["imported"] = Field(description="No model: files of logits.")
    reads: list[Feature] = Field(
        min_length=1, description="The features they were made from, which a track may forbid."
    )
    val: PlainPath | None = Field(
        None,
        description="Logits file of val, of protocol strict; null: none, then val is not scored "
        "and no track can be fitted to it.",
    )
    test: PlainPath = Field(description="Logits file of test, of the experiment's protocol.")
    out_of_fold: PlainPath | None = Field(
        None,
        description="Logits file of train by models that did not see the sample's signer, of "
        "protocol strict; needed where `folds` is set.",
    )


TrainedStream = Annotated[
    SlgcnSettings | SstcnSettings | R2plus1dSettings | VtnSettings, Field(discriminator="model")
]
"""Streams with a model."""

StreamSettings = Annotated[
    SlgcnSettings | SstcnSettings | R2plus1dSettings | VtnSettings | ImportedSettings,
    Field(discriminator="model"),
]


def recipe_of(stream: TrainedStream, phase: Phase) -> TrainingSettings:
    """The recipe of a phase. `finetune` has a fixed schedule: nothing in it looks at val."""
    if phase == "train":
        return stream.training
    planned: dict[str, Any] = {
        "warmup_epochs": 0,
        "plateau_patience": None,
        "patience": None,
        "weight_decay_epochs": None,
        "reset_epochs": [],
        "overfit_steps": 0,
        "chance_epochs": None,
    }
    return stream.training.model_copy(update={**planned, **stream.finetune.model_dump()})


def features_of(stream: StreamSettings, features: FeatureSettings) -> tuple[str, ...]:
    """The features a stream reads."""
    match stream:
        case SlgcnSettings():
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
