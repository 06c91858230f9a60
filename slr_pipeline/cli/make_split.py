"""Split a sample table by signers."""

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from slr_pipeline.config.experiment import Split
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.provenance import provenance
from slr_pipeline.samples.csv_rows import read_bytes
from slr_pipeline.samples.table import TABLE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

DEFAULTS: Final = {"val": 0.1, "test": 0.2, "seed": 1}
DECOSTER: Final = {"folds": 5, "fold": 0, "seed": 42}


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("table", help=f"CSV with columns of {','.join(TABLE_COLUMNS)}")
    parser.add_argument("out", help="the .csv to write; a .json beside it says how it was made")
    parser.add_argument(
        "--rule",
        choices=("stratified", "decoster-dev"),
        default="stratified",
        help="stratified (default): shares of the samples; decoster-dev: val is one fold of five",
    )
    parser.add_argument("--val", type=float, help="share of the samples (default: 0.1)")
    parser.add_argument("--test", type=float, help="share of the samples (default: 0.2)")
    parser.add_argument("--seed", type=int, help="seed of the random generator (default: 1)")


def main(arguments: argparse.Namespace) -> None:
    """Write a sample table where each signer is in one split, and a JSON of how it was made."""
    from slr_pipeline.io.atomic import write_text
    from slr_pipeline.samples import split_table

    source, out = Path(arguments.table), Path(arguments.out)
    if out.suffix != ".csv":
        raise ConfigError(f"{out}: expected a name that ends in .csv; rename it")
    data = read_bytes(arguments.table)
    table, warnings = split_table.parse_table(arguments.table, data)
    try:
        split, rule = split_by_rule(arguments, table)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    text = split_table.table_text(table, split)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    summary = split_table.describe_split(table, split)
    origin = {
        "format": "slr-split",
        "version": 1,
        "rule": {"name": arguments.rule, **rule},
        "splits": summary,
        "sha256": sha256,
        "source_sha256": hashlib.sha256(data).hexdigest(),
        **provenance(),
    }
    write_text(out, text)
    write_text(out.with_suffix(".json"), json.dumps(origin, indent=2, ensure_ascii=False) + "\n")
    print(f"{out}: sha256 {sha256}")
    for name, count in summary.items():
        missing = len(count["missing_classes"])
        print(
            f"  {name}: {count['samples']} samples, {len(count['signers'])} signers"
            + (f", no sample of {missing} classes" if missing else "")
        )
    for warning in warnings:
        print(f"  warning: {warning}")
    if out.resolve().parent != source.resolve().parent:
        print(f"  its video paths are relative to {source.resolve().parent}: set data.root to it")


def split_by_rule(
    arguments: argparse.Namespace, table: "pd.DataFrame"
) -> tuple[list[Split], dict[str, Any]]:
    """The split of each row of a table, and the numbers of the rule that made it."""
    from slr_pipeline.samples import split_table, splits

    labels, signers = table["label"].tolist(), table["signer"].tolist()
    given = {name: getattr(arguments, name) for name in DEFAULTS}
    given = {name: value for name, value in given.items() if value is not None}
    if arguments.rule == "stratified":
        rule: dict[str, Any] = {**DEFAULTS, **given}
        split_table.check_labels(table)
        return splits.stratified_split(labels, signers, **rule), rule
    if given:
        raise ConfigError(f"--{next(iter(given))}: rule decoster-dev has its own; leave it out")
    split_table.check_labels(table[table["split"] != "test"])
    return splits.decoster_dev_split(labels, signers, table["split"].tolist()), dict(DECOSTER)
