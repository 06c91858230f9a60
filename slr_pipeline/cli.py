"""What steps share, and the `slr` command for people."""

import argparse
import hashlib
import importlib.metadata
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from slr_pipeline.config import Config, parse_section, read_config
from slr_pipeline.config_docs import write_docs
from slr_pipeline.errors import ConfigError, DataError, SlrError
from slr_pipeline.samples import TABLE_COLUMNS, check_streams, load_samples, shards
from slr_pipeline.schema import FEATURES
from slr_pipeline.section import Section
from slr_pipeline.weights import mismatch, missing, named_weights


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
    _plan_flags(commands.add_parser("plan", help="forecast jobs, files, disk and hours of a run"))
    docs = commands.add_parser("docs", help="write the generated pages of docs/")
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
    foreign = commands.add_parser("weights", help="weights of others, see docs/weights.md")
    actions = foreign.add_subparsers(dest="action", required=True)
    named = actions.add_parser("check", help="look at each file of weights that a config names")
    named.add_argument("config", nargs="?", default="config.yaml")
    _submission_flags(commands.add_parser("check-submission", help="check a .csv or .zip"))
    _split_flags(commands.add_parser("make-split", help="split a sample table by signers"))
    _logits_flags(commands.add_parser("import-logits", help="bring in logits made elsewhere"))
    _export_flags(commands.add_parser("export", help="write keypoints for other programs"))
    flags = parser.parse_args(arguments)
    if flags.command == "check":
        run(lambda: print(describe(read_config(flags.config))))
    elif flags.command == "plan":
        run(lambda: plan(flags))
    elif flags.command == "contact-sheet":
        run(lambda: contact_sheet(flags))
    elif flags.command == "import-checkpoint":
        run(lambda: import_checkpoint(flags))
    elif flags.command == "weights":
        run(lambda: check_weights(flags))
    elif flags.command == "check-submission":
        run(lambda: check_submission(flags))
    elif flags.command == "make-split":
        run(lambda: make_split(flags))
    elif flags.command == "import-logits":
        run(lambda: import_logits(flags))
    elif flags.command == "export":
        run(lambda: export(flags))
    else:
        run(lambda: write_docs(flags.folder))


def _plan_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", default="config.yaml")
    parser.add_argument("--cores", type=int, help="of a node; those of this machine by default")
    parser.add_argument("--gpus", type=int, help="in all; by default what the largest job takes")
    parser.add_argument("--nodes", type=int, default=1, help="machines; 1 by default")


def plan(flags: argparse.Namespace) -> None:
    """Print what a run is made of, what it takes, and how long it takes on given machines."""
    from slr_pipeline.planning.plan import Machines, default_gpus, make_plan  # noqa: PLC0415
    from slr_pipeline.planning.tables import print_plan  # noqa: PLC0415

    config = read_config(flags.config)
    cores = len(os.sched_getaffinity(0)) if flags.cores is None else flags.cores
    gpus = default_gpus(config) if flags.gpus is None else flags.gpus
    for name, value, least in (("cores", cores, 1), ("gpus", gpus, 0), ("nodes", flags.nodes, 1)):
        if value < least:
            raise ConfigError(f"--{name} {value}: expected {least} or more")
    print_plan(make_plan(config, Machines(flags.nodes, cores, gpus)))


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


def check_weights(flags: argparse.Namespace) -> None:
    """Print each file of weights that a config names; list those missing or not as they must be."""
    from slr_pipeline.io.video import sha256_of  # noqa: PLC0415

    problems = []
    for named in named_weights(read_config(flags.config)):
        problem, sha256 = missing(named), ""
        if problem is None:
            sha256 = sha256_of(named.path)
            problem = mismatch(named, sha256)
        state = "bad" if sha256 and problem else "ok" if sha256 else "missing"
        print(f"{state:8}{named.key}: {named.path} {sha256}".rstrip())
        problems += [] if problem is None else [problem]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)


def _submission_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="`name,label` lines, or a zip of them as predictions.csv")
    parser.add_argument("--template", required=True, help="the organisers' file of names")
    parser.add_argument("--classes", type=int, default=226, help="226 by default, those of AUTSL")


def check_submission(flags: argparse.Namespace) -> None:
    """Print that a submission is as its template wants it, or each thing that is wrong."""
    from slr_pipeline.io.submission import read_template, submission_problems  # noqa: PLC0415

    if flags.classes < 1:
        raise ConfigError(f"--classes {flags.classes}: expected 1 or more")
    problems = submission_problems(flags.file, flags.template, flags.classes)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    names = len(read_template(flags.template))
    print(f"ok: {flags.file} answers each of the {names} names of {flags.template} once, in order")


