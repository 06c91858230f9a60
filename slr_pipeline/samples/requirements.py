"""What a configuration requires of its samples and files; no file is opened."""

import os
from collections.abc import Iterator

from slr_pipeline.config.estimators import KeypointsSettings, OpenposeSettings, files_of
from slr_pipeline.config.experiment import Config, DataSettings, TableData
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.config.weights import configured_weights, missing_problem
from slr_pipeline.errors import ConfigError
from slr_pipeline.samples.table import SampleTable
from slr_pipeline.schema import DEPTH_FEATURES


def check_streams(config: Config, table: SampleTable) -> None:
    """ConfigError with a line per problem of `sample_problems` and `missing_files`."""
    problems = [*sample_problems(config, table), *missing_files(config)]
    if problems:
        raise ConfigError("\n".join(problems))


def sample_problems(config: Config, table: SampleTable) -> Iterator[str]:
    """What the samples lack that the configuration needs of them.

    Too few signers of train for the folds, classes without a sample to learn from, and depth videos
    that a stream reads.
    """
    if config.folds:
        yield from _folds_problems(config.folds, table)
    if "train" in config.read_splits():
        yield from _classes_problems(config.data, table)
    without_depth = [sample.name for sample in table.samples if not sample.depth]
    for name, stream in config.streams.items():
        if isinstance(stream, ImportedSettings):
            continue
        depth = [feature for feature in config.stream_features(name) if feature in DEPTH_FEATURES]
        if depth and without_depth:
            yield (
                f"streams.{name}: it reads {depth[0]}, made from depth videos, and "
                f"{len(without_depth)} of {len(table.samples)} samples have none, first "
                f"{without_depth[0]}; set data.depth or name them in the table, or leave out the "
                "stream"
            )


def missing_files(config: Config) -> Iterator[str]:
    """The files that the configuration names and that do not exist, except videos."""
    for weights in configured_weights(config):
        problem = missing_problem(weights)
        if problem is not None:
            yield problem
    yield from _missing_estimator(config.features.keypoints)
    for logits in config.imported_logits():
        if not os.path.isfile(logits.path):
            yield (
                f"{logits.key}: {logits.path} is not there; create it from other scores with `slr "
                f"import-logits SOURCE {logits.path} --config CONFIG --split {logits.split} ...`"
            )
    for name, track in config.tracks.items():
        for key, path in (("template", track.template), ("baseline", track.baseline)):
            if path is not None and not os.path.isfile(path):
                yield f"tracks.{name}.{key}: {path} is not there; correct the path, or set null"


def _missing_estimator(keypoints: KeypointsSettings) -> Iterator[str]:
    path = files_of(keypoints).get("config")
    if path is not None and not os.path.isfile(path):
        yield (
            f"features.keypoints.config: {path} is not there; correct the path, or name a config "
            "of MMPose's wheel"
        )
    if isinstance(keypoints, OpenposeSettings):
        for key, place in (("binary", keypoints.binary), ("model_folder", keypoints.model_folder)):
            if not os.path.exists(place):
                yield f"features.keypoints.{key}: {place} is not there; correct the path"


def missing_videos(config: Config, table: SampleTable) -> Iterator[str]:
    """The videos that do not exist, of the splits that the streams read."""
    samples = [sample for sample in table.samples if sample.split in config.read_splits()]
    videos: dict[str, list[str]] = {}
    for sample in samples:
        for path in filter(None, (sample.color, sample.depth)):
            videos.setdefault(path, []).append(sample.name)
    missing = [path for path in videos if not os.path.isfile(path)]
    if missing and len(missing) == len(videos):
        yield (
            f"data: none of the {len(videos)} videos is there, first {missing[0]}; correct "
            "data.root or the table"
        )
        return
    for path in missing:
        first, *others = videos[path]
        more = f" and {len(others)} more" if others else ""
        yield f"sample {first}{more}: {path} is not there; correct the path, or remove the row"


def _classes_problems(data: DataSettings, table: SampleTable) -> Iterator[str]:
    numbers = tuple(map(str, range(len(table.classes))))
    if isinstance(data, TableData) and table.classes == numbers:
        problem = _numbers_problem(data.table, table)
        if problem is not None:
            yield problem
            return
    trained = {sample.label for sample in table.split("train")}
    missing = [name for label, name in enumerate(table.classes) if label not in trained]
    if missing:
        names = ", ".join(repr(name[:80]) for name in missing[:10])
        yield (
            f"{len(missing)} of {len(table.classes)} classes have no sample in train and cannot be "
            f"learnt: {names}{', ...' if len(missing) > 10 else ''}; add samples, or remove these "
            "classes from the table and the class list"
        )


def _numbers_problem(where: str, table: SampleTable) -> str | None:
    """What is wrong if labels are numbers that do not count from 0 to K-1."""
    used = {sample.label for sample in table.samples} - {None}
    unused = [name for label, name in enumerate(table.classes) if label not in used]
    if unused == ["0"]:
        return (
            f"{where}: the labels are the numbers 1 to {table.classes[-1]}, and classes count from "
            "0; subtract 1 from each label, or use words"
        )
    if unused:
        return (
            f"{where}: the labels are {len(used)} of the numbers 0 to {table.classes[-1]}, and no "
            f"sample has the label {unused[0]}; renumber them from 0 to {len(used) - 1} without "
            "gaps, or use words"
        )
    return None


def _folds_problems(folds: int, table: SampleTable) -> Iterator[str]:
    samples = table.split("train")
    signers = {sample.signer for sample in samples}
    if None in signers:
        first = next(sample.name for sample in samples if sample.signer is None)
        yield (
            f"folds: {folds} needs the signer of each sample of train, {first} has none; add the "
            "signers, or set folds to null to fit on val"
        )
    elif len(signers) < folds:
        yield (
            f"folds: {folds} needs as many signers in train, found {len(signers)}; set folds to "
            f"{len(signers)} or fewer, or to null to fit on val"
        )
