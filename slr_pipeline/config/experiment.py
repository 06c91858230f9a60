"""The configuration of an experiment, checked when Snakemake parses the workflow."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from slr_pipeline.config.checks import QualitySettings, VerifySettings
from slr_pipeline.config.features import FeatureSettings
from slr_pipeline.config.fidelity import inherit_fidelity, mixture_problem
from slr_pipeline.config.recipes import Phase
from slr_pipeline.config.section import OutputPath, RelativePath, Section, parse, parse_yaml
from slr_pipeline.config.streams import (
    ImportedSettings,
    StreamSettings,
    TrainedStream,
    features_of,
    recipe_of,
)
from slr_pipeline.config.tracks import Name, TrackSettings
from slr_pipeline.errors import ConfigError
from slr_pipeline.schema import DEPTH_FEATURES, Fidelity

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


class AutslLabels(Section):
    """Label files of the AUTSL layout, relative to `root`."""

    train: str = "train_labels.csv"
    """CSV `name,label` of train, without a header."""
    val: str = "val_labels.csv"
    """CSV `name,label` of val, without a header."""
    test: str | None = "test_labels.csv"
    """CSV `name,label` of test, without a header; null: labels are unknown and the samples are the
    files `*_color.mp4` of the folder `test`."""


SIGNER_INDEPENDENT = (
    "Whether a signer in two splits is an error; signers that the table does not name cannot be "
    "checked. `false`: accuracy is not that of unseen signers."
)

Duplicates = Literal["warn", "exclude", "error"]

DUPLICATES = (
    "What to do about one video that is several samples, as it is or encoded, scaled, trimmed or "
    "mirrored: `warn` lists them in `results/duplicates.csv`; `exclude` also trains without those "
    "that are copies of samples which are predicted, so test stays whole; `error` stops the run "
    "if copies are in several splits or have several labels."
)


class AutslData(Section):
    """AUTSL's folders: `{train,val,test}/signerX_sampleY_{color,depth}.mp4`."""

    layout: Literal["autsl"]
    """The layout of AUTSL."""
    root: RelativePath
    """Folder with the split folders, label files and class list."""
    labels: AutslLabels = Field(default_factory=AutslLabels)
    """The label files."""
    classes: str = "SignList_ClassId_TR_EN.csv"
    """Class list `ClassId,TR,EN`, relative to `root`."""
    depth: bool = False
    """Whether every sample has a depth video."""
    signer_independent: bool = Field(True, description=SIGNER_INDEPENDENT)
    duplicates: Duplicates = Field("warn", description=DUPLICATES)


class TableData(Section):
    """One CSV for any data set, with the columns `sample,split,label,signer,color,depth`.

    With the optional columns `color_sha256` and `depth_sha256`, a video whose SHA-256 differs is
    quarantined.
    """

    layout: Literal["table"]
    """The layout of one table."""
    table: RelativePath
    """CSV with a header. `label` is a number or a gloss and may be empty in test; the columns
    `signer` and `depth` are optional."""
    root: RelativePath | None = None
    """Folder that the table's paths are relative to; null: the table's folder."""
    classes: RelativePath | None = None
    """Text file with one gloss per line, in class order; null: the sorted labels of the table."""
    signer_independent: bool = Field(True, description=SIGNER_INDEPENDENT)
    duplicates: Duplicates = Field("warn", description=DUPLICATES)


DataSettings = Annotated[AutslData | TableData, Field(discriminator="layout")]


@dataclass(frozen=True)
class ImportedLogits:
    """A file of imported logits: its key in the configuration, and what it must contain."""

    key: str
    path: str
    split: Split
    protocol: str
    reads: Sequence[str]


