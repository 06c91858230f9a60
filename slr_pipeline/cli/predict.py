"""Recognise signs in new videos with the models of a finished run."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.messages import first_few
from slr_pipeline.samples.segments import Segment, segment_of
from slr_pipeline.text import shown

if TYPE_CHECKING:
    from slr_pipeline.cli.recognition import Recognition, Track, Video

FORMAT = "slr-predictions"
VERSION = 1

Answers = list[dict[str, Any]]

File = tuple[Path, str]
"""A folder and the path of a video below it."""


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video file or folder of videos")
    parser.add_argument(
        "--depth", nargs="+", metavar="VIDEO", help="depth videos in the same order, or a folder"
    )
    parser.add_argument("--start", default="", metavar="S", help="first second of each video")
    parser.add_argument("--end", default="", metavar="S", help="end of each video in seconds")
    parser.add_argument(
        "--models", type=Path, default=Path("results"), help="results folder of the run"
    )
    parser.add_argument("--track", help="track of the run (default: rgb, or the only one)")
    parser.add_argument("--top", type=int, default=5, help="answers per video (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--overlay", type=Path, help="write an mp4 with keypoints and answer; or a folder of them"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))


def main(arguments: argparse.Namespace) -> None:
    """Print the most likely glosses of each video; exit status 1 if a video cannot be read."""
    import torch
    from rich.progress import Progress

    from slr_pipeline.cli.recognition import choose_track, open_track, recognise
    from slr_pipeline.io.documents import read_run_config
    from slr_pipeline.io.progress import terminal_bars

    if arguments.top < 1:
        raise ConfigError(f"--top {arguments.top}: expected 1 or more")
    files = find_files(arguments.videos)
    segment = given_segment(arguments.start, arguments.end)
    videos = [replace(v, segment=segment) for v in with_depth(files, arguments.depth)]
    single = len(arguments.videos) == 1 and not Path(arguments.videos[0]).is_dir()
    overlays = overlay_files(arguments.overlay, files, videos, single=single)
    config = read_run_config(arguments.models)
    name = choose_track(config, arguments.track, depth=arguments.depth is not None)
    logging.getLogger("slr_pipeline").setLevel(logging.WARNING)  # steps log every clip
    torch.set_num_threads(1)  # as in Snakemake, so that logits are equal to the bit
    answers: Answers = []
    progress = terminal_bars("steps") if sys.stderr.isatty() else Progress(disable=True)
    with progress as bar:
        task = bar.add_task("opening the models", total=None)
        track = open_track(arguments.models, config, name, arguments.device)
        bar.update(task, description="recognising", total=len(videos) * track.stages)
        recognitions = recognise(track, videos, partial(bar.advance, task))
        for recognition, overlay in zip(recognitions, overlays, strict=True):
            answers.append(answer_of(recognition, track, arguments.top))
            if overlay is not None and not recognition.row.reason:
                draw(overlay, recognition, track, answers[-1])
    if arguments.json:
        print(json.dumps(document(track, answers), indent=2))
    else:
        print_table(track, answers)
    unreadable = [answer["reason"] for answer in answers if answer["status"] == "unreadable"]
    for reason in unreadable:
        print(f"error: {shown(reason)}", file=sys.stderr)
    if unreadable:
        sys.exit(1)


def given_segment(start: str, end: str) -> Segment | None:
    """The segment of `--start` and `--end`; None without them."""
    try:
        return segment_of(start, end)
    except DataError as error:
        raise ConfigError(f"--start {start} --end {end}: {error}") from error


def find_files(paths: Sequence[str]) -> list[File]:
    """List the videos of files and folders, those of a folder sorted by name.

    Skips videos of a folder whose names end in `_depth`: they are depth videos.
    """
    from slr_pipeline.samples.clip_folder import check_name, find_videos

    files: list[File] = []
    for path in map(Path, paths):
        check_name(path)
        if path.is_dir():
            names, left_out = find_videos(path)
            files += [(path, name) for name in names if not _is_depth(name)]
            for reason, left in left_out.items():
                if reason not in ("not videos", "empty folders"):
                    text = f"{path}: left out, {reason}: {len(left)} ({first_few(left)})"
                    print(shown(text), file=sys.stderr)
        else:
            files.append((path.parent, path.name))
    if not files:
        raise DataError(f"{', '.join(paths)}: only depth videos; name the folder of colour videos")
    return files


def with_depth(files: Sequence[File], depth: Sequence[str] | None) -> list["Video"]:
    """Pair each video with its depth video, given in the same order or found in a folder.

    In a folder, `a_depth.mp4` is the depth video of `a.mp4` and of `a_color.mp4`; without such a
    file, a file with the name of the colour video is.
    """
    from slr_pipeline.cli.recognition import Video
    from slr_pipeline.samples.clip_folder import check_name, find_videos

    for path in depth or ():
        check_name(path)
    colors = [str(folder / name) for folder, name in files]
    if depth is None:
        return [Video(color) for color in colors]
    if len(depth) == 1 and Path(depth[0]).is_dir():
        names, _ = find_videos(depth[0])
        depth = [_depth_of(folder, name, depth[0], names) for folder, name in files]
    if len(depth) != len(colors):
        raise DataError(
            f"--depth: {len(depth)} depth videos for {len(colors)} videos; give one for each in "
            "the same order, or their folder"
        )
    return list(map(Video, colors, depth))


def _is_depth(name: str) -> bool:
    return PurePath(name).stem.endswith("_depth")


def _depth_of(folder: Path, name: str, depth: str, candidates: Sequence[str]) -> str:
    """Find the depth video of a video among candidates in the folder `depth`."""
    stem = PurePath(name).with_suffix("")
    plain = stem.with_name(stem.name.removesuffix("_color"))
    by_stem = {
        PurePath(other).with_suffix(""): Path(depth, other)
        for other in candidates
        if Path(depth, other).resolve() != (folder / name).resolve()
    }
    for key in (plain.with_name(f"{plain.name}_depth"), plain, stem):
        if key in by_stem:
            return str(by_stem[key])
    raise DataError(
        f"{depth}: no depth video of {folder / name}; name it {plain}_depth{Path(name).suffix}"
    )


def overlay_files(
    out: Path | None, files: Sequence[File], videos: Sequence["Video"], *, single: bool
) -> list[Path | None]:
    """Output path of each overlay: `out` itself for a single video, else below the folder `out`."""
    if out is None:
        return [None] * len(files)
    if single and out.suffix != ".mp4":
        raise ConfigError(f"--overlay {out}: expected a name that ends in .mp4; rename it")
    if not single and out.is_file():
        raise ConfigError(f"--overlay {out}: is a file; name a folder for several videos")
    targets = [out if single else out / Path(name).with_suffix(".mp4") for _, name in files]
    inputs = {Path(path).resolve() for v in videos for path in (v.color, v.depth) if path}
    for number, target in enumerate(targets):
        if target in targets[:number]:
            raise ConfigError(
                f"--overlay: {videos[targets.index(target)].color} and {videos[number].color} "
                f"would both write {target}; rename one, or run them separately"
            )
        if target.resolve() in inputs:
            raise ConfigError(f"--overlay: {target} is an input video; choose another path")
    return [*targets]


def answer_of(recognition: "Recognition", track: "Track", top: int) -> dict[str, Any]:
    """Entry of a video in the JSON document, see docs/how-to/predict.md."""
    row, reason = recognition.row, recognition.reason
    scores = [] if recognition.probabilities is None else recognition.probabilities.tolist()
    best = sorted(range(len(scores)), key=lambda label: -scores[label])[:top]
    status = "unreadable" if row.reason else "unanswered" if reason else "answered"
    if best and scores[best[0]] < track.threshold:
        status = "unsure"
        reason = f"its probability is below {track.threshold:.1%}"
    return {
        "video": recognition.video.color,
        "depth": recognition.video.depth,
        **(recognition.video.segment.cells() if recognition.video.segment else {}),
        "frames": row.frames,
        "width": row.width,
        "height": row.height,
        "fps": row.fps,
        "status": status,
        "reason": reason or None,
        "outside_training": list(recognition.outside),
        "answers": [
            {"label": label, "gloss": track.classes[label], "probability": scores[label]}
            for label in best
        ],
    }


def document(track: "Track", answers: Answers) -> dict[str, Any]:
    """JSON document, see docs/how-to/predict.md."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "track": track.name,
        "protocol": track.config.protocol,
        "fusion": track.settings.fusion,
        "weights": track.calibration.weights,
        "rejection": track.rejection,
        "warnings": list(track.warnings),
        "videos": answers,
    }


