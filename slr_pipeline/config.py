"""The configuration: closed, typed sections, every key described; checked at parse time."""

import json
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from slr_pipeline.errors import ConfigError
from slr_pipeline.feature_settings import FeatureSettings
from slr_pipeline.schema import Fidelity, Representation
from slr_pipeline.section import Section

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


class TableData(Section):
    """One CSV for any data set, with the columns `sample,split,label,signer,color,depth`."""

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


DataSettings = Annotated[AutslData | TableData, Field(discriminator="layout")]


class _Data(Section):
    """A place for the union of data layouts, so that it is checked like a section."""

    data: DataSettings


class VerifySettings(Section):
    """The check of every video before anything else runs."""

    max_quarantined: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of samples that may fail the check before the run stops.",
    )


class TrainingSettings(Section):
    """The recipe of SL-GCN: SGD with Nesterov momentum, warm-up and steps (SAM-SLR, section 3)."""

    epochs: int = Field(250, ge=1, description="Passes over the training samples.")
    batch_size: int = Field(64, ge=2, description="Samples of one optimiser step.")
    learning_rate: float = Field(0.1, gt=0, description="Rate after the warm-up.")
    warmup_epochs: int = Field(20, ge=0, description="Epochs of linear rise of the rate.")
    milestones: list[int] = Field(
        [150, 200], description="Epochs at which the rate is multiplied by `decay`."
    )
    decay: float = Field(0.1, gt=0, le=1, description="Factor of the rate at each milestone.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum.")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on all parameters.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the uniform target.")
    freeze_graph_epochs: int = Field(
        1, ge=0, description="First epochs in which the learned adjacency stays fixed."
    )
    keep_final: float = Field(
        0.9, gt=0, le=1, description="DropGraph keep probability at its lowest."
    )
    keep_epochs: int = Field(
        100, ge=1, description="Epochs in which the keep probability falls from 1 to `keep_final`."
    )


class SlgcnSettings(Section):
    """SL-GCN on skeletons of 27 joints (SAM-SLR, section 3.1)."""

    model: Literal["slgcn"] = Field(description="The model of the stream.")
    fidelity: Fidelity = Field(
        "corrected",
        description="`published` repeats the released code, slips included; `corrected` does "
        "what the papers mean.",
    )
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
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="The training recipe."
    )

    @model_validator(mode="after")
    def _augmentation_fits(self) -> "SlgcnSettings":
        if self.window > self.frames:
            raise ValueError(f"window {self.window} is longer than frames {self.frames}")
        if self.fidelity == "published" and (self.rotation_deg or self.scale_range):
            raise ValueError(
                "fidelity published neither rotates nor scales; leave rotation_deg and "
                "scale_range at 0"
            )
        return self


StreamSettings = SlgcnSettings


class TrackSettings(Section):
    """Weighted streams that make one submission."""

    streams: dict[Name, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="Weight of each stream; the score is their weighted mean."
    )


class Config(Section):
    """A whole experiment."""

    name: Name = Field(description="Short name of the experiment, for people.")
    results: str = Field("results", description="Folder everything is written under.")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Seed of everything random.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="`auto` takes a GPU where there is one; `cpu`; `cuda` or `cuda:N` by name.",
    )
    protocol: Literal["strict"] = Field(
        "strict", description="`strict`: trained on train; val picks the epoch, nothing else."
    )
    shard_size: int = Field(
        512, ge=1, description="Most samples of one shard, the unit of work of a feature."
    )
    data: DataSettings = Field(description="Where the videos and labels are.")
    verify: VerifySettings = Field(
        default_factory=VerifySettings, description="The check of every video."
    )
    features: FeatureSettings = Field(
        default_factory=FeatureSettings, description="How each feature is made."
    )
    streams: dict[Name, StreamSettings] = Field(
        min_length=1, description="Models on features; each gives logits."
    )
    tracks: dict[Name, TrackSettings] = Field(
        min_length=1, description="Ensembles of streams; each gives one submission."
    )

    @model_validator(mode="after")
    def _tracks_name_streams(self) -> "Config":
        for track, settings in self.tracks.items():
            for stream in settings.streams:
                if stream not in self.streams:
                    raise ValueError(
                        f"tracks.{track}.streams.{stream}: a weight for no stream "
                        f"(known: {', '.join(sorted(self.streams))})"
                    )
        return self


SectionT = TypeVar("SectionT", bound=Section)


def check_config(values: Mapping[str, Any]) -> Config:
    """The checked configuration; ConfigError lists each wrong key with what is known there."""
    return _check(Config, values, "config")


def parse_section(section: type[SectionT], text: str) -> SectionT:
    """A section from the JSON flag of a step."""
    return _check(section, _json(text), section.__name__)


def parse_data(text: str) -> AutslData | TableData:
    """The section `data` from the JSON flag of a step."""
    return _check(_Data, {"data": _json(text)}, "settings").data


def read_config(path: str) -> Config:
    """The checked configuration in a YAML file."""
    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not a readable YAML file ({reason})") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return check_config(values)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"settings flag is not JSON ({error}): {text[:80]}") from error


def _check(section: type[SectionT], values: Any, where: str) -> SectionT:
    try:
        return section.model_validate(values)
    except ValidationError as error:
        lines = [_problem(section, details) for details in error.errors(include_url=False)]
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from error


def _problem(section: type[Section], details: ErrorDetails) -> str:
    """One line: key, what is wrong, what was found, what is known there."""
    path = ".".join(_keys_of(details["loc"]))
    match details["type"]:
        case "extra_forbidden":
            known = ", ".join(_known_keys(section, details["loc"]))
            return f"{path}: unknown key (known: {known})"
        case "missing":
            return f"{path}: missing, a value is required"
        case "value_error":
            message = details["msg"].removeprefix("Value error, ")
            return f"{path}: {message}" if path else message
        case "union_tag_invalid" | "union_tag_not_found":
            return f"{path}.layout: expected one of {details['ctx']['expected_tags']}"
        case _:
            found = repr(details["input"])
            shown = found if len(found) <= 60 else found[:57] + "..."
            message = details["msg"][0].lower() + details["msg"][1:]
            return f"{path}: {message}, found {shown}"


def _keys_of(location: tuple[int | str, ...]) -> Iterator[str]:
    """Keys as the user wrote them: without pydantic's union tags and `[key]` marks."""
    for index, part in enumerate(location):
        is_tag = index > 0 and location[index - 1] == "data" and part in ("autsl", "table")
        if not is_tag and part != "[key]":
            yield str(part)


def _known_keys(section: type[Section], location: tuple[int | str, ...]) -> list[str]:
    """Keys of the section in which the last part of `location` stands."""
    here: Any = section
    for part in location[:-1]:
        if isinstance(here, type) and issubclass(here, Section):
            here = here.model_fields[str(part)].annotation
            if here == AutslData | TableData:
                here = {"autsl": AutslData, "table": TableData}
            elif isinstance(here, UnionType):  # a section or null
                here = get_args(here)[0]
        elif isinstance(here, dict):
            here = here[str(part)]
        else:  # dict[Name, Section]
            here = get_args(here)[1]
    return sorted(here.model_fields)
