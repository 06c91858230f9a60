"""Copies are found among many made-up hashes, wherever they begin, and nothing else is."""

import numpy as np
import pytest

from slr_pipeline.features.near_duplicates import near_duplicates
from slr_pipeline.features.perceptual_hash import (
    RATE,
    Hashes,
    hashes_from_text,
    hashes_to_text,
    mirrored,
    perceptual_hashes,
)


def clips(number: int, moments: int = 40) -> list[Hashes]:
    rng = np.random.default_rng(number)
    return list(rng.integers(1, 2**63, (number, moments, 2), np.uint64))


def with_flipped_bits(hashes: Hashes, share: float) -> Hashes:
    flips = np.random.default_rng(0).random((*hashes.shape, 64)) < share
    return hashes ^ np.packbits(flips, axis=-1).view(">u8")[..., 0].astype(np.uint64)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_changed_part_of_a_clip_is_found(mirror: bool) -> None:
    made = clips(300)
    copy = with_flipped_bits(made[7][9:], 0.05)
    made.append(mirrored(copy) if mirror else copy)
    (pair,) = near_duplicates(made)
    assert (pair.first, pair.second, pair.mirrored) == (7, 300, mirror)
    assert pair.distance == pytest.approx(0.1, abs=0.02)


def test_copies_are_found_among_clips_that_begin_and_end_alike() -> None:
    """More moments than are compared at once."""
    made, (start, end) = clips(2000, 24), clips(2, 10)
    made = [
        np.concatenate([with_flipped_bits(start, 0.03), clip, with_flipped_bits(end, 0.03)])
        for clip in made
    ]
    made += [with_flipped_bits(made[7], 0.05), mirrored(made[70][4:])]
    found = near_duplicates(made)
    assert [(pair.first, pair.second, pair.mirrored) for pair in found] == [
        (7, 2000, False),
        (70, 2001, True),
    ]


def test_a_copy_of_a_slow_clip_is_found() -> None:
    """Its moments are close to those before and after, which does not make them common."""
    slow = np.repeat(clips(2, 1)[0], 40, axis=0)
    slow = with_flipped_bits(slow, 0.03)
    assert len(near_duplicates([slow, with_flipped_bits(slow, 0.04), *clips(5)])) == 1


def test_too_little_in_common_is_no_copy() -> None:
    a, b, c = clips(3)
    assert near_duplicates([a, np.concatenate([a[:20], b[20:]])]) == []
    assert near_duplicates([a, with_flipped_bits(a, 0.12)]) == []
    still = a.copy()
    still[3:, 0] = 0
    assert near_duplicates([still, still]) == []
    brief = with_flipped_bits(c[: RATE - 1], 0.08)
    assert near_duplicates([c, brief]) == []
    assert near_duplicates([c, with_flipped_bits(c, 0.08)]) != []


@pytest.mark.parametrize("lengths", [[], [0], [0, 0], [1, 3, 0]])
def test_clips_without_motion_have_no_copies(lengths: list[int]) -> None:
    assert near_duplicates([np.zeros((length, 2), np.uint64) for length in lengths]) == []


def test_hashes_of_pictures() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 200, (12, 64, 64), np.uint8)
    hashes = perceptual_hashes(pictures)
    assert hashes.shape == (12, 2)
    assert (hashes[:7, 0] != 0).all()
    assert (hashes[7:, 0] == 0).all()  # 1/3 s after them, there is no picture
    assert (hashes_from_text(hashes_to_text(hashes)) == hashes).all()
    assert (perceptual_hashes(pictures[:, :, ::-1]) == mirrored(hashes)).mean() > 0.9
    assert (perceptual_hashes(np.repeat(pictures[:1], 9, axis=0))[:, 0] == 0).all()
    assert perceptual_hashes(pictures[:2]).shape == (2, 2)
