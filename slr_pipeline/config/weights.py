"""Weights from outside: which files a config names, and where each is published."""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slr_pipeline.config.estimators import WeightsFile
from slr_pipeline.config.experiment import Config
from slr_pipeline.config.streams import ImportedSettings


@dataclass(frozen=True)
class PublishedWeights:
    """A file of weights that somebody publishes; published_weights.toml describes the fields.

    `where` is the URL of the file, of its archive, or of a page. `path` is its place under
    weights/, as downloaded or, with a `model`, as converted. Unknown or unused fields are empty.
    """

    where: str
    licence: str
    key: str
    path: str
    use: str
    file: str = ""
    archive: str = ""
    model: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        """The file name under weights/."""
        return os.path.basename(self.path)


def _read_published() -> Iterator[PublishedWeights]:
    text = Path(__file__).with_name("published_weights.toml").read_text("utf-8")
    for source in tomllib.loads(text)["source"]:
        files, where = source.pop("files"), source.pop("where")
        for entry in files:
            name = entry.pop("to", entry.get("file"))
            url = where + entry.get("archive", entry["file"]) if where.endswith("/") else where
            yield PublishedWeights(where=url, path=f"weights/{name}", **source, **entry)


PUBLISHED_WEIGHTS = tuple(_read_published())


@dataclass(frozen=True)
class ConfiguredWeights:
    """A file of weights that a config names.

    `sha256` is the expected one, if the config states it. `model` is the model that `slr
    import-checkpoint` converts the file for, empty for files that are used as downloaded.
    """

    key: str
    path: str
    sha256: str | None
    model: str = ""


def configured_weights(config: Config) -> Iterator[ConfiguredWeights]:
    """The weights that a config names: of the pose estimator, then of the streams."""
    for feature, section in (
        ("keypoints", config.features.keypoints),
        ("heatmaps", config.features.heatmaps),
    ):
        for key, value in section:
            if isinstance(value, WeightsFile):
                yield ConfiguredWeights(f"features.{feature}.{key}", value.path, value.sha256)
    for name, stream in config.streams.items():
        if not isinstance(stream, ImportedSettings) and stream.init is not None:
            init = stream.init
            yield ConfiguredWeights(f"streams.{name}.init", init.path, init.sha256, stream.model)


def missing_problem(weights: ConfiguredWeights) -> str | None:
    """What is wrong, and what to do, if the file does not exist; else None."""
    if os.path.isfile(weights.path):
        return None
    return f"{weights.key}.path: {weights.path} is not there; " + how_to_get(
        weights.path, weights.model
    )


def mismatch_problem(weights: ConfiguredWeights, sha256: str) -> str | None:
    """What is wrong if the file's `sha256` is neither the config's nor the published one."""
    if weights.sha256 is not None and sha256 != weights.sha256:
        return (
            f"{weights.key}.sha256: {weights.path} has {sha256}, expected {weights.sha256}; "
            "correct the key, or get the file again"
        )
    expected = published_sha256(weights.path)
    if not sha256.startswith(expected):
        return (
            f"{weights.key}.path: {weights.path} has SHA-256 {sha256}, the published file "
            f"{expected}; {how_to_get(weights.path)}, or rename a file that is another one"
        )
    return None


def published_sha256(path: str) -> str:
    """The SHA-256 of the published file of this name or its first digits; empty if unknown."""
    name = os.path.basename(path)
    for weights in PUBLISHED_WEIGHTS:
        if name == (weights.file if weights.model else weights.name):
            return weights.sha256
    return ""


def how_to_get(path: str, model: str = "") -> str:
    """What to do about a missing file of weights, as the end of a message.

    `model` is the stream's, for weights that `slr import-checkpoint` converts.
    """
    name = os.path.basename(path)
    weights = next((weights for weights in PUBLISHED_WEIGHTS if weights.name == name), None)
    if weights is None:
        convert = f"`slr import-checkpoint --model {model} SOURCE {path}` converts" if model else ""
        return f"{convert or 'get'} a file of docs/reference/weights.md, or correct the path"
    download = weights.archive or weights.file or "its file"
    get = f"get {download} from {weights.where} ({weights.licence})"
    if weights.model:
        source = weights.file or "SOURCE"
        return f"{get} and run `slr import-checkpoint --model {weights.model} {source} {path}`"
    return f"{get} and put {f'its {weights.file}' if weights.archive else 'it'} there"
