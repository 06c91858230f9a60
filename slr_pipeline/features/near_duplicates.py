"""Finds videos that are copies of each other, changed or not, by their perceptual hashes.

Pairs are not compared one by one. Copies have moments with nearly equal bits, so these are
neighbours after sorting, at least if the leading bits are equal: all moments are sorted by each of
several rotations of their bits (Charikar, 2002, "Similarity estimation techniques from rounding
algorithms", section 3), and only clips with close neighbours are compared. A moment that is close
to many others, such as lowered hands before the same wall, is no evidence: without this rule, the
number of pairs would grow with the square of the number of clips.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.perceptual_hash import BITS, RATE, Hashes, mirrored

LARGEST_DISTANCE = 0.18
"""Of copies that move for a second or longer. Measured: docs/RESULTS.md."""

LARGEST_DISTANCE_BRIEF = 0.12
"""Of copies that move for less: takes of a sign by one signer differ less in so few moments."""

_ROTATIONS = 8
_NEIGHBOURS = 24
"""Moments that each one is compared with after each sorting."""
_CLOSE_BITS = 12
"""Bits of the change, and of the thumbnail, that may differ between neighbours."""
_MOST_CLOSE = 8
"""Close neighbours after a moment in one sorting; one with more of them is common."""
_LEAST_HITS = 2
"""Close neighbours that two clips have with one shift in time."""
_SORTED_AT_ONCE = 65_536
"""Moments that are compared with their neighbours at once, which bounds the memory."""

_LEAST_MOVING = 4
"""Moments at which both clips must move."""
_LEAST_OVERLAP = 0.6
"""Share of the shorter clip that must have a counterpart."""
_ONE_MOVES = 0.25
"""Distance of a moment at which only one of the clips moves."""
_AT_ONCE = 200_000
"""Pairs that are compared at once, which bounds the memory."""


class NearDuplicate(NamedTuple):
    """Two clips by their numbers, `first` < `second`, their distance, and whether mirrored."""

    first: int
    second: int
    distance: float
    mirrored: bool


def near_duplicates(clips: Sequence[Hashes]) -> list[NearDuplicate]:
    """Pairs of clips that are copies of each other, in order.

    The distance is the mean share of bits that differ, of the changes and of the thumbnails, added.
    """
    lengths = np.asarray([len(clip) for clip in clips], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    hashes = np.concatenate([np.empty((0, 2), np.uint64), *clips])
    found: dict[tuple[int, int], NearDuplicate] = {}
    for mirror in (False, True):
        others = mirrored(hashes) if mirror else hashes
        aligned = _aligned(hashes, others, lengths)
        for part in np.array_split(aligned, len(aligned) // _AT_ONCE + 1):
            distances, moving = _distances(hashes, others, starts, part)
            most = np.where(moving >= RATE, LARGEST_DISTANCE, LARGEST_DISTANCE_BRIEF)
            for row in np.flatnonzero((moving >= _LEAST_MOVING) & (distances <= most)):
                first, second, _ = part[row].tolist()
                pair = NearDuplicate(first, second, float(distances[row]), mirror)
                best = found.setdefault((first, second), pair)
                if pair.distance < best.distance:
                    found[first, second] = pair
    return [found[pair] for pair in sorted(found)]


def _aligned(hashes: Hashes, others: Hashes, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Unique rows (first clip, second clip, times by which the second is later) to be compared."""
    moving = np.flatnonzero(hashes[:, 0])
    clip = np.repeat(np.arange(len(lengths)), lengths)[moving]
    time = moving - (np.cumsum(lengths) - lengths)[clip]
    own = hashes[moving]
    mirror = others is not hashes
    if mirror:
        own = np.concatenate([own, others[moving]])
        clip, time = np.tile(clip, 2), np.tile(time, 2)
    side = np.arange(len(own)) >= len(moving) if mirror else None
    longest = int(lengths.max(initial=0))
    shape = (len(lengths), len(lengths), 2 * longest + 1)
    aligned = [np.empty(0, np.int64)]
    for rotation in range(0, BITS, BITS // _ROTATIONS):
        for a, b in _neighbours(own, clip, side, rotation):
            in_order = clip[a] < clip[b]
            first, second = np.where(in_order, a, b), np.where(in_order, b, a)
            later = time[first] - time[second] + longest
            aligned.append(np.ravel_multi_index((clip[first], clip[second], later), shape))
    found = np.concatenate(aligned)
    found.sort()
    starts = np.flatnonzero(np.diff(found, prepend=-1))
    often = np.diff(starts, append=len(found)) >= _LEAST_HITS
    first, second, later = np.unravel_index(found[starts[often]], shape)
    return np.stack([first, second, later - longest], axis=1)


def _neighbours(
    hashes: Hashes, clip: NDArray[np.int64], side: NDArray[np.bool_] | None, rotation: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Numbers of close moments among neighbours after one sorting, without common moments.

    They belong to two clips and, if given, to two sides: a video and the mirror image of one.
    """
    order = np.argsort(_rotated(hashes[:, 0], rotation), kind="stable")
    for start in range(0, len(order), _SORTED_AT_ONCE):
        part = order[start : start + _SORTED_AT_ONCE + _NEIGHBOURS]
        change, thumbnail = hashes[part].T.copy()
        close = np.zeros((_NEIGHBOURS, min(len(part), _SORTED_AT_ONCE)), np.bool_)
        for step in range(1, min(_NEIGHBOURS + 1, len(part))):
            row = close[step - 1, : len(part) - step]
            size = len(row)
            row[:] = np.bitwise_count(change[step:][:size] ^ change[:size]) <= _CLOSE_BITS
            near = np.flatnonzero(row)
            close_too = np.bitwise_count(thumbnail[near + step] ^ thumbnail[near]) <= _CLOSE_BITS
            a, b = part[near], part[near + step]
            row[near] = close_too & (clip[a] != clip[b]) & (side is None or side[a] != side[b])
        close[:, close.sum(axis=0) > _MOST_CLOSE] = False
        steps, near = np.nonzero(close)
        yield part[near], part[near + steps + 1]


def _rotated(words: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    return (words << np.uint64(bits)) | (words >> np.uint64(BITS - bits)) if bits else words


def _distances(
    hashes: Hashes, others: Hashes, starts: NDArray[np.int64], aligned: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances of aligned pairs, and the moments at which both move; 0 if the overlap is short."""
    first, second, later = aligned.T
    lengths = np.diff(starts)
    begin = np.maximum(0, later)
    overlap = np.minimum(lengths[first], lengths[second] + later) - begin
    # One row per moment of each pair.
    ends = np.cumsum(overlap)
    within = np.arange(overlap.sum()) - np.repeat(ends - overlap, overlap)
    a = hashes[np.repeat(starts[first] + begin, overlap) + within]
    b = others[np.repeat(starts[second] + begin - later, overlap) + within]
    differing = np.bitwise_count(a ^ b) / BITS
    moves_a, moves_b = a[:, 0] != 0, b[:, 0] != 0
    both, either = moves_a & moves_b, moves_a | moves_b
    change = np.where(both, differing[:, 0], _ONE_MOVES * either)
    change, thumbnail, together, moving = (
        np.add.reduceat(column, ends - overlap) if len(aligned) else np.empty(0)
        for column in (change, differing[:, 1], both.astype(np.int64), either.astype(np.int64))
    )
    enough = overlap >= _LEAST_OVERLAP * np.minimum(lengths[first], lengths[second])
    distances = change / np.maximum(moving, 1) + thumbnail / overlap
    return distances, np.where(enough, together, 0)