class Config(Section):
    """A whole experiment."""

    name: Name
    """Short name of the experiment."""
    results: OutputPath = "results"
    """Folder of all outputs, relative to the folder in which you run `snakemake`; a config without
    this key has its results beside it, in `results`."""
    seed: int = Field(1, ge=0, le=2**31 - 1)
    """Seed of all random numbers."""
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """`auto`: a GPU if there is one; `cpu`; `cuda` or `cuda:N`."""
    scratch: str | None = None
    """Folder on the node's local disk, such as `$TMPDIR`, that each video is copied to while it is
    decoded; null: no copy. A change reruns nothing."""
    protocol: Literal["strict", "challenge"] = "strict"
    """`strict`: models train on train alone. val selects the epoch, triggers lower learning rates
    and early stopping where the recipe says so and, unless `folds` is set, fits temperatures and
    weights of calibrated tracks. `challenge`: models are then fine-tuned on train and val, and
    these predict test."""
    fidelity: Fidelity = "corrected"
    """`published` repeats the released code of the two systems, slips included; `corrected` does
    what their papers mean. Every feature and stream inherits it unless it sets its own; mixtures
    that do not fit are errors."""
    shard_size: int = Field(512, ge=1)
    """Largest number of samples per shard; a job computes a feature of one shard."""
    keep_features: bool = True
    """`false`: delete a picture feature once every stream that reads it has been trained and
    evaluated; a later reader recomputes it."""
    folds: int | None = Field(None, ge=2, le=20)
    """Number of signer-disjoint folds for out-of-fold calibration: each stream of a calibrated
    track trains once more per fold, and temperatures and weights are fitted on the held-out signers
    of train. null: fitted on val."""
    data: DataSettings
    """Videos and labels."""
    verify: VerifySettings = Field(default_factory=VerifySettings)
    """Limits of the check of every video."""
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    """How each feature is computed."""
    quality: QualitySettings = Field(default_factory=QualitySettings)
    """Limits of the check of every clip's keypoints."""
    streams: dict[Name, StreamSettings] = Field(min_length=1)
    """Models on features, or imported logits, by name."""
    tracks: dict[Name, TrackSettings] = Field(min_length=1)
    """Ensembles of streams, each with one submission, by name."""

    @model_validator(mode="before")
    @classmethod
    def _sections_inherit_fidelity(cls, values: Any) -> Any:
        return inherit_fidelity(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _streams_fit(self) -> "Config":
        for name, stream in self.streams.items():
            problem = mixture_problem(stream, self.features)
            if problem is not None:
                raise ValueError(f"streams.{name}.fidelity: {problem}")
            if isinstance(stream, ImportedSettings):
                continue
            if stream.training.epochs == 0 and stream.init is None:
                raise ValueError(f"streams.{name}.training.epochs: 0 needs weights; set init")
            if stream.seeds > 1 and not any(
                recipe_of(stream, phase).epochs for phase in self.phases(name)
            ):
                raise ValueError(
                    f"streams.{name}.seeds: {stream.seeds} models would be equal, because nothing "
                    "is trained (epochs 0); leave seeds out"
                )
            processes = stream.gpus * stream.nodes
            for phase in self.phases(name):
                size = recipe_of(stream, phase).batch_size
                if size % processes:
                    raise ValueError(
                        f"streams.{name}: batch_size {size} of phase {phase} is not a multiple of "
                        f"{processes} processes (gpus {stream.gpus} x nodes {stream.nodes}); "
                        "change one of them"
                    )
        return self

    @model_validator(mode="after")
    def _tracks_fit(self) -> "Config":
        for track, settings in self.tracks.items():
            for stream in (*settings.streams, *settings.untuned):
                if stream not in self.streams:
                    raise ValueError(
                        f"tracks.{track}.streams.{stream}: no such stream "
                        f"(known: {', '.join(sorted(self.streams))})"
                    )
                read = self.stream_features(stream)
                if track == "rgb" and set(read) & set(DEPTH_FEATURES):
                    raise ValueError(
                        f"tracks.rgb.streams.{stream}: it reads {', '.join(read)}, and track rgb "
                        "allows no feature from depth; move it to another track"
                    )
            if settings.untuned and self.protocol == "strict":
                raise ValueError(
                    f"tracks.{track}.untuned: protocol strict does not fine-tune; set protocol "
                    "challenge, or add the weights to streams"
                )
            for stream in settings.untuned:
                if stream not in self._answering() or len(self.phases(stream)) == 2:
                    continue
                own = self.streams[stream]
                if not isinstance(own, ImportedSettings) or own.untuned is None:
                    advice = "give the weights from before fine-tuning a stream of their own"
                    if isinstance(own, ImportedSettings):
                        advice = f"set streams.{stream}.untuned to its logits from before it"
                    raise ValueError(
                        f"tracks.{track}.untuned.{stream}: the stream is not fine-tuned here and "
                        f"has one answer of test, which is named under streams; {advice}"
                    )
        return self

    @model_validator(mode="after")
    def _calibrated_streams_fit(self) -> "Config":
        for name in self.fitted_streams():
            stream = self.streams[name]
            if isinstance(stream, ImportedSettings):
                if stream.val is None:
                    raise ValueError(
                        f"streams.{name}.val: missing, but a calibrated track needs it; set it to "
                        "the logits of val, or set fusion published and weights"
                    )
                if self.folds and stream.out_of_fold is None:
                    raise ValueError(
                        f"streams.{name}.out_of_fold: missing, but folds is {self.folds}; set it "
                        "to out-of-fold logits of train, or set folds to null to fit on val"
                    )
            elif self.folds and stream.training.epochs == 0:
                raise ValueError(
                    f"streams.{name}.training.epochs: 0 with folds {self.folds}: weights trained "
                    "elsewhere may have seen every signer; set folds to null to fit on val"
                )
            elif "val" not in self.unseen_splits(name, "train"):
                raise ValueError(
                    f"streams.{name}.training.epochs: 0 under protocol challenge: weights trained "
                    "elsewhere may have seen val, and a calibrated track is fitted on it; set "
                    "fusion published and weights, or protocol strict if they have not"
                )
        return self

    def fitted_streams(self) -> tuple[str, ...]:
        """The streams of calibrated tracks, in the order of `streams`."""
        fitted = {
            stream
            for track in self.tracks.values()
            if track.fusion == "calibrated"
            for stream in track.streams
        }
        return tuple(stream for stream in self.streams if stream in fitted)

    def imported_logits(self) -> Iterator[ImportedLogits]:
        """The files of all imported streams.

        All but test must come from models that were trained on train alone.
        """
        for name, stream in self.streams.items():
            if not isinstance(stream, ImportedSettings):
                continue
            files: tuple[tuple[str, Split, str], ...] = (
                ("val", "val", "strict"),
                ("test", "test", self.protocol_of(name)),
                ("untuned", "test", "strict"),
                ("out_of_fold", "train", "strict"),
            )
            for key, split, protocol in files:
                path = getattr(stream, key)
                if path is not None:
                    yield ImportedLogits(
                        f"streams.{name}.{key}", path, split, protocol, stream.reads
                    )

    def _answering(self) -> set[str]:
        """The streams whose last phase answers test in some track."""
        return {stream for track in self.tracks.values() for stream in track.streams}

    def phases(self, stream: str) -> tuple[Phase, ...]:
        """The phases of a stream; the last one answers test. Imported logits are phase `train`."""
        settings = self.streams[stream]
        if isinstance(settings, ImportedSettings) or self.protocol == "strict":
            return ("train",)
        return ("train", "finetune") if settings.finetune.epochs else ("train",)

    def trainings(self, stream: str, phase: str) -> tuple[str, ...]:
        """Folders of a phase's trainings in the results, one for each seed.

        That of the first is `streams/{stream}/{phase}`; the others are below it, as `seed2`, ...
        """
        settings = self.streams[stream]
        assert not isinstance(settings, ImportedSettings)
        first = f"streams/{stream}/{phase}"
        return (first, *(f"{first}/seed{number}" for number in range(2, settings.seeds + 1)))

    def protocol_of(self, stream: str) -> str:
        """The protocol of phase `train` of a stream.

        Logits, and weights without any training here, are taken for ones of the experiment's
        protocol, unless tracks use them in `untuned` alone.
        """
        settings = self.streams[stream]
        given = isinstance(settings, ImportedSettings) or not settings.training.epochs
        if given and len(self.phases(stream)) == 1:
            untuned = {name for track in self.tracks.values() for name in track.untuned}
            return "strict" if stream in untuned - self._answering() else self.protocol
        return "strict"

    def unseen_splits(self, stream: str, phase: Phase) -> tuple[Split, ...]:
        """The splits that a phase of a stream has logits for: those that its model has not seen."""
        settings = self.streams[stream]
        if isinstance(settings, ImportedSettings):
            return ("val", "test") if settings.val else ("test",)
        trained_on_val = phase == "finetune" or self.protocol_of(stream) == "challenge"
        return ("test",) if trained_on_val else ("val", "test")

    def read_splits(self) -> tuple[Split, ...]:
        """The splits whose videos the streams read."""
        read: set[Split] = set()
        for name, settings in self.streams.items():
            if isinstance(settings, ImportedSettings):
                continue
            for phase in self.phases(name):
                read.update(self.unseen_splits(name, phase))
                if recipe_of(settings, phase).epochs:
                    read.update(("train", "val"))
        return tuple(split for split in SPLITS if split in read)

    def stream_features(self, stream: str) -> tuple[str, ...]:
        """The features that a stream of this configuration reads."""
        return features_of(self.streams[stream], self.features)


def check_config(values: Mapping[str, Any], path: str = "") -> Config:
    """The checked configuration, from the file at `path`; ConfigError has a line per wrong key."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), "results"))
    config: Config = parse(Config, {"results": beside, **values}, "config")
    return config


def check_stream(values: Any) -> TrainedStream:
    """The checked section of a stream with a model."""
    stream: TrainedStream = parse(TrainedStream, values, "stream")
    return stream


def read_config(path: str) -> Config:
    """Read and check the configuration in a YAML file."""
    return check_config(read_values(path), path)


def named_by(source: Any, values: Any) -> Any:
    """`values`, with those that the file `source` has at the same keys replaced by the file's."""
    if isinstance(values, Mapping) and isinstance(source, Mapping):
        return {key: named_by(source.get(key), value) for key, value in values.items()}
    return source if values == source else values


def read_values(path: str) -> dict[str, Any]:
    """The keys and values of a YAML file, not checked as a configuration; text knows its folder."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: there is no such file; name the config of an experiment, as `slr init` "
            "writes it"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a readable YAML file ({error})") from error
    values = parse_yaml(text, path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values
