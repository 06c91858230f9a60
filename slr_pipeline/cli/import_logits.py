"""Bring in logits made elsewhere."""

import argparse

from slr_pipeline.config.experiment import read_config
from slr_pipeline.io.provenance import provenance
from slr_pipeline.samples.table import load_samples
from slr_pipeline.schema import FEATURES


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("source", help="score pickle, .npz, .csv or .h5; nothing in it is run")
    parser.add_argument("out", help="the .h5 to write")
    parser.add_argument("--config", default="config.yaml", help="whose sample table it answers")
    parser.add_argument("--split", choices=("train", "val", "test"), required=True)
    parser.add_argument("--protocol", choices=("strict", "challenge"), required=True)
    parser.add_argument(
        "--reads",
        nargs="+",
        choices=sorted(FEATURES),
        required=True,
        metavar="FEATURE",
        help="what its model was given, of which depends in which track it may stand: "
        + ", ".join(FEATURES),
    )


def main(given: argparse.Namespace) -> None:
    """Bring in the logits that another program made for a split."""
    from slr_pipeline.io.foreign.logits import join_logits, read_foreign_logits  # noqa: PLC0415
    from slr_pipeline.io.logits import write_logits  # noqa: PLC0415

    table = load_samples(read_config(given.config).data)
    foreign = read_foreign_logits(given.source)
    logits = join_logits(given.source, foreign, table, given.split, given.protocol)
    about = {"source_sha256": foreign.sha256, "split": given.split, "reads": sorted(given.reads)}
    write_logits(given.out, logits, provenance(imported=about))
    print(f"{given.out}: {len(logits.samples)} samples, {len(logits.classes)} classes")
