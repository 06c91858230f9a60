"""The configuration: closed, typed sections, every key described; checked at parse time."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from slr_pipeline.config.features import FeatureSettings
from slr_pipeline.config.fidelity import inherit_fidelity, mixture_problem
from slr_pipeline.config.section import PlainPath, Section, checked, yaml_of
from slr_pipeline.config.streams import (
    ImportedSettings,
    Phase,
    StreamSettings,
    TrainedStream,
    features_of,
    recipe_of,
)
from slr_pipeline.errors import ConfigError
from slr_pipeline.schema import DEPTH_FEATURES, Fidelity

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class AutslLabels(Section):
    """Label files of the AUTSL layout, relative to `root`; null: the names come from the folder."""

    train: str = Field("train_labels.csv", description="Header-less CSV `name,label` of train.")
    val: str = Field("val_labels.csv", description="Header-less CSV `name,label` of val.")
    test: str | None = Field(
        "test_labels.csv",
        description="Header-less CSV `name,label` of test; null when the labels are unknown "
        "(the samples are then the `*_color.mp4` files of the folder `test`).",
    )


SIGNER_INDEPENDENT = (
    "Whether a signer in two splits is an error. `false`: there may be some, and accuracy is not "
    "that of signers who were never seen."
)


class AutslData(Section):
    """AUTSL's own folders: `{train,val,test}/signerX_sampleY_{color,depth}.mp4`."""

    layout: Literal["autsl"] = Field(description="The layout of AUTSL.")
    root: str = Field(description="Folder with the split folders, label files and class list.")
    labels: AutslLabels = Field(default_factory=AutslLabels, description="The label files.")
    classes: str = Field(
        "SignList_ClassId_TR_EN.csv",
        description="Class list `ClassId,TR,EN` relative to `root`.",
    )
    depth: bool = Field(False, description="Whether every sample has a depth video to be read.")
    signer_independent: bool = Field(True, description=SIGNER_INDEPENDENT)


class TableData(Section):
    """One CSV for any data set, with the columns `sample,split,label,signer,color,depth`.

    With `color_sha256` and `depth_sha256`, too, a video with another SHA-256 is quarantined.
    """

    layout: Literal["table"] = Field(description="The layout of one table.")
    table: str = Field(
        description="CSV with a header; `label` is a number or a gloss; `signer` and `depth` "
        "columns may be left out, `label` may be empty in test."
    )
    root: str | None = Field(
        None,
        description="Folder the paths of the table are relative to; null: the table's own folder.",
    )
    classes: str | None = Field(
        None,
        description="Text file with one gloss a line, in class order; null: the table's labels, "
        "sorted.",
    )
    signer_independent: bool = Field(True, description=SIGNER_INDEPENDENT)


DataSettings = Annotated[AutslData | TableData, Field(discriminator="layout")]


class VerifySettings(Section):
    """The check of every video before anything else runs."""

    max_quarantined: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of samples that may fail the check before the run stops.",
    )
    seconds_per_video: int = Field(
        120,
        ge=1,
        description="A video that takes longer to decode is quarantined: it may be made to.",
    )


class QualitySettings(Section):
    """The check of every clip's keypoints; a clip that breaks a limit is quarantined.

    It is left out of training and answered by the class prior; null: no limit. `results/quality/`
    has the numbers of all clips.
    """

    min_person: float | None = Field(
        0.0, ge=0, le=1, description="A person must be found in more than this share of the frames."
    )
    max_missing_hands: float | None = Field(
        None, ge=0, le=1, description="Share of the frames in which neither hand is found."
    )
    max_jitter: float | None = Field(
        None,
        ge=0,
        description="Median acceleration of head, arms and hands, in shoulder widths a frame "
        "squared. Fast signing counts, too.",
    )
    max_swapped: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of the frames in which both hands lie on one, or a hand is at the "
        "other arm.",
    )
    max_limb_spread: float | None = Field(
        None,
        ge=0,
        description="Robust standard deviation over median, of the length of the worst upper arm "
        "or forearm.",
    )
    max_quarantined: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the samples of a split that may fail before the run stops.",
    )


