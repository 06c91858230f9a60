"""Import logits of another program for a split."""

import argparse

from slr_pipeline.config.experiment import SPLITS, read_config
from slr_pipeline.errors import DataError
from slr_pipeline.io.provenance import provenance
from slr_pipeline.samples.table import load_samples
from slr_pipeline.schema import FEATURES


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("source", help="score pickle, .npz, .csv or .h5; nothing in it is run")
    parser.add_argument("out", help="the .h5 to write")
    parser.add_argument(
        "--config",
        default="config.yaml",
        help="config of the experiment with the samples (default: config.yaml, in a checkout that "
        "of the demo)",
    )
    parser.add_argument("--split", choices=SPLITS, required=True, help="split of the logits")
    parser.add_argument(
        "--protocol", choices=("strict", "challenge"), required=True, help="of the training"
    )
    parser.add_argument(
        "--reads",
        nargs="+",
        choices=sorted(FEATURES),
        required=True,
        metavar="FEATURE",
        help="inputs of the model, which decide the tracks it may join: " + ", ".join(FEATURES),
    )


def main(arguments: argparse.Namespace) -> None:
    """Write the logits of another program for a split, joined with the sample table by name."""
    from slr_pipeline.io.foreign.logits import join_logits, read_foreign_logits
    from slr_pipeline.io.logits import write_logits

    table = load_samples(read_config(arguments.config).data)
    foreign = read_foreign_logits(arguments.source)
    try:
        logits = join_logits(
            arguments.source, foreign, table, arguments.split, arguments.protocol, arguments.reads
        )
    except DataError as error:
        raise DataError(
            f"{error}; samples and classes are those of {arguments.config}, and --config names "
            "another config"
        ) from error
    origin = {
        "source_sha256": foreign.sha256,
        "split": arguments.split,
        "reads": sorted(arguments.reads),
    }
    write_logits(arguments.out, logits, provenance(imported=origin))
    print(f"{arguments.out}: {len(logits.samples)} samples, {len(logits.classes)} classes")
