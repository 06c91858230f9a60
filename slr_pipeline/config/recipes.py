"""Training recipes: the sections `training:` and `finetune:` of a stream."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from slr_pipeline.config.section import Section

Phase = Literal["train", "finetune"]
"""`train`: on train, with val as the protocol says. `finetune`: then on train and val, with a
fixed schedule."""

Epochs = Annotated[
    int,
    Field(
        ge=0,
        description="Passes over the training samples; 0: use `init` as it is, without any sample.",
    ),
]
BatchSize = Annotated[int, Field(ge=2, description="Samples per optimiser step.")]
LearningRate = Annotated[float, Field(gt=0, description="Learning rate after the warm-up.")]
WeightDecay = Annotated[
    float,
    Field(
        ge=0,
        description="L2 penalty on all parameters; with `adamw` each step shrinks them by this "
        "share, times the learning rate.",
    ),
]
Milestones = Annotated[
    list[int], Field(description="Epochs at which the learning rate is multiplied by `decay`.")
]
Optimizer = Annotated[
    Literal["sgd", "adam", "adamw"],
    Field(description="SGD with Nesterov momentum, Adam, or Adam with decoupled weight decay."),
]
Schedule = Annotated[
    Literal["steps", "cosine"],
    Field(
        description="Learning rate after the warm-up: `steps` at milestones and plateaus, or half "
        "a `cosine` down to 0 at the end of the last epoch, without milestones and plateaus. "
        "Fine-tuning has steps."
    ),
]
Mixup = Annotated[
    float | None,
    Field(
        gt=0,
        description="Each training item is mixed with another one of its micro-batch, and the loss "
        "with the loss for the other's label; the share is drawn per step from Beta(mixup, mixup). "
        "`train_accuracy` counts the label of the larger share. null: no mixing.",
    ),
]
MicroBatch = Annotated[
    int | None,
    Field(
        ge=1,
        description="Samples per forward pass, which batch norm sees; gradients add up to one "
        "batch. null: the whole batch.",
    ),
]
WeightDecayEpochs = Annotated[
    int | None, Field(ge=0, description="Epochs with weight decay; null: all.")
]
WarmupEpochs = Annotated[
    int, Field(ge=0, description="Epochs over which the learning rate rises linearly.")
]
PlateauPatience = Annotated[
    int | None,
    Field(
        ge=0,
        description="Epochs without lower val loss before the learning rate is multiplied by "
        "`decay`; null: never.",
    ),
]
LabelSmoothing = Annotated[
    float, Field(ge=0, lt=1, description="Weight of the uniform distribution in the target.")
]
ClipNorm = Annotated[
    float | None, Field(gt=0, description="Largest L2 norm of all gradients; null: no clipping.")
]
EmaDecay = Annotated[
    float | None,
    Field(
        gt=0,
        lt=1,
        description="Decay of an exponential moving average of the weights, which becomes the "
        "model; null: no average.",
    ),
]
Monitor = Annotated[
    Literal["val_accuracy", "val_loss"],
    Field(description="The measure on val that selects the best epoch."),
]
Patience = Annotated[
    int | None,
    Field(
        ge=1,
        description="Early stopping: epochs without a better one on val before training stops; "
        "null: never.",
    ),
]


FinetuneEpochs = Annotated[
    int, Field(ge=0, description="Passes over train and val; 0: no fine-tuning.")
]
FinetuneRate = Annotated[
    float, Field(gt=0, description="Learning rate at the start; there is no warm-up.")
]


class TrainingSettings(Section):
    """A training recipe."""

    epochs: Epochs = 100
    batch_size: BatchSize = 32
    micro_batch: MicroBatch = None
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 1e-3
    schedule: Schedule = "steps"
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of `sgd`."""
    weight_decay: WeightDecay = 0.0
    weight_decay_epochs: WeightDecayEpochs = None
    warmup_epochs: WarmupEpochs = 0
    milestones: Milestones = Field([])
    decay: float = Field(0.1, gt=0, le=1)
    """Factor of the learning rate at a milestone or plateau."""
    plateau_patience: PlateauPatience = None
    label_smoothing: LabelSmoothing = 0.0
    mixup: Mixup = None
    clip_norm: ClipNorm = None
    ema_decay: EmaDecay = None
    monitor: Monitor = "val_accuracy"
    patience: Patience = None
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto`: bf16 on a GPU that supports it, else fp32. Prediction takes it on a GPU, too."""
    deterministic: bool = False
    """Use deterministic GPU algorithms where PyTorch has one; an operation without one only logs a
    warning, so two GPU runs may still differ. `false`: cuDNN measures which algorithms are fastest.
    On a CPU training is always deterministic."""
    matmul_precision: Literal["highest", "high", "medium"] = "high"
    """Of float32 products on a GPU, in training and prediction: `highest`: float32; `high`:
    TensorFloat32; `medium`: bfloat16 in matrix products, TensorFloat32 in convolutions."""
    compile: bool = False
    """Compile the model with `torch.compile` for training: the first steps take minutes."""
    reset_epochs: list[int] = Field([])
    """Epochs in which the optimiser's moments are reset before every step, as in the released code
    of SSTCN."""
    overfit_steps: int = Field(100, ge=0)
    """Sanity check before training: a copy of the model must overfit one batch within n steps; 0
    disables it."""
    chance_epochs: int | None = Field(30, ge=1)
    """Sanity check: training stops with an error if val accuracy is at chance level after n epochs;
    null disables it."""

    @model_validator(mode="before")
    @classmethod
    def _no_steps_by_default_with_cosine(cls, values: Any) -> Any:
        if isinstance(values, dict):
            schedule = values.get("schedule", cls.model_fields["schedule"].default)
            if schedule == "cosine":
                return {"milestones": [], "plateau_patience": None, **values}
        return values

    @model_validator(mode="after")
    def _options_fit(self) -> "TrainingSettings":
        if self.schedule == "cosine" and (self.milestones or self.plateau_patience is not None):
            raise ValueError(
                "schedule cosine has no milestones and plateau_patience; leave them out, or set "
                "schedule: steps"
            )
        if self.mixup and self.micro_batch == 1:
            raise ValueError("mixup needs a micro_batch of at least 2 samples, found 1")
        return self


class FinetuneSettings(Section):
    """The changes of the recipe for fine-tuning on train and val; the last epoch is kept."""

    epochs: FinetuneEpochs
    learning_rate: FinetuneRate
    weight_decay: WeightDecay = 0.0
    batch_size: BatchSize = 24
    milestones: Milestones = Field([])


class SlgcnTraining(TrainingSettings):
    """The recipe of SL-GCN: SGD, warm-up and steps (SAM-SLR, section 3.1)."""

    epochs: Epochs = 250
    batch_size: BatchSize = 64
    optimizer: Optimizer = "sgd"
    learning_rate: LearningRate = 0.1
    weight_decay: WeightDecay = 1e-4
    warmup_epochs: WarmupEpochs = 20
    milestones: Milestones = Field([150, 200])
    freeze_graph_epochs: int = Field(1, ge=0)
    """First epochs in which the learned adjacency is frozen."""
    keep_final: float = Field(0.9, gt=0, le=1)
    """Final keep probability of DropGraph; it starts at 1."""
    keep_epochs: int = Field(100, ge=1)
    """Epochs over which the keep probability falls to `keep_final`."""


class SlgcnFinetune(FinetuneSettings):
    """Fine-tuning of SL-GCN as released; DropGraph's schedule restarts."""

    epochs: FinetuneEpochs = 100
    learning_rate: FinetuneRate = 0.01
    weight_decay: WeightDecay = 1e-4
    batch_size: BatchSize = 64
    milestones: Milestones = Field([50])


class LandmarkTraining(TrainingSettings):
    """The recipe of LandmarkNet: AdamW and a cosine, mixed items, averaged weights."""

    epochs: Epochs = 120
    batch_size: BatchSize = 64
    optimizer: Optimizer = "adamw"
    schedule: Schedule = "cosine"
    learning_rate: LearningRate = 2e-3
    weight_decay: WeightDecay = 0.05
    warmup_epochs: WarmupEpochs = 10
    label_smoothing: LabelSmoothing = 0.1
    mixup: Mixup = 0.4
    clip_norm: ClipNorm = 1.0
    ema_decay: EmaDecay = 0.99


class LandmarkFinetune(FinetuneSettings):
    """Fine-tuning of LandmarkNet."""

    epochs: FinetuneEpochs = 20
    learning_rate: FinetuneRate = 2e-4
    weight_decay: WeightDecay = 0.05
    batch_size: BatchSize = 64


class SstcnTraining(TrainingSettings):
    """The recipe of SSTCN: Adam in three stages (SAM-SLR, section 3.2)."""

    epochs: Epochs = 400
    batch_size: BatchSize = 160
    weight_decay: WeightDecay = 1e-4
    weight_decay_epochs: WeightDecayEpochs = 50
    milestones: Milestones = Field([50, 250])
    label_smoothing: LabelSmoothing = 0.1


class SstcnFinetune(FinetuneSettings):
    """Fine-tuning of SSTCN at the last rate of training; its recipe was not released."""

    epochs: FinetuneEpochs = 50
    learning_rate: FinetuneRate = 1e-5
    batch_size: BatchSize = 160


class R2plus1dTraining(TrainingSettings):
    """The recipe of R(2+1)D: Adam, lower rates at plateaus of val loss (SAM-SLR, section 3.3)."""

    batch_size: BatchSize = 24
    weight_decay: WeightDecay = 1e-4
    plateau_patience: PlateauPatience = 10
    label_smoothing: LabelSmoothing = 0.1


class R2plus1dFinetune(FinetuneSettings):
    """Fine-tuning of R(2+1)D; its number of epochs was not released."""

    epochs: FinetuneEpochs = 30
    learning_rate: FinetuneRate = 1e-4
    milestones: Milestones = Field([15])


class VtnTraining(TrainingSettings):
    """The recipe of VTN-HC/PF: Adam, steps, clipping, early stopping (De Coster, section 3.4)."""

    batch_size: BatchSize = 32
    micro_batch: MicroBatch = 4
    learning_rate: LearningRate = 1e-4
    milestones: Milestones = Field(list(range(5, 100, 5)))
    clip_norm: ClipNorm = 1.0
    monitor: Monitor = "val_loss"
    patience: Patience = 10


class VtnFinetune(FinetuneSettings):
    """Fine-tuning of VTN-HC/PF, which its authors did not do."""

    epochs: FinetuneEpochs = 5
    learning_rate: FinetuneRate = 1e-5
    batch_size: BatchSize = 32