class TrackSettings(Section):
    """Weighted streams that make one submission."""

    fusion: Literal["calibrated", "published"] = Field(
        "calibrated",
        description="`calibrated`: log-probabilities of each stream, at a temperature fitted on "
        "val; `published`: raw logits, as SAM-SLR has it.",
    )
    streams: dict[Name, Annotated[float, Field(gt=0)] | None] = Field(
        min_length=1,
        description="Weight of each stream; the score is their weighted mean. Names alone, as in "
        "`{joint, bone}`: the weights are fitted on val.",
    )
    untuned: dict[Name, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="Weights of streams as they were before fine-tuning, beside `streams`; for "
        "fusion published and protocol challenge, as in SAM-SLR's skeleton score of test.",
    )
    template: PlainPath | None = Field(
        None,
        description="Predictions CSV whose order of names the submission takes; null: the sample "
        "table's.",
    )
    baseline: PlainPath | None = Field(
        None, description="Predictions CSV of test to compare with, by McNemar's exact test."
    )

    @model_validator(mode="after")
    def _weights_are_all_given_or_all_fitted(self) -> "TrackSettings":
        fitted = [name for name, weight in self.streams.items() if weight is None]
        if fitted and self.fusion == "published":
            raise ValueError(f"fusion published needs the weight of each stream, not of {fitted}")
        if fitted and len(fitted) < len(self.streams):
            raise ValueError(f"give the weight of each stream or of none; without: {fitted}")
        if self.untuned and self.fusion != "published":
            raise ValueError(
                "untuned: fusion calibrated keeps what was fitted before fine-tuning for after it; "
                "set fusion published and weights, or leave it out"
            )
        return self


