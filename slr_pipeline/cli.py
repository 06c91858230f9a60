"""What steps share, and the `slr` command for people."""

import argparse
import importlib.metadata
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from slr_pipeline.config import Config, parse_section, read_config
from slr_pipeline.config_docs import write_docs
from slr_pipeline.errors import SlrError
from slr_pipeline.samples import check_streams, load_samples, shards
from slr_pipeline.section import Section


def run(command: Callable[[], None]) -> None:
    """Run a step or command: an SlrError ends it with exit status 1 and one line, no traceback."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        command()
    except SlrError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def feature_flags(
    about: str | None, settings: type[Section], features: Sequence[str] = ()
) -> argparse.Namespace:
    """The flags of a step that makes a feature of a shard from its keypoints and videos.

    `settings` is the section of the feature; `features` are the names of twins, if it has any.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--settings", required=True, type=partial(parse_section, settings))
    if features:
        parser.add_argument("--feature", required=True, choices=features)
    parser.add_argument("--verified", required=True)
    parser.add_argument("--keypoints", required=True)
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def provenance(**facts: Any) -> dict[str, Any]:
    """What made an artifact: package version, given settings and inputs; no clock, no path."""
    return {"package": f"slr_pipeline {importlib.metadata.version('slr_pipeline')}", **facts}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `slr`."""
    parser = argparse.ArgumentParser(prog="slr", description="Tools beside the pipeline.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check a config and its sample table, open no video")
    check.add_argument("config", nargs="?", default="config.yaml")
    docs = commands.add_parser("docs", help="write docs/config.md and docs/config.schema.json")
    docs.add_argument("folder", nargs="?", type=Path, default=Path("docs"))
    sheet = commands.add_parser("contact-sheet", help="draw the features of a sample as a PNG")
    sheet.add_argument("sample")
    sheet.add_argument("--results", default="results", help="folder of a run")
    sheet.add_argument("--out", required=True, help="the PNG")
    sheet.add_argument("--columns", type=int, default=6, help="most frames that are shown")
    sheet.add_argument("--tile", type=int, default=192, help="longer side of a picture, px")
    sheet.add_argument("--features", nargs="+", help="which to draw; all there are by default")
    weights = commands.add_parser(
        "import-checkpoint", help="bring in weights of the authors or of torchvision"
    )
    weights.add_argument("--model", required=True, help="slgcn, sstcn, r2plus1d or vtn")
    weights.add_argument("source", help="file of torch.save, or .safetensors")
    weights.add_argument("out", help="the .safetensors to write")
    flags = parser.parse_args(arguments)
    if flags.command == "check":
        run(lambda: print(describe(read_config(flags.config))))
    elif flags.command == "contact-sheet":
        run(lambda: contact_sheet(flags))
    elif flags.command == "import-checkpoint":
        run(lambda: import_checkpoint(flags))
    else:
        run(lambda: write_docs(flags.folder))


def contact_sheet(flags: argparse.Namespace) -> None:
    """Draw the features of one sample."""
    # Late: the other commands stay light.
    from slr_pipeline.report.sample_sheet import write_sample_sheet  # noqa: PLC0415

    write_sample_sheet(
        flags.out,
        flags.sample,
        flags.results,
        columns=flags.columns,
        tile_px=flags.tile,
        features=flags.features,
    )


def import_checkpoint(flags: argparse.Namespace) -> None:
    """Bring in weights that were trained elsewhere."""
    # Late: the other commands stay light.
    from slr_pipeline.published import import_weights  # noqa: PLC0415

    import_weights(flags.model, flags.source, flags.out)


def describe(config: Config) -> str:
    """Samples, shards, streams and tracks of an experiment, as text."""
    table = load_samples(config.data)
    check_streams(config, table)
    lines = [f"{config.name}: {len(table.samples)} samples, {len(table.classes)} classes"]
    for split in ("train", "val", "test"):
        samples = [sample for sample in table.samples if sample.split == split]
        signers = {sample.signer for sample in samples if sample.signer is not None}
        unlabelled = sum(sample.label is None for sample in samples)
        lines.append(
            f"  {split}: {len(samples)} samples, {len(signers)} signers, "
            f"{len(shards(samples, config.shard_size))} shards, {unlabelled} without label"
        )
    for name, stream in config.streams.items():
        lines.append(f"  stream {name}: {stream.model}, {stream.training.epochs} epochs")
    for name, track in config.tracks.items():
        weights = ", ".join(f"{weight:g} {stream}" for stream, weight in track.streams.items())
        lines.append(f"  track {name}: {weights}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
