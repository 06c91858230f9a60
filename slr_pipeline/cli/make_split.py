"""Split a sample table by signers."""

import argparse
import hashlib
import json
from pathlib import Path

from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.provenance import provenance
from slr_pipeline.samples.table import TABLE_COLUMNS


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("table", help=f"CSV with columns of {','.join(TABLE_COLUMNS)}")
    parser.add_argument("out", help="the .csv to write; a .json beside it says how it was made")
    parser.add_argument("--rule", choices=("stratified", "decoster-dev"), default="stratified")
    parser.add_argument("--val", type=float, help="share of the samples, 0.1 by default")
    parser.add_argument("--test", type=float, help="share of the samples, 0.2 by default")
    parser.add_argument("--seed", type=int, help="1 by default")


def main(given: argparse.Namespace) -> None:
    """Write a sample table with a split in which no signer stands twice, and how it was made."""
    from slr_pipeline.io.atomic import write_text  # noqa: PLC0415
    from slr_pipeline.samples import splits  # noqa: PLC0415

    shares = {"val": given.val, "test": given.test, "seed": given.seed}
    if Path(given.out).suffix != ".csv":
        raise ConfigError(f"{given.out}: expected a name that ends in .csv; rename it")
    try:
        data = Path(given.table).read_bytes()
    except OSError as error:
        raise DataError(f"{given.table}: cannot be read ({error.strerror}); check it") from error
    table = splits.parse_table(given.table, data)
    if given.rule == "stratified":
        defaults = {"val": 0.1, "test": 0.2, "seed": 1}
        rule = {name: defaults[name] if value is None else value for name, value in shares.items()}
        split = splits.stratified_split(
            table, val=rule["val"], test=rule["test"], seed=int(rule["seed"])
        )
    else:
        fixed = [f"--{name}" for name, value in shares.items() if value is not None]
        if fixed:
            raise ConfigError(f"{fixed[0]}: rule decoster-dev has its own; leave it out")
        rule = {"folds": 5, "fold": 0, "seed": 42}
        split = splits.decoster_dev_split(table)
    text = splits.table_text(table, split)
    digest = hashlib.sha256(text.encode()).hexdigest()
    found = splits.describe_split(table, split)
    content = {
        "format": "slr-split",
        "version": 1,
        "rule": {"name": given.rule, **rule},
        "splits": found,
        "sha256": digest,
        "source_sha256": hashlib.sha256(data).hexdigest(),
        **provenance(),
    }
    write_text(given.out, text)
    sidecar = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_text(Path(given.out).with_suffix(".json"), sidecar)
    print(f"{given.out}: sha256 {digest}")
    for name, count in found.items():
        lacking = len(count["missing_classes"])
        print(
            f"  {name}: {count['samples']} samples, {len(count['signers'])} signers"
            + (f", no sample of {lacking} classes" if lacking else "")
        )
    folder = Path(given.table).resolve().parent
    if Path(given.out).resolve().parent != folder:
        print(f"  its videos are named from {folder}: set data.root to it")
