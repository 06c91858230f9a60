"""Recognise signs in new videos with the models of a finished run."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from slr_pipeline.errors import ConfigError, DataError

if TYPE_CHECKING:
    from slr_pipeline.cli.recognition import Recognised, Track, Video

FORMAT = "slr-predictions"
VERSION = 1

Answers = list[dict[str, Any]]

File = tuple[Path, str]
"""The folder that was given, or that of a file, and the path below it."""


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="a file, or a folder of them")
    parser.add_argument(
        "--depth", nargs="+", metavar="VIDEO", help="depth videos in that order, or their folder"
    )
    parser.add_argument("--models", type=Path, default=Path("results"), help="a run's results")
    parser.add_argument("--track", help="rgb by default, or the only one")
    parser.add_argument("--top", type=int, default=5, help="answers of each video, 5 by default")
    parser.add_argument("--json", action="store_true", help="one JSON document, no table")
    parser.add_argument(
        "--overlay", type=Path, help="mp4 to draw keypoints and answer into; a folder for several"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))


def main(given: argparse.Namespace) -> None:
    """Print the likeliest glosses of each video; exit status 1 when one cannot be read."""
    # Late: the other commands stay light.
    import torch  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from slr_pipeline.cli.recognition import choose_track, open_track, recognise  # noqa: PLC0415
    from slr_pipeline.io.documents import read_run_config  # noqa: PLC0415
    from slr_pipeline.io.progress import terminal_bars  # noqa: PLC0415

    if given.top < 1:
        raise ConfigError(f"--top {given.top}: expected 1 or more")
    files = find_files(given.videos)
    videos = with_depth(files, given.depth)
    alone = len(given.videos) == 1 and not Path(given.videos[0]).is_dir()
    overlays = overlay_files(given.overlay, files, videos, alone=alone)
    config = read_run_config(given.models)
    name = choose_track(config, given.track, depth=given.depth is not None)
    logging.getLogger("slr_pipeline").setLevel(logging.WARNING)  # the steps tell of every clip
    torch.set_num_threads(1)  # as Snakemake has it, so that the logits are the pipeline's
    answers: Answers = []
    shown = Progress(disable=True) if not sys.stderr.isatty() else terminal_bars("steps")
    with shown as bar:
        task = bar.add_task("opening the models", total=None)
        track = open_track(given.models, config, name, given.device)
        bar.update(task, description="recognising", total=len(videos) * track.stages)
        advance = partial(bar.advance, task)
        for found, overlay in zip(recognise(track, videos, advance), overlays, strict=True):
            answers.append(answer_of(found, track, given.top))
            if overlay is not None and not found.row.reason:
                draw(overlay, found, track, answers[-1])
    if given.json:
        print(json.dumps(document(track, answers), indent=2))
    else:
        print_table(track, answers)
    unreadable = [answer["reason"] for answer in answers if answer["status"] == "unreadable"]
    for reason in unreadable:
        print(f"error: {printable(reason)}", file=sys.stderr)
    if unreadable:
        sys.exit(1)


def find_files(given: Sequence[str]) -> list[File]:
    """The videos that are given, those of a folder sorted by name.

    Videos of a folder that end in `_depth` are left out: they are depth videos.
    """
    from slr_pipeline.samples.clip_folder import find_videos  # noqa: PLC0415

    files: list[File] = []
    for path in map(Path, given):
        if not str(path).isprintable():
            raise DataError(f"{str(path)!a}: the name has signs that are no text; rename it")
        if path.is_dir():
            files += [(path, name) for name in find_videos(path) if not _is_depth(name)]
        else:
            files.append((path.parent, path.name))
    if not files:
        raise DataError(f"{', '.join(given)}: only depth videos; name the folder of the others")
    return files


def with_depth(files: Sequence[File], depth: Sequence[str] | None) -> list["Video"]:
    """The videos, each with its depth video: one for each in their order, or from a folder.

    In a folder, `a_depth.mp4` is the depth video of `a.mp4` and of `a_color.mp4`. Where there is
    none it may also be `a.mp4` or `a_color.mp4`.
    """
    from slr_pipeline.cli.recognition import Video  # noqa: PLC0415
    from slr_pipeline.samples.clip_folder import find_videos  # noqa: PLC0415

    paths = [str(folder / name) for folder, name in files]
    if depth is None:
        return [Video(path) for path in paths]
    if len(depth) == 1 and Path(depth[0]).is_dir():
        found = find_videos(depth[0])
        depth = [_depth_of(folder, name, depth[0], found) for folder, name in files]
    if len(depth) != len(paths):
        raise DataError(
            f"--depth: {len(depth)} depth videos for {len(paths)} videos; give one for each, in "
            "the same order, or their folder"
        )
    return [Video(path, other) for path, other in zip(paths, depth, strict=True)]


def _is_depth(name: str) -> bool:
    return PurePath(name).stem.endswith("_depth")


def _depth_of(folder: Path, name: str, depth: str, found: Sequence[str]) -> str:
    """The depth video of a video, in the folder `depth`."""
    stem = PurePath(name).with_suffix("")
    plain = stem.with_name(stem.name.removesuffix("_color"))
    by_stem = {
        PurePath(other).with_suffix(""): Path(depth, other)
        for other in found
        if Path(depth, other).resolve() != (folder / name).resolve()
    }
    for wanted in (plain.with_name(f"{plain.name}_depth"), plain, stem):
        if wanted in by_stem:
            return str(by_stem[wanted])
    raise DataError(
        f"{depth}: no depth video of {folder / name}; name it {plain}_depth{Path(name).suffix}"
    )


def overlay_files(
    asked: Path | None, files: Sequence[File], videos: Sequence["Video"], *, alone: bool
) -> list[Path | None]:
    """Where to write the drawn-on video of each: `asked` itself, or below it as in their folder."""
    if asked is None:
        return [None] * len(files)
    if alone and asked.suffix != ".mp4":
        raise ConfigError(f"--overlay {asked}: expected a name that ends in .mp4; rename it")
    if not alone and asked.is_file():
        raise ConfigError(f"--overlay {asked}: is a file; name a folder for several videos")
    places = [asked if alone else asked / Path(name).with_suffix(".mp4") for _, name in files]
    taken = {Path(path).resolve() for v in videos for path in (v.color, v.depth) if path}
    for number, place in enumerate(places):
        if place in places[:number]:
            raise ConfigError(
                f"--overlay: {videos[places.index(place)].color} and {videos[number].color} would "
                f"both be {place}; rename one, or run them apart"
            )
        if place.resolve() in taken:
            raise ConfigError(
                f"--overlay: {place} is itself a video to look at; name another place"
            )
    return [*places]


def answer_of(found: "Recognised", track: "Track", top: int) -> dict[str, Any]:
    """A video in the JSON document, see docs/how-to/predict.md."""
    row, shares = found.row, () if found.probabilities is None else found.probabilities.tolist()
    best = sorted(range(len(shares)), key=lambda label: -shares[label])[:top]
    return {
        "video": found.video.color,
        "depth": found.video.depth,
        "frames": row.frames,
        "width": row.width,
        "height": row.height,
        "fps": row.fps,
        "status": "unreadable" if row.reason else "unanswered" if found.reason else "answered",
        "reason": found.reason or None,
        "answers": [
            {"label": label, "gloss": track.classes[label], "probability": shares[label]}
            for label in best
        ],
    }


def document(track: "Track", answers: Answers) -> dict[str, Any]:
    """The JSON document, see docs/how-to/predict.md."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "track": track.name,
        "protocol": track.config.protocol,
        "fusion": track.settings.fusion,
        "weights": track.calibration.weights,
        "videos": answers,
    }