class Config(Section):
    """A whole experiment."""

    name: Name = Field(description="Short name of the experiment, for people.")
    results: PlainPath = Field("results", description="Folder everything is written under.")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Seed of everything random.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="`auto` takes a GPU where there is one; `cpu`; `cuda` or `cuda:N` by name.",
    )
    scratch: str | None = Field(
        None,
        description="Folder on the disk of the node, such as `$TMPDIR`, to which each video is "
        "copied while it is decoded; null: videos are read where they are. Changing it reruns "
        "nothing.",
    )
    protocol: Literal["strict", "challenge"] = Field(
        "strict",
        description="`strict`: trained on train; val picks the epoch, nothing else. `challenge`: "
        "what test is answered with was then fine-tuned on train and val.",
    )
    fidelity: Fidelity = Field(
        "corrected",
        description="`published` repeats the released code of the two systems, slips included; "
        "`corrected` does what their papers mean. Every feature and stream inherits it unless it "
        "sets its own; `slr check` refuses mixtures that do not fit.",
    )
    shard_size: int = Field(
        512, ge=1, description="Most samples of one shard, the unit of work of a feature."
    )
    keep_features: bool = Field(
        True,
        description="`false`: a feature of pictures is deleted once every stream that reads it is "
        "trained and has answered. What reads it again makes it again.",
    )
    folds: int | None = Field(
        None,
        ge=2,
        le=20,
        description="So many more trainings of each stream of a calibrated track, each without "
        "some of the signers of train: temperatures and weights are then fitted on what these "
        "answer for the signers they did not see. null: fitted on val.",
    )
    data: DataSettings = Field(description="Where the videos and labels are.")
    verify: VerifySettings = Field(
        default_factory=VerifySettings, description="The check of every video."
    )
    features: FeatureSettings = Field(
        default_factory=FeatureSettings, description="How each feature is made."
    )
    quality: QualitySettings = Field(
        default_factory=QualitySettings, description="The check of every clip's keypoints."
    )
    streams: dict[Name, StreamSettings] = Field(
        min_length=1, description="Models on features; each gives logits."
    )
    tracks: dict[Name, TrackSettings] = Field(
        min_length=1, description="Ensembles of streams; each gives one submission."
    )

    @model_validator(mode="before")
    @classmethod
    def _sections_inherit_fidelity(cls, values: Any) -> Any:
        return inherit_fidelity(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _fidelities_fit(self) -> "Config":
        for name, stream in self.streams.items():
            problem = mixture_problem(stream, self.features)
            if problem is not None:
                raise ValueError(f"streams.{name}.fidelity: {problem}")
        return self

    @model_validator(mode="after")
    def _untrained_streams_have_weights(self) -> "Config":
        for name, stream in self.streams.items():
            if isinstance(stream, ImportedSettings):
                continue
            if stream.training.epochs == 0 and stream.init is None:
                raise ValueError(f"streams.{name}.training.epochs: 0 needs weights; name an init")
        return self

    @model_validator(mode="after")
    def _batches_are_shared_equally(self) -> "Config":
        for name, stream in self.streams.items():
            if isinstance(stream, ImportedSettings):
                continue
            processes = stream.gpus * stream.nodes
            for phase in self.phases:
                size = recipe_of(stream, phase).batch_size
                if size % processes:
                    raise ValueError(
                        f"streams.{name}: batch_size {size} of phase {phase} is no multiple of "
                        f"{processes} processes (gpus {stream.gpus} x nodes {stream.nodes}); "
                        "change either"
                    )
        return self

    @model_validator(mode="after")
    def _tracks_name_streams(self) -> "Config":
        for track, settings in self.tracks.items():
            for stream in (*settings.streams, *settings.untuned):
                if stream not in self.streams:
                    raise ValueError(
                        f"tracks.{track}.streams.{stream}: a weight for no stream "
                        f"(known: {', '.join(sorted(self.streams))})"
                    )
                read = self.stream_features(stream)
                if track == "rgb" and set(read) & set(DEPTH_FEATURES):
                    raise ValueError(
                        f"tracks.rgb.streams.{stream}: it reads {', '.join(read)}, and track rgb "
                        "may see nothing made from depth; move it to another track"
                    )
        return self

    @model_validator(mode="after")
    def _untuned_has_a_tuned_one(self) -> "Config":
        for track, settings in self.tracks.items():
            if settings.untuned and self.protocol == "strict":
                raise ValueError(
                    f"tracks.{track}.untuned: protocol strict fine-tunes nothing; set protocol "
                    "challenge, or add the weights to streams"
                )
        return self

    @model_validator(mode="after")
    def _fitted_streams_answer_val(self) -> "Config":
        for name in self.fitted_streams():
            stream = self.streams[name]
            if isinstance(stream, ImportedSettings) and stream.val is None:
                raise ValueError(
                    f"streams.{name}.val: missing, and a track of fusion calibrated takes it; name "
                    "its logits of val, or set fusion published and weights"
                )
        return self

    @model_validator(mode="after")
    def _folds_are_trained(self) -> "Config":
        for name in self.fitted_streams() if self.folds else ():
            stream = self.streams[name]
            if isinstance(stream, ImportedSettings):
                if stream.out_of_fold is None:
                    raise ValueError(
                        f"streams.{name}.out_of_fold: missing, and folds is {self.folds}; name its "
                        "out-of-fold logits of train, or set folds null to fit on val"
                    )
            elif stream.training.epochs == 0:
                raise ValueError(
                    f"streams.{name}.training.epochs: 0 with folds {self.folds}: weights trained "
                    "elsewhere may have seen every signer; set folds null to fit on val"
                )
        return self

    def fitted_streams(self) -> tuple[str, ...]:
        """The streams to whose logits a track fits something, in the order of `streams`."""
        fitted = {
            stream
            for track in self.tracks.values()
            if track.fusion == "calibrated"
            for stream in track.streams
        }
        return tuple(stream for stream in self.streams if stream in fitted)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """In which a stream is trained; the model of the last one answers test."""
        return ("train", "finetune") if self.protocol == "challenge" else ("train",)

    def stream_features(self, stream: str) -> tuple[str, ...]:
        """The features a stream of this configuration reads."""
        return features_of(self.streams[stream], self.features)


def check_config(values: Mapping[str, Any]) -> Config:
    """The checked configuration; ConfigError lists each wrong key with what is known there."""
    config: Config = checked(Config, values, "config")
    return config


def check_stream(values: Any) -> TrainedStream:
    """A stream with a model."""
    stream: TrainedStream = checked(TrainedStream, values, "stream")
    return stream


def read_config(path: str) -> Config:
    """The checked configuration in a YAML file."""
    return check_config(read_values(path))


def read_values(path: str) -> dict[str, Any]:
    """The keys and values in a YAML file, not yet checked. ConfigError where it holds others."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a readable YAML file ({error})") from error
    values = yaml_of(text, path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values
