"""Decode every video of a shard once; say which samples are whole and why the others are not."""

import argparse
import logging

from slr_pipeline.cli import run
from slr_pipeline.config import AutslData, TableData, parse_data
from slr_pipeline.errors import DataError
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.io.video import VideoInfo, probe, sha256_of
from slr_pipeline.samples import Sample, load_samples, shards

log = logging.getLogger(__name__)


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=parse_data)
    parser.add_argument("--split", required=True)
    parser.add_argument("--shard", required=True)
    parser.add_argument("--shard-size", required=True, type=int)
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    verify(flags.data, flags.split, flags.shard, flags.shard_size, flags.out)


def verify(data: AutslData | TableData, split: str, shard: str, shard_size: int, out: str) -> None:
    """Write the verify table of one shard."""
    table = load_samples(data)
    found = shards((s for s in table.samples if s.split == split), shard_size)
    if shard not in found:
        raise DataError(f"split {split} has no shard {shard} (known: {', '.join(found)})")
    rows = []
    for sample in found[shard]:
        row = verify_sample(sample)
        if row.reason:
            log.info("quarantined %s: %s", row.sample, row.reason)
        rows.append(row)
    write_verified(out, rows)
    log.info("%d samples, %d quarantined", len(rows), sum(bool(row.reason) for row in rows))


def verify_sample(sample: Sample) -> Verified:
    """Decode both videos of a sample; a fault becomes the reason."""
    depth = sample.depth or ""
    try:
        color_info = probe(sample.color)
        if sample.depth:
            _check_depth(sample.depth, color_info)
        return Verified(
            sample=sample.name,
            color=sample.color,
            depth=depth,
            reason="",
            frames=color_info.frames,
            width=color_info.width,
            height=color_info.height,
            fps=color_info.fps,
            color_sha256=sha256_of(sample.color),
            depth_sha256=sha256_of(sample.depth) if sample.depth else "",
        )
    except DataError as error:
        return Verified(sample=sample.name, color=sample.color, depth=depth, reason=str(error))


def _check_depth(path: str, color: VideoInfo) -> None:
    depth = probe(path)
    found = (depth.frames, depth.width, depth.height)
    expected = (color.frames, color.width, color.height)
    if found != expected:
        raise DataError(
            f"{path}: depth has (frames, width, height) {found}, its colour video {expected}"
        )


if __name__ == "__main__":
    run(main)
