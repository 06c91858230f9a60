"""Shards of samples, and a digest that says whether labels have changed."""

import hashlib
import os
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import itemgetter

from slr_pipeline.config.experiment import Split
from slr_pipeline.samples.table import Sample, SampleTable

PART_MS = 300_000
"""Segments that start in the same five minutes of a recording are in one shard if it holds them."""

_PART_BYTES = 2
"""Bytes by which a digest names a part: parts that agree in them share a shard, and more bytes make
longer names."""


def shards(samples: Iterable[Sample], size: int) -> dict[str, tuple[Sample, ...]]:
    """Samples of one split by shard; a shard holds at most `size`.

    They are sorted by name; segments by recording and time, so that it is decoded once.

    Shards are the leaves of a binary tree over the bits of `_digest`; a leaf that outgrows `size`
    is halved. So an added sample changes only its own shard, wherever it is in the table. A shard
    is named by its bits (`0`, `10`, ...), or `all` if it is the only one.
    """
    digest = itemgetter(0)
    # Sorted by digest, a leaf is a range: a million names are hashed once and never copied.
    hashed = sorted(((_digest(sample), sample) for sample in samples), key=digest)
    leaves: dict[str, tuple[Sample, ...]] = {}
    pending = [("", 0, len(hashed))]
    while pending:
        bits, start, stop = pending.pop()
        if stop - start > size:
            middle = bisect_left(hashed, _first_digest(bits + "1"), start, stop, key=digest)
            pending += [(bits + "0", start, middle), (bits + "1", middle, stop)]
        elif stop > start:
            leaf = (sample for _, sample in hashed[start:stop])
            leaves[bits or "all"] = tuple(sorted(leaf, key=_place))
    return dict(sorted(leaves.items()))


def _digest(sample: Sample) -> bytes:
    """SHA-256 of the name; of a segment, it begins with that of its part of the recording.

    Without this, each shard would decode its share of every recording from key frame to key frame.
    The folder of the recording does not count, so that it can move.
    """
    own = hashlib.sha256(sample.name.encode()).digest()
    if sample.segment is None:
        return own
    part = f"{os.path.basename(sample.color)} {sample.segment.start_ms // PART_MS}"
    return hashlib.sha256(part.encode()).digest()[:_PART_BYTES] + own[_PART_BYTES:]


def _place(sample: Sample) -> tuple[str, float, str]:
    return (
        (sample.color, sample.segment.start_s, sample.name)
        if sample.segment
        else ("", 0.0, sample.name)
    )


def _first_digest(bits: str) -> bytes:
    """The smallest SHA-256 that begins with these bits."""
    return int(bits.ljust(256, "0"), 2).to_bytes(32, "big")


def labels_digest(table: SampleTable, splits: Sequence[Split]) -> str:
    """Changes if and only if classes, or names or labels of samples in these splits, change."""
    rows = (f"{s.name}\t{s.split}\t{s.label}" for s in table.samples if s.split in splits)
    return digest_of(["\t".join(table.classes), *sorted(rows)])


def signers_digest(table: SampleTable) -> str:
    """Changes if and only if names, splits or signers of samples change."""
    return digest_of(sorted(f"{s.name}\t{s.split}\t{s.signer}" for s in table.samples))


def digest_of(lines: Iterable[str]) -> str:
    """A digest of text lines in their order, as 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
