"""What the streams of a configuration require of its samples and files; no video is opened."""

import os

from slr_pipeline.config.estimators import files_of
from slr_pipeline.config.experiment import Config, DataSettings, TableData
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.config.weights import configured_weights, missing_problem
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.samples.table import SampleTable
from slr_pipeline.schema import DEPTH_FEATURES


def check_streams(config: Config, table: SampleTable) -> None:
    """Check the requirements that depend on both the configuration and the samples.

    DataError if a stream must learn a class without samples in train, or reads depth that a sample
    lacks. ConfigError if weights or imported logits do not exist, or if train has too few signers
    for the folds.
    """
    if config.folds:
        _check_folds(config.folds, table)
    if any(stream.model != "imported" for stream in config.streams.values()):
        _check_classes(config.data, table)
    without_depth = [sample.name for sample in table.samples if not sample.depth]
    for name, stream in config.streams.items():
        if isinstance(stream, ImportedSettings):
            continue
        depth = [feature for feature in config.stream_features(name) if feature in DEPTH_FEATURES]
        if depth and without_depth:
            raise DataError(
                f"streams.{name}: it reads {depth[0]}, made from depth videos, and "
                f"{len(without_depth)} of {len(table.samples)} samples have none, first "
                f"{without_depth[0]}; set data.depth or name them in the table, or leave out the "
                "stream"
            )
    _check_weights(config)
    for logits in config.imported_logits():
        if not os.path.isfile(logits.path):
            raise ConfigError(
                f"{logits.key}: {logits.path} is not there; create it from other scores with `slr "
                f"import-logits SOURCE {logits.path} --split {logits.split} ...`"
            )


def _check_classes(data: DataSettings, table: SampleTable) -> None:
    numbers = tuple(map(str, range(len(table.classes))))
    if isinstance(data, TableData) and table.classes == numbers:
        _check_numbers(data.table, table)
    trained = {sample.label for sample in table.split("train")}
    missing = [name for label, name in enumerate(table.classes) if label not in trained]
    if missing:
        names = ", ".join(repr(name[:80]) for name in missing[:10])
        raise DataError(
            f"{len(missing)} of {len(table.classes)} classes have no sample in train and cannot be "
            f"learnt: {names}{', ...' if len(missing) > 10 else ''}; add samples, or remove these "
            "classes from the table and the class list"
        )


def _check_numbers(where: str, table: SampleTable) -> None:
    """DataError if labels are numbers that do not count from 0 to K-1."""
    used = {sample.label for sample in table.samples} - {None}
    unused = [name for label, name in enumerate(table.classes) if label not in used]
    if unused == ["0"]:
        raise DataError(
            f"{where}: the labels are the numbers 1 to {table.classes[-1]}, and classes count from "
            "0; subtract 1 from each label, or use words"
        )
    if unused:
        raise DataError(
            f"{where}: the labels are {len(used)} of the numbers 0 to {table.classes[-1]}, and no "
            f"sample has the label {unused[0]}; renumber them from 0 to {len(used) - 1} without "
            "gaps, or use words"
        )


def _check_weights(config: Config) -> None:
    for weights in configured_weights(config):
        problem = missing_problem(weights)
        if problem is not None:
            raise ConfigError(problem)
    path = files_of(config.features.keypoints).get("config")
    if path is not None and not os.path.isfile(path):
        raise ConfigError(
            f"features.keypoints.config: {path} is not there; correct the path, or name a config "
            "of MMPose's wheel"
        )


def _check_folds(folds: int, table: SampleTable) -> None:
    samples = table.split("train")
    signers = {sample.signer for sample in samples}
    if None in signers:
        first = next(sample.name for sample in samples if sample.signer is None)
        raise ConfigError(
            f"folds: {folds} needs the signer of each sample of train, {first} has none; add the "
            "signers, or set folds to null to fit on val"
        )
    if len(signers) < folds:
        raise ConfigError(
            f"folds: {folds} needs as many signers in train, found {len(signers)}; set folds to "
            f"{len(signers)} or fewer, or to null to fit on val"
        )
