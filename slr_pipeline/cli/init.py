"""Write config.yaml and samples.csv for a folder of videos, a public data set or ELAN files."""

import argparse
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from slr_pipeline.cli.data_sets import FORMATS, read_data_set
from slr_pipeline.cli.splitting import split_clips
from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.config.section import relative_to
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.messages import first_few
from slr_pipeline.text import shown

if TYPE_CHECKING:
    import pandas as pd

    from slr_pipeline.cli.data_sets import DataSet
    from slr_pipeline.samples.clip_folder import OwnClip


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder to write both files into")
    parser.add_argument("--videos", type=Path, help="folder of the videos (default: DIR)")
    parser.add_argument(
        "--labels",
        type=Path,
        help="CSV of video,label,signer (default: the sub-folder of a video is its sign); with "
        "--from, the lists of the data set or the .eaf files: a file, or a folder (default: DIR)",
    )
    parser.add_argument(
        "--from",
        dest="source",
        default="folders",
        choices=("folders", *FORMATS),
        help="what describes the videos (default: folders, or the CSV); docs/how-to/datasets.md",
    )
    parser.add_argument(
        "--top", type=int, metavar="N", help="only the first N signs of wlasl, msasl; 50 of include"
    )
    parser.add_argument("--tier", metavar="PATTERN", help="tiers of the signs in elan: '*gloss*'")


def main(arguments: argparse.Namespace) -> None:
    """Write both files; print what they contain and the next commands."""
    import pandas as pd

    from slr_pipeline.samples import clip_folder

    config, samples = arguments.folder / "config.yaml", arguments.folder / "samples.csv"
    for path in (config, samples):
        if path.exists():
            raise DataError(f"{path}: exists already; `slr add` adds new clips to it; or remove it")
    videos = arguments.videos or arguments.folder
    if arguments.source != "folders":
        write_data_set(read_data_set(arguments, videos), arguments.folder, videos)
        return
    if arguments.top is not None or arguments.tier is not None:
        raise ConfigError("--top and --tier need --from; remove them")
    names, left_out = clip_folder.find_videos(videos)
    clips, unlabelled = read_clips(videos, arguments.labels, names)
    left_out[f"not in {arguments.labels}"] = unlabelled
    clips, spellings = clip_folder.respell(clips)
    try:
        clip_folder.check_clips(arguments.labels or videos, clips)
    except DataError as error:
        raise DataError("\n".join([str(error), *spellings])) from error
    split, warning = split_clips(clips)
    table = pd.DataFrame(
        {
            "sample": clip_folder.sample_names([clip.video for clip in clips]),
            "split": split,
            "label": [clip.label for clip in clips],
            "signer": [clip.signer for clip in clips],
            "color": [clip.video for clip in clips],
        }
    )
    text = config_text(arguments.folder, videos, table, by_signer=not warning)
    write_files(samples, table, config, text)
    print(describe(table))
    for line in left_out_lines(left_out):
        print(line)
    for text in filter(None, (*spellings, warning)):
        print(f"warning: {text}")
    print(next_commands(arguments.folder))


def write_data_set(data: "DataSet", folder: Path, videos: Path) -> None:
    """Write the files of a data set; print what they contain and the next commands."""
    config, samples = folder / "config.yaml", folder / "samples.csv"
    text = config_text(folder, videos, data.table, by_signer=data.by_signer)
    if data.classes:
        text = text.replace(
            "  table: samples.csv\n", "  table: samples.csv\n  classes: classes.txt\n"
        )
    if data.landmarks:
        text = of_landmarks(text, os.path.join(root_of(folder, videos), data.landmarks))
    write_files(samples, data.table, config, text, data.classes)
    print(describe(data.table))
    for line in data.notes:
        print(shown(line))
    print(next_commands(folder))


def next_commands(folder: Path) -> str:
    """What is written, and the commands that use it, as text."""
    config, samples = folder / "config.yaml", folder / "samples.csv"
    quoted = shlex.quote(str(config))
    return (
        f"wrote {samples} (the clips and their split) and {config} (features, models, training)\n"
        "next, in the folder of the Snakefile:\n"
        f"  slr check {quoted}\n"
        f"  slr plan {quoted}\n"
        f"  {run_command(folder)}"
    )


