"""Decode every video of a shard once and record which samples are usable, or why not."""

import glob
import logging
import os
from collections.abc import Callable
from dataclasses import replace

from slr_pipeline.config.experiment import DataSettings
from slr_pipeline.errors import DataError
from slr_pipeline.features.frame_rate import feature_rate
from slr_pipeline.io.examiner import Examiner
from slr_pipeline.io.guarded import Guarded
from slr_pipeline.io.progress import progress
from slr_pipeline.io.verified import COLUMNS, Verified, write_known, write_verified
from slr_pipeline.io.video import VideoInfo
from slr_pipeline.samples.segments import Segment
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import Sample, load_samples
from slr_pipeline.samples.videos import (
    FEW,
    Comparison,
    Examined,
    compare,
    read_known,
    same_content,
)
from slr_pipeline.schema import Fidelity

log = logging.getLogger(__name__)

Examine = Callable[[str, str | None, bool, Segment | None], tuple[VideoInfo, str, str]]
"""An `Examiner`, or the same in a child process."""


def verify(
    data: DataSettings,
    split: str,
    shard: str,
    shard_size: int,
    seconds_per_video: int,
    out: str,
    known: str | None = None,
    fidelity: Fidelity = "corrected",
) -> None:
    """Write the verify table of one shard.

    The folder `known` remembers what was found of each video: only those that are new, changed or
    quarantined are decoded.
    """
    table = load_samples(data)
    split_shards = shards((s for s in table.samples if s.split == split), shard_size)
    if shard not in split_shards:
        raise DataError(f"split {split} has no shard {shard} (known: {', '.join(split_shards)})")
    samples = split_shards[shard]
    remembered = f"{known}/{split}/{shard}.csv"
    before = read_known(*_tables(known, remembered)) if known else {}
    compared = compare(samples, before)
    rows, changed, decoded = [], [], 0
    with Guarded(Examiner(), seconds_per_video) as guarded, progress(len(samples)) as advance:
        for sample in samples:
            row = _taken_over(sample, compared, fidelity)
            if row is None:
                row = verify_sample(sample, guarded, fidelity)
                decoded += 1
                changed += [sample.color] if sample.name in compared.copies else []
            if row.reason:
                log.info("quarantined %s: %s", row.sample, row.reason)
            rows.append(row)
            advance(1, row.frames)
    if known:
        examined = [_examined(row, compared.files[row.sample]) for row in rows]
        write_known(remembered, [row for s in samples for row in before.get(s.name, ())] + examined)
    if changed and len(compared.copies) > FEW:
        raise DataError(
            f"{len(changed)} videos have other content but the same size as before, first "
            f"{changed[0]}; run the same command again: it remakes what was made from them"
        )
    write_verified(out, rows)
    quarantined = sum(bool(row.reason) for row in rows)
    log.info("%d samples, %d decoded, %d quarantined", len(rows), decoded, quarantined)


def _tables(known: str, own: str) -> list[str]:
    """Tables of all shards, as samples change their shard; the latest and then `own` last."""
    paths = glob.glob(f"{glob.escape(known)}/*/*.csv")
    return [*sorted(set(paths) - {own}, key=os.path.getmtime), own]


def _taken_over(sample: Sample, compared: Comparison, fidelity: Fidelity) -> Verified | None:
    """The earlier result if the videos still have the content that it is about."""
    row = compared.unchanged.get(sample.name)
    if row is None and (copy := compared.copies.get(sample.name)) and same_content(sample, copy):
        row = copy
    if row is None or not row.frames:  # the cause of a quarantine may be gone
        return None
    facts = {name: getattr(row, name) for name in COLUMNS if name not in ("reason", "rate")}
    facts |= {"color": sample.color, "depth": sample.depth or "", "reason": ""}
    return _with_rate(Verified(**facts, segment=sample.segment), fidelity)


def _with_rate(row: Verified, fidelity: Fidelity) -> Verified:
    """The row with the frame rate of its features."""
    if fidelity == "published" or not row.fps:
        return row
    return replace(row, rate=feature_rate(row.fps, variable=bool(row.times_ms)))


def _examined(row: Verified, files: str) -> Examined:
    return Examined(**{name: vars(row).get(name, files) for name in Examined._fields})


def verify_sample(
    sample: Sample, examine: Examine | None = None, fidelity: Fidelity = "corrected"
) -> Verified:
    """Decode both videos of a sample; an error becomes the reason of its quarantine.

    `published` features have every frame of a video, whatever its rate.
    """
    examine = examine or Examiner()
    row = Verified(sample.name, sample.color, sample.depth or "", "", segment=sample.segment)
    try:
        info, color_sha256, hashed = examine(
            sample.color, sample.color_sha256, False, sample.segment
        )
        depth_sha256 = ""
        if sample.depth:
            depth_info, depth_sha256, _ = examine(
                sample.depth, sample.depth_sha256, True, sample.segment
            )
            _check_depth(sample.depth, depth_info, info)
    except DataError as error:
        return replace(row, reason=str(error))
    row = replace(
        row,
        frames=info.frames,
        width=info.width,
        height=info.height,
        fps=info.fps,
        color_sha256=color_sha256,
        depth_sha256=depth_sha256,
        times_ms=" ".join(map(str, info.times_ms)),
        perceptual_hash=hashed,
    )
    return _with_rate(row, fidelity)


def _check_depth(path: str, depth: VideoInfo, color: VideoInfo) -> None:
    actual = (depth.frames, depth.width, depth.height)
    expected = (color.frames, color.width, color.height)
    if actual != expected:
        raise DataError(
            f"{path}: depth has (frames, width, height) {actual}, its colour video {expected}"
        )
