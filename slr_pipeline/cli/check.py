"""Check a config, its sample table and its files, without opening a video."""

import argparse
import os
import sys
from collections.abc import Iterator

from slr_pipeline.config.estimators import ImportedKeypointsSettings
from slr_pipeline.config.experiment import SPLITS, Config, read_config
from slr_pipeline.errors import SlrError
from slr_pipeline.samples.duplicates import duplicate_warnings
from slr_pipeline.samples.requirements import missing_files, missing_videos, sample_problems
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import SampleTable, load_samples, signer_warnings


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("config", nargs="?", default="config.yaml", help="default: config.yaml")


def main(arguments: argparse.Namespace) -> None:
    """Print the samples, shards, streams and tracks of an experiment, or every problem."""
    config = read_config(arguments.config)
    problems = list(missing_files(config))
    table = None
    try:
        table = load_samples(config.data)
    except SlrError as error:
        problems.append(str(error))
    else:
        problems += sample_problems(config, table)
        problems += missing_videos(config, table)
        problems += _keypoints_problems(config, table)
    problems += header_problems(config, table)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems or table is None:
        sys.exit(1)
    print(describe(config, table))


def header_problems(
    config: Config, table: SampleTable | None, *, weights: bool = True
) -> Iterator[str]:
    """What the files that the config names state of themselves and do not fit the experiment.

    Of weights only the headers are read. Files that do not exist are left out, and without a table
    all that depends on samples or classes.
    """
    # Late: only a config that names such files needs these packages.
    if table is not None and any(config.imported_logits()):
        from slr_pipeline.io.foreign.imported_logits import logits_problems

        yield from logits_problems(config, table)
    if table is not None and any(track.template for track in config.tracks.values()):
        from slr_pipeline.io.submission import template_problems

        yield from template_problems(config, table)
    if weights and any(getattr(stream, "init", None) for stream in config.streams.values()):
        from slr_pipeline.training.start_weights import weights_problems

        yield from weights_problems(config, None if table is None else table.classes)


def _keypoints_problems(config: Config, table: SampleTable) -> Iterator[str]:
    """Samples without imported keypoints; the first file is read."""
    settings = config.features.keypoints
    if isinstance(settings, ImportedKeypointsSettings):
        from slr_pipeline.pose.imported import keypoints_problems

        splits = config.read_splits()
        names = [sample.name for sample in table.samples if sample.split in splits]
        yield from keypoints_problems(settings, names)


def describe(config: Config, table: SampleTable) -> str:
    """Samples, shards, streams and tracks of an experiment, as text."""
    lines = [f"{config.name}: {len(table.samples)} samples, {len(table.classes)} classes"]
    for split in SPLITS:
        samples = table.split(split)
        signers = {sample.signer for sample in samples if sample.signer is not None}
        unlabelled = sum(sample.label is None for sample in samples)
        lines.append(
            f"  {split}: {len(samples)} samples, {len(signers) or 'no known'} signers, "
            f"{len(shards(samples, config.shard_size))} shards, {unlabelled} without label"
        )
    warnings = (*table.warnings, *signer_warnings(table), *_duplicates(config))
    lines += [f"  warning: {warning}" for warning in warnings]
    for name, stream in config.streams.items():
        epochs = "" if stream.model == "imported" else f", {stream.training.epochs} epochs"
        lines.append(f"  stream {name}: {stream.model}{epochs}")
    for name, track in config.tracks.items():
        weights = ", ".join(
            stream if weight is None else f"{weight:g} {stream}"
            for stream, weight in track.streams.items()
        )
        lines.append(f"  track {name}: {weights}")
    return "\n".join(lines)


def _duplicates(config: Config) -> list[str]:
    """Warnings about copies of videos, as far as the run has looked for them."""
    path = os.path.join(config.results, "duplicates.csv")
    if not os.path.exists(path):
        return []
    # Late: it imports pandas.
    from slr_pipeline.io.duplicates import read_duplicates

    excluded = config.data.duplicates == "exclude"
    return duplicate_warnings(read_duplicates(path), excluded=excluded)
