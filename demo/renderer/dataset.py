"""Render the demo data set or a part of it, or check it.

- `python -m renderer.dataset --out demo`: all of it
- `... --out DIR --only signer0_sample1 signer5_sample2`: some clips
- `... --out DIR --check demo`: all, and compare the truth with that of `demo`
"""

import argparse
import multiprocessing
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from renderer.clips import (
    Clip,
    Scene,
    Studio,
    all_clips,
    build_scene,
    clip_depth,
    clip_flow,
    clip_pictures,
    clip_truth,
    find_clip,
    open_studio,
)
from renderer.signers import Split
from renderer.signs import SIGNS
from renderer.store import FrameTruth, Recorded, difference, read_truth, write_frames, write_truth
from renderer.video import COLOUR_CRF, DEPTH_CRF, depth_to_grey, write_video
from slr_pipeline.errors import DataError, SlrError

DENSE = ("signer0_sample1", "signer5_sample1", "signer6_sample1")
"""Clips whose middle frame has stored depth and flow, for tests without the renderer."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def make_clip(studio: Studio, clip: Clip, out: Path) -> Recorded:
    """Write both videos of a clip under `out` and return its truth."""
    scene = build_scene(studio, clip)
    pictures, depths = clip_pictures(studio, scene)
    folder = out / clip.split
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / f"{clip.sample}_color.mp4", pictures, COLOUR_CRF)
    greys = (depth_to_grey(d) for d in depths)
    write_video(folder / f"{clip.sample}_depth.mp4", greys, DEPTH_CRF)
    dense = dense_truth(scene, scene.frames // 2) if clip.sample in DENSE else None
    return Recorded(clip, clip_truth(scene), scene.camera, dense)


def dense_truth(scene: Scene, frame: int) -> FrameTruth:
    """Depth and flow of one frame."""
    flow, valid = clip_flow(scene, frame)
    depth = np.stack([clip_depth(scene, frame - 1), clip_depth(scene, frame)])
    return FrameTruth(frame, depth, flow, valid)


def _make_share(out: Path, clips: list[Clip]) -> list[Recorded]:
    """Render some clips in a separate process."""
    studio = open_studio()
    return [make_clip(studio, clip, out) for clip in clips]


def make_clips(clips: list[Clip], out: Path, processes: int) -> list[Recorded]:
    """Render clips in several processes; the records are in the order of `clips`."""
    if processes == 1 or len(clips) == 1:
        return _make_share(out, clips)
    open_studio()  # writes anny's cache once, before the processes start
    shares = [clips[i::processes] for i in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        done = pool.map(partial(_make_share, out), shares, chunksize=1)
    by_name = {record.clip.sample: record for share in done for record in share}
    return [by_name[clip.sample] for clip in clips]


def write_tables(clips: Iterable[Clip], out: Path) -> None:
    """Write the label tables and the list of signs in AUTSL's layout."""
    clips = list(clips)
    for split in SPLITS:
        rows = [f"{c.sample},{c.sign.label}\n" for c in clips if c.split == split]
        (out / f"{split}_labels.csv").write_text("".join(rows), newline="\n")
    signs = [f"{s.label},{s.turkish},{s.gloss}\n" for s in SIGNS]
    text = "ClassId,TR,EN\n" + "".join(signs)
    (out / "SignList_ClassId_TR_EN.csv").write_text(text, encoding="utf-8", newline="\n")


def make_demo(clips: list[Clip], out: Path, processes: int) -> list[Recorded]:
    """Write videos, tables and ground truth of some clips to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    records = make_clips(clips, out, processes)
    write_tables(clips, out)
    for split in SPLITS:
        own = [r for r in records if r.clip.split == split]
        if own:
            write_truth(out / "truth" / f"{split}.h5", own)
    if any(r.dense is not None for r in records):
        write_frames(out / "truth" / "frames.h5", records)
    return records


def check(records: list[Recorded], committed: Path) -> None:
    """Compare new ground truth with the committed one.

    Raises:
        DataError: they differ by more than the tolerances of `store`.
    """
    for record in records:
        clip = record.clip
        expected = read_truth(committed, clip.split, clip.sample)
        problem = difference(record.truth, expected)
        if problem is not None:
            raise DataError(
                f"{committed}: {clip.sample}: {problem}; was a sign or a signer edited?"
            )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m renderer.dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--only", nargs="+", metavar="SAMPLE", help="render only these clips")
    parser.add_argument(
        "--check",
        type=Path,
        metavar="DEMO",
        help="compare the new ground truth with that of the folder DEMO",
    )
    parser.add_argument("--processes", type=int, default=2, help="default: 2")
    options = parser.parse_args(arguments)
    try:
        if options.check is not None and options.check.resolve() == options.out.resolve():
            raise DataError(
                f"--check {options.check}: --out would overwrite it; give another folder as --out"
            )
        clips = [find_clip(s) for s in options.only] if options.only else all_clips()
        records = make_demo(clips, options.out, options.processes)
        if options.check is not None:
            check(records, options.check)
    except SlrError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    frames = sum(len(record.truth.keypoints) for record in records)
    signers = {record.clip.signer.number for record in records}
    print(f"{len(records)} clips, {frames} frames, {len(signers)} signers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
