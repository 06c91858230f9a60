"""Write config.yaml and samples.csv for a folder of one's own videos."""

import argparse
import csv
import io
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slr_pipeline.config.experiment import SPLITS, Split
from slr_pipeline.errors import DataError
from slr_pipeline.io.messages import first_few

if TYPE_CHECKING:
    from slr_pipeline.samples.clip_folder import OwnClip

SHARES = {"val": 0.15, "test": 0.2}
LEAST_SIGNERS = 4
"""Two to learn from, one to pick the epoch, one to be tested by."""
SEED = 1
COLUMNS = ("sample", "split", "label", "signer", "color")


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="where both files are written")
    parser.add_argument("--videos", type=Path, help="folder of the videos; DIR by default")
    parser.add_argument(
        "--labels",
        type=Path,
        help="CSV of video,label,signer; by default each video's sub-folder is its sign",
    )


def main(given: argparse.Namespace) -> None:
    """Write both files for the videos of a folder, and say what is in them and what comes next."""
    from slr_pipeline.samples import clip_folder  # noqa: PLC0415

    config, table = given.folder / "config.yaml", given.folder / "samples.csv"
    for path in (config, table):
        if path.exists():
            raise DataError(f"{path}: is there already and stays; remove it, or name another DIR")
    folder = given.folder if given.videos is None else given.videos
    videos = clip_folder.find_videos(folder)
    left_out: list[str] = []
    if given.labels is None:
        clips = clip_folder.clips_by_folder(folder, videos)
    else:
        clips, left_out = clip_folder.clips_by_table(given.labels, folder, videos)
    clip_folder.check_clips(given.labels or folder, clips)
    split, warning = split_clips(clips)
    names = clip_folder.sample_names([clip.video for clip in clips])
    texts = {
        table: table_text(clips, names, split),
        config: config_text(given.folder, folder, clips, split, by_signer=not warning),
    }
    write_all(texts)
    print(describe(clips, split))
    if left_out:
        print(f"left out, as {given.labels} does not name them: {first_few(left_out)}")
    if warning:
        print(f"warning: {warning}")
    print(f"wrote {table} (the clips and their split) and {config} (what is trained, and how)")
    named = shlex.quote(str(config))
    print(
        "next, where the Snakefile is:\n"
        f"  slr check {named}\n"
        f"  slr plan {named}\n"
        f"  snakemake --cores all --resources gpu=1 submission report --configfile {named}"
    )


def split_clips(clips: Sequence["OwnClip"]) -> tuple[list[Split], str]:
    """The split of each clip (N,), and a warning if signers could not be kept apart, else empty."""
    from slr_pipeline.samples import splits  # noqa: PLC0415

    labels, signers = [clip.label for clip in clips], {clip.signer for clip in clips}
    if "" in signers:
        why = f"{sum(not clip.signer for clip in clips)} clips have no signer"
    elif len(signers) < LEAST_SIGNERS:
        why = f"there are {len(signers)} signers and {LEAST_SIGNERS} are needed to keep some apart"
    else:
        rows = tuple({"label": clip.label, "signer": clip.signer} for clip in clips)
        table = splits.PlainTable("signers", ("label", "signer"), rows)
        dealt = splits.stratified_split(table, **SHARES, seed=SEED)
        learnt = {label for label, name in zip(labels, dealt, strict=True) if name == "train"}
        if learnt == set(labels):
            return dealt, ""
        why = f"train would have no clip of {first_few(sorted(set(labels) - learnt))}"
    dealt = splits.clip_split(labels, **SHARES, seed=SEED)
    return dealt, (
        f"split by clip and not by signer, as {why}: accuracy will say how well these people are "
        "recognised, and nothing about strangers"
    )


