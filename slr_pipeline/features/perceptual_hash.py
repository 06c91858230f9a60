"""Perceptual hash of a video: what moves, and what is seen, 15 times per second.

Each frame is a grey thumbnail; its hash has the signs of its 64 lowest frequencies (DCT-II), as in
Zauner, 2010, "Implementation and benchmarking of perceptual image hash functions". Clips of one
signer in one room look alike, so each time also has the hash of the change since then: its bits
depend on where the hands move, and when.
"""

import base64
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]
"""(T, 2): the hash of the change after each time, 0 where nothing moves, and of the thumbnail."""

RATE = 15
"""Thumbnails per second."""

THUMBNAIL_PX = 64

BITS = 64

LONGEST_S = 60
"""Only the start of a longer video is hashed."""

_SPAN = 5
"""Thumbnails from one to the other of a change: 1/3 s."""

_STILL = 0.015
"""Nothing moves if a change is below this share of the picture's contrast."""

_LOWEST = 8
"""Frequencies along each axis."""

_COSINES = np.cos(
    np.pi / THUMBNAIL_PX * np.outer(np.arange(_LOWEST), np.arange(THUMBNAIL_PX) + 0.5)
).astype(np.float32)

_ODD = np.uint64(int("01" * (BITS // 2), 2))
"""The bits of odd horizontal frequencies, whose sign changes in a mirror image."""


def perceptual_hashes(grey: NDArray[np.uint8]) -> Hashes:
    """Hash grey thumbnails (T, 64, 64), `RATE` per second."""
    spectra = _COSINES @ grey.astype(np.float32) @ _COSINES.T  # (T, 8, 8)
    changes = spectra[_SPAN:] - spectra[:-_SPAN]
    moves = _contrast(changes) > _STILL * _contrast(spectra).mean()
    hashes = np.zeros((len(grey), 2), np.uint64)
    hashes[:-_SPAN, 0] = np.where(moves, _signs(changes), 0)
    hashes[:, 1] = _signs(spectra)
    return hashes


def _contrast(spectra: NDArray[np.floating]) -> NDArray[np.floating]:
    """Root of the energy (T,) of spectra (T, 8, 8) without their mean brightness."""
    values = spectra.reshape(-1, BITS)[:, 1:]
    return np.asarray(np.linalg.norm(values, axis=1))


def _signs(spectra: NDArray[np.floating]) -> NDArray[np.uint64]:
    """The bits (T,) of spectra (T, 8, 8): whether each value is positive."""
    return np.packbits(spectra.reshape(-1, BITS) > 0, axis=1).view(">u8").ravel().astype(np.uint64)


def mirrored(hashes: Hashes) -> Hashes:
    """The hashes of the mirror image of a video, up to frequencies of value 0."""
    return np.where(hashes == 0, hashes, hashes ^ _ODD)


def hashes_to_text(hashes: Hashes) -> str:
    """The hashes as base64."""
    return base64.b64encode(hashes.astype(">u8").tobytes()).decode()


def hashes_from_text(text: str) -> Hashes:
    """The hashes of `hashes_to_text`; no text is no time, (0, 2). ValueError for other text."""
    content = base64.b64decode(text, validate=True)
    return np.frombuffer(content, ">u8").astype(np.uint64).reshape(-1, 2)