def left_out_lines(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for each reason why files are left out."""
    return [
        shown(f"left out, {reason}: {len(left)} ({first_few(left)})")
        for reason, left in left_out.items()
        if left
    ]


def read_clips(
    videos: Path, labels: Path | None, names: Sequence[str]
) -> tuple[list["OwnClip"], list[str]]:
    """The clips of these videos, and the videos that the CSV `labels` does not name."""
    from slr_pipeline.samples import clip_folder

    if labels is None:
        return clip_folder.clips_by_folder(videos, names), []
    return clip_folder.clips_by_table(labels, videos, names)


def run_command(folder: Path) -> str:
    """The command that runs a folder, in which Snakemake then keeps its records."""
    where, config = shlex.quote(str(folder)), shlex.quote(str(folder / "config.yaml"))
    return (
        "snakemake --cores all --resources gpu=1 submission report "
        f"--directory {where} --configfile {config}"
    )


def describe(table: "pd.DataFrame") -> str:
    """The clips of each sign, and the clips and signers of each split, as text."""
    signs = table["label"].value_counts().sort_index()
    counts = [f"{sign} {count}" for sign, count in signs.items()]
    lines = [f"{len(table)} clips of {len(signs)} signs: {first_few(counts)}"]
    for split in SPLITS:
        clips = table[table["split"] == split]
        signers = sorted(set(clips["signer"]) - {""})
        missing = sorted(set(signs.index) - set(clips["label"]))
        lines.append(
            f"  {split}: {len(clips)} clips"
            + (f" by {first_few(signers)}" if signers else "")
            + (f", none of {first_few(missing)}" if missing else "")
        )
    return "\n".join(lines)


def write_files(
    samples: Path,
    table: "pd.DataFrame",
    config: Path,
    config_text: str,
    classes: Sequence[str] = (),
) -> None:
    """Write all files or none, and .gitignore. DataError if the folder cannot be written."""
    from slr_pipeline.io.atomic import write_text

    try:
        if classes:
            write_text(samples.with_name("classes.txt"), "".join(f"{name}\n" for name in classes))
        write_text(samples, table.to_csv(index=False, lineterminator="\n"))
        write_text(config, config_text)
        ignore_videos(samples.parent)
    except OSError as error:
        raise DataError(
            f"{samples.parent}: cannot be written ({error.strerror}); use another DIR, and name "
            "the folder of the videos with --videos"
        ) from error
    finally:
        if samples.exists() and not config.exists():
            samples.unlink()


def config_text(folder: Path, videos: Path, table: "pd.DataFrame", *, by_signer: bool) -> str:
    """The config: streams that are small enough for few clips and no GPU."""
    import torch

    name = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_")[:60]
    train = int((table["split"] == "train").sum())
    batch_size = 4 if train < 32 else 8 if train < 256 else 16
    rgb_epochs = 120 if train < 32 else 60
    template = files("slr_pipeline.cli").joinpath("init_config.yaml").read_text(encoding="utf-8")
    return Template(template).substitute(
        clips=len(table),
        signs=table["label"].nunique(),
        name=name if re.match("[a-z]", name) else f"signs_{name}".rstrip("_"),
        root=json.dumps(root_of(folder, videos), ensure_ascii=False),  # YAML for any text
        signer_independent=str(by_signer).lower(),
        # Without a GPU, auto trains streams one by one, as if they shared one.
        device="auto" if torch.cuda.device_count() else "cpu",
        batch_size=batch_size,
        rgb_epochs=rgb_epochs,
        rgb_batch_size=max(8, batch_size),
        rgb_milestones=[rgb_epochs * 7 // 10, rgb_epochs * 9 // 10],
    )


def of_landmarks(text: str, path: str) -> str:
    """The config for clips of landmarks: keypoints are imported, and no stream needs pictures."""
    quoted = json.dumps(path, ensure_ascii=False)
    lines = ["estimator: imported  # there are no videos", "format: asl-signs", f"path: {quoted}"]
    imported = "".join(f"    {line}\n" for line in lines)
    text = re.sub(r" *estimator: mediapipe.*\n", lambda _: imported, text)
    text = re.sub(r"  rgb:\n    model:(.|\n)*?(?=tracks:)", "", text)
    return text.replace("{joint, bone, rgb}", "{joint, bone}")


def root_of(folder: Path, videos: Path) -> str:
    """The folder of the videos for the config: relative to it, or absolute if given so."""
    if videos.absolute().is_relative_to(folder.absolute()):
        return os.path.relpath(videos, folder)
    return relative_to(str(folder), str(videos))


def ignore_videos(folder: Path) -> None:
    """Add videos and results to the folder's .gitignore, so that `git add .` adds no recordings."""
    from slr_pipeline.io.atomic import atomic_write
    from slr_pipeline.samples.clip_folder import VIDEO_SUFFIXES

    path = folder / ".gitignore"
    present = path.read_bytes() if path.exists() else b""
    any_case = (re.sub("[a-z]", lambda c: f"[{c[0]}{c[0].upper()}]", end) for end in VIDEO_SUFFIXES)
    lines = [
        "# `slr init`: recordings of people, and what is computed from them",
        "/.snakemake/",
        "/results/",
    ]
    wanted = [line.encode() for line in (*lines, *(f"*{end}" for end in any_case))]
    missing = [line for line in wanted if line not in present.splitlines()]
    with atomic_write(path) as partial:
        partial.write_bytes(b"\n".join([*present.splitlines(), *missing, b""]))