def table_text(clips: Sequence["OwnClip"], names: Sequence[str], split: Sequence[Split]) -> str:
    """The sample table."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for clip, name, own in zip(clips, names, split, strict=True):
        writer.writerow([name, own, clip.label, clip.signer, clip.video])
    return out.getvalue()


def describe(clips: Sequence["OwnClip"], split: Sequence[Split]) -> str:
    """Clips of each sign, and clips and signers of each split."""
    signs = Counter(clip.label for clip in clips)
    counts = [f"{sign} {count}" for sign, count in sorted(signs.items())]
    lines = [f"{len(clips)} clips of {len(signs)} signs: {first_few(counts)}"]
    for name in SPLITS:
        own = [clip for clip, at in zip(clips, split, strict=True) if at == name]
        signers = sorted({clip.signer for clip in own} - {""})
        lacking = sorted(signs.keys() - {clip.label for clip in own})
        lines.append(
            f"  {name}: {len(own)} clips"
            + (f" by {first_few(signers)}" if signers else "")
            + (f", none of {first_few(lacking)}" if lacking else "")
        )
    return "\n".join(lines)


def write_all(texts: dict[Path, str]) -> None:
    """Write all of these files or none. DataError where that cannot be."""
    from slr_pipeline.io.atomic import write_text  # noqa: PLC0415

    written: list[Path] = []
    try:
        for path, text in texts.items():
            write_text(path, text)
            written.append(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); name a DIR of your own, and the "
            "folder of the videos with --videos"
        ) from error
    finally:
        if len(written) < len(texts):
            for path in written:
                path.unlink()


def config_text(
    folder: Path,
    videos: Path,
    clips: Sequence["OwnClip"],
    split: Sequence[Split],
    *,
    by_signer: bool,
) -> str:
    """The configuration: streams small enough for few clips and no GPU."""
    import torch  # noqa: PLC0415

    name = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_")[:60]
    trained = split.count("train")
    batch_size = 4 if trained < 32 else 8 if trained < 256 else 16
    rgb_epochs = 120 if trained < 32 else 60
    return CONFIG.format(
        clips=len(clips),
        signs=len({clip.label for clip in clips}),
        name=name if re.match("[a-z]", name) else f"signs_{name}".rstrip("_"),
        results=_path(folder / "results"),
        table=_path(folder / "samples.csv"),
        root=_path(videos),
        signer_independent=str(by_signer).lower(),
        # Not auto without a GPU: streams then train one by one, as if they had to share one.
        device="auto" if torch.cuda.device_count() else "cpu",
        batch_size=batch_size,
        rgb_epochs=rgb_epochs,
        rgb_batch_size=max(8, batch_size),
        rgb_milestones=[rgb_epochs * 7 // 10, rgb_epochs * 9 // 10],
    )


def _path(path: Path) -> str:
    """A path from anywhere, as YAML."""
    return json.dumps(os.path.abspath(path), ensure_ascii=False)


CONFIG = """\
# Written by `slr init` for {clips} clips of {signs} signs. Change what you like and run the same
# command again: only what depends on the change runs again. Every key: docs/reference/config.md.
name: {name}
results: {results}   # features, models, submission, report
device: {device}  # auto takes a GPU; cpu: none, streams are trained side by side
shard_size: 64
verify: {{max_quarantined: 0.1}}    # the run stops if more of the clips cannot be read,
quality: {{max_quarantined: 0.1}}   # or show nobody
data:
  layout: table
  table: {table}
  root: {root}
  signer_independent: {signer_independent}   # true: a signer in two splits is an error
features:
  keypoints:
    estimator: mediapipe  # others need weights: docs/how-to/estimators.md
streams:
  joint: &skeleton
    model: slgcn
    width: 16             # 64 for thousands of clips
    frames: 48            # most of a clip that are seen, evenly spread; 100 for long signs
    window: 40
    trim: true            # leaves out the rest before and after the sign
    stretch: true
    rotation_deg: 10
    scale_range: 0.1
    flip_probability: 0.5 # 0 where a sign and its mirror image mean different things
    training: &small
      epochs: 60          # more if the report's curves still rise at the end
      batch_size: {batch_size}
      optimizer: adam
      learning_rate: 0.002
      weight_decay: 0
      warmup_epochs: 0
      milestones: [40, 52]
      label_smoothing: 0.1
      chance_epochs: null # goes on even if val, of so few clips, is not better than guessing
  bone: {{<<: *skeleton, representation: bone}}
  # joint_motion: {{<<: *skeleton, representation: joint_motion}}   # the other two of SAM-SLR: take
  # bone_motion: {{<<: *skeleton, representation: bone_motion}}     # the # away, name them below
  rgb:
    model: r2plus1d
    feature: frames
    width: 8              # with a GPU and hundreds of clips: 64, size 112 and initial weights
    size: 64              # (docs/reference/weights.md)
    frames: 16            # in a row, thrice a clip; 32 if clips are longer than two seconds
    flip_probability: 0.5
    dropout: 0
    test_clips: 3
    training:
      <<: *small
      epochs: {rgb_epochs}
      batch_size: {rgb_batch_size}
      milestones: {rgb_milestones}
      plateau_patience: null
tracks:
  rgb:
    fusion: calibrated
    streams: {{joint, bone, rgb}}   # weights: fitted on val
"""