def draw(out: Path, recognition: "Recognition", track: "Track", answer: dict[str, Any]) -> None:
    """Write a video with its skeleton, hand boxes and most likely answer."""
    from slr_pipeline.features.hand_crops import hand_boxes
    from slr_pipeline.report.lettering import gloss_or_number
    from slr_pipeline.report.overlay import Note, write_overlay

    row, keypoints = recognition.row, recognition.keypoints
    fidelity = track.config.features.hand_crops.fidelity
    hands = hand_boxes(keypoints, width=row.width, height=row.height, fidelity=fidelity)
    best = answer["answers"]
    text = answer["reason"]
    if best:
        gloss = gloss_or_number(best[0]["gloss"], best[0]["label"])
        unsure = "unsure: " if answer["status"] == "unsure" else ""
        text = f"{unsure}{gloss} {best[0]['probability']:.1%}"
    write_overlay(out, row, keypoints, hands.boxes, [Note(text)])


def print_table(track: "Track", answers: Answers) -> None:
    """Print the answers of each video as a table of the terminal's width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(caption=f"track {track.name} of protocol {track.config.protocol}")
    table.add_column("video", overflow="fold")
    table.add_column("gloss", overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True)
    for answer in answers:
        video = shown(answer["video"])
        text = {
            "answered": "",
            "unsure": "unsure; candidates:",
            "unanswered": f"no answer: {answer['reason']}",
            "unreadable": "cannot be read",  # its reason follows on stderr
        }[answer["status"]]
        if text:
            table.add_row(Text(video), Text(shown(text)), "")
        for rank, best in enumerate(answer["answers"]):
            gloss = Text(shown(best["gloss"]))
            table.add_row(Text("" if text or rank else video), gloss, f"{best['probability']:.1%}")
        table.add_section()
    Console().print(table)
    if track.threshold:
        print(
            f"unsure: below {track.threshold:.1%}; of the other answers at most "
            f"{100 * track.rejection['accept_error']:g}% are expected to be wrong"
        )
    else:
        print(f"no answer is unsure: {track.rejection['reason']}")
    for answer in answers:
        if answer["outside_training"]:
            outside = "; ".join(answer["outside_training"])
            print(shown(f"{answer['video']}: outside the training: {outside}"))
    for warning in track.warnings:
        print(f"warning: {shown(warning)}")