def draw(out: Path, found: "Recognised", track: "Track", answer: dict[str, Any]) -> None:
    """Write a video with its skeleton, hand boxes and likeliest answer."""
    from slr_pipeline.features.hand_crops import hand_boxes  # noqa: PLC0415
    from slr_pipeline.report.overlay import Note, write_overlay  # noqa: PLC0415

    row = found.row
    fidelity = track.config.features.hand_crops.fidelity
    hands = hand_boxes(found.keypoints, width=row.width, height=row.height, fidelity=fidelity)
    best = answer["answers"]
    words = f"{best[0]['gloss']}  {best[0]['probability']:.1%}" if best else answer["reason"]
    write_overlay(out, row, found.keypoints, hands.boxes, [Note(words)])


def print_table(track: "Track", answers: Answers) -> None:
    """Print the answers of each video on stdout, as wide as the terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(caption=f"track {track.name} of protocol {track.config.protocol}")
    table.add_column("video", overflow="fold")
    table.add_column("gloss", overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True)
    for answer in answers:
        video = printable(answer["video"])
        if answer["status"] != "answered":
            # Why a video cannot be read is said below the table.
            known = answer["status"] == "unanswered"
            why = f"no answer: {answer['reason']}" if known else "cannot be read"
            table.add_row(Text(video), Text(printable(why)), "")
        for rank, best in enumerate(answer["answers"]):
            gloss = Text(printable(best["gloss"]))
            table.add_row(Text("" if rank else video), gloss, f"{best['probability']:.1%}")
        table.add_section()
    Console().print(table)


def printable(text: str) -> str:
    """The text without what a terminal would obey or cannot show."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