def _split_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help=f"CSV with columns of {','.join(TABLE_COLUMNS)}")
    parser.add_argument("out", help="the .csv to write; a .json beside it says how it was made")
    parser.add_argument("--rule", choices=("stratified", "decoster-dev"), default="stratified")
    parser.add_argument("--val", type=float, help="share of the samples, 0.1 by default")
    parser.add_argument("--test", type=float, help="share of the samples, 0.2 by default")
    parser.add_argument("--seed", type=int, help="1 by default")


def make_split(flags: argparse.Namespace) -> None:
    """Write a sample table with a split in which no signer stands twice, and how it was made."""
    from slr_pipeline import splits  # noqa: PLC0415
    from slr_pipeline.io.whole import write_text  # noqa: PLC0415

    given = {"val": flags.val, "test": flags.test, "seed": flags.seed}
    if Path(flags.out).suffix != ".csv":
        raise ConfigError(f"{flags.out}: expected a name that ends in .csv; rename it")
    try:
        data = Path(flags.table).read_bytes()
    except OSError as error:
        raise DataError(f"{flags.table}: cannot be read ({error.strerror}); check it") from error
    table = splits.parse_table(flags.table, data)
    if flags.rule == "stratified":
        defaults = {"val": 0.1, "test": 0.2, "seed": 1}
        rule = {name: defaults[name] if value is None else value for name, value in given.items()}
        split = splits.stratified_split(
            table, val=rule["val"], test=rule["test"], seed=int(rule["seed"])
        )
    else:
        fixed = [f"--{name}" for name, value in given.items() if value is not None]
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
        "rule": {"name": flags.rule, **rule},
        "splits": found,
        "sha256": digest,
        "source_sha256": hashlib.sha256(data).hexdigest(),
        **provenance(),
    }
    write_text(flags.out, text)
    sidecar = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_text(Path(flags.out).with_suffix(".json"), sidecar)
    print(f"{flags.out}: sha256 {digest}")
    for name, count in found.items():
        lacking = len(count["missing_classes"])
        print(
            f"  {name}: {count['samples']} samples, {len(count['signers'])} signers"
            + (f", no sample of {lacking} classes" if lacking else "")
        )
    folder = Path(flags.table).resolve().parent
    if Path(flags.out).resolve().parent != folder:
        print(f"  its videos are named from {folder}: set data.root to it")


def _logits_flags(parser: argparse.ArgumentParser) -> None:
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


def import_logits(flags: argparse.Namespace) -> None:
    """Bring in the logits that another program made for a split."""
    from slr_pipeline.io.foreign_logits import join_logits, read_foreign_logits  # noqa: PLC0415
    from slr_pipeline.io.logits import write_logits  # noqa: PLC0415

    table = load_samples(read_config(flags.config).data)
    foreign = read_foreign_logits(flags.source)
    logits = join_logits(flags.source, foreign, table, flags.split, flags.protocol)
    about = {"source_sha256": foreign.sha256, "split": flags.split, "reads": sorted(flags.reads)}
    write_logits(flags.out, logits, provenance(imported=about))
    print(f"{flags.out}: {len(logits.samples)} samples, {len(logits.classes)} classes")


def _export_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("feature", choices=("keypoints",))
    parser.add_argument("--to", required=True, choices=("pose", "openpose", "mmaction2"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--samples", nargs="+", help="all by default")
    parser.add_argument("--layout", help="see docs/estimators.md; all 133 points by default")


def export(flags: argparse.Namespace) -> None:
    """Write the keypoints of a run as files of other programs."""
    from slr_pipeline.io.poses.exporting import export_keypoints  # noqa: PLC0415

    written, quarantined = export_keypoints(
        flags.results, flags.to, flags.out, layout=flags.layout, samples=flags.samples
    )
    print(f"{flags.out}: {written} samples, {quarantined} quarantined ones left out")


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
        epochs = "" if stream.model == "imported" else f", {stream.training.epochs} epochs"
        lines.append(f"  stream {name}: {stream.model}{epochs}")
    for name, track in config.tracks.items():
        weights = ", ".join(
            stream if weight is None else f"{weight:g} {stream}"
            for stream, weight in track.streams.items()
        )
        lines.append(f"  track {name}: {weights}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
