"""Check a config and its sample table, without opening a video."""

import argparse

from slr_pipeline.config.experiment import SPLITS, Config, read_config
from slr_pipeline.samples.requirements import check_streams
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import load_samples, signer_warnings


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("config", nargs="?", default="config.yaml", help="default: config.yaml")


def main(arguments: argparse.Namespace) -> None:
    """Print the samples, shards, streams and tracks of an experiment."""
    print(describe(read_config(arguments.config)))


def describe(config: Config) -> str:
    """Samples, shards, streams and tracks of an experiment, as text."""
    table = load_samples(config.data)
    check_streams(config, table)
    if any(config.imported_logits()):
        from slr_pipeline.io.foreign.imported_logits import check_logits

        check_logits(config, table)
    lines = [f"{config.name}: {len(table.samples)} samples, {len(table.classes)} classes"]
    for split in SPLITS:
        samples = table.split(split)
        signers = {sample.signer for sample in samples if sample.signer is not None}
        unlabelled = sum(sample.label is None for sample in samples)
        lines.append(
            f"  {split}: {len(samples)} samples, {len(signers) or 'no known'} signers, "
            f"{len(shards(samples, config.shard_size))} shards, {unlabelled} without label"
        )
    warnings = (*table.warnings, *signer_warnings(table))
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
