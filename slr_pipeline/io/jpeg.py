"""Encodes and decodes the JPEG pictures of picture features."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError
from slr_pipeline.schema import Fidelity


@dataclass(frozen=True)
class Jpeg:
    """JPEG settings: quality 1 to 100, and chroma subsampling (4:2:0)."""

    quality: int
    subsampled: bool = True


JPEG: dict[Fidelity, Jpeg] = {"published": Jpeg(95), "corrected": Jpeg(90)}
"""`published`: OpenCV's defaults, as in the released code. `corrected`: two thirds of the bytes
(docs/RESULTS.md)."""


def encode_jpeg(picture: NDArray[np.uint8], jpeg: Jpeg) -> NDArray[np.uint8]:
    """The bytes of an RGB (H, W, 3) or grey (H, W) picture as baseline JPEG."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, jpeg.quality]
    bgr = picture
    if picture.ndim == 3:
        bgr = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
        sampling = (
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
            if jpeg.subsampled
            else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        )
        flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    success, encoded = cv2.imencode(".jpg", bgr, flags)
    if not success:
        raise ValueError(f"no JPEG for a picture of shape {picture.shape}")
    return np.asarray(encoded, np.uint8).reshape(-1)


def decode_jpeg(
    encoded: NDArray[np.uint8],
    out: NDArray[np.uint8],
    *,
    halved: bool = False,
    repeat_chroma: bool = False,
) -> None:
    """Decode a picture into `out` (H, W, 3) or (H, W); ArtifactError for other or damaged bytes.

    `halved`: `out` has half the height and width of the picture, which takes less time to decode.
    `repeat_chroma`: chroma of 4:2:0 is repeated, not interpolated, which takes a tenth less.
    """
    height, width = out.shape[:2]
    expected = (2 * height, 2 * width) if halved else (height, width)
    try:
        found = simplejpeg.decode_jpeg_header(encoded)[:2]
        if found != expected:
            raise ValueError(f"found {found}")
        simplejpeg.decode_jpeg(
            encoded,
            colorspace="RGB" if out.ndim == 3 else "GRAY",
            min_height=height if halved else 0,
            min_width=width if halved else 0,
            fastupsample=repeat_chroma,
            buffer=out,
        )
    except ValueError as error:
        raise ArtifactError(f"expected a JPEG picture {expected}: {error}") from error


def _cached_picture(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An array that does not start at a multiple of 32 bytes.

    From there on libjpeg-turbo writes colours past the cache, and reading them takes as long as
    decoding.
    """
    size, boundary = math.prod(shape), 32
    room = np.empty(size + boundary, np.uint8)
    start = (boundary // 2 - room.ctypes.data) % boundary
    return room[start : start + size].reshape(shape)


@dataclass(frozen=True)
class Encoded:
    """The JPEG pictures of some frames, decoded whenever they are read; ArtifactError for damage.

    `pictures[frame, number]` is (H, W, 3) or (H, W), as `shape` says, until the next one is read:
    all have the same memory, because new memory would take half as long as decoding. `spans` (T,
    pictures, 2) are start and end of the pictures in `stored`; `where` names the file and the
    sample. `half` says that `shape` is half the stored size; `repeat_chroma` is as in
    `decode_jpeg`.
    """

    stored: NDArray[np.uint8]
    spans: NDArray[np.int64]
    shape: tuple[int, ...]
    where: str
    half: bool = False
    repeat_chroma: bool = False

    @cached_property
    def _picture(self) -> NDArray[np.uint8]:
        return _cached_picture(self.shape)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.spans)

    def __getitem__(self, place: tuple[int, int]) -> NDArray[np.uint8]:
        """Decode one picture."""
        self._decode(place, self._picture)
        return self._picture

    def _decode(self, place: tuple[int, int], out: NDArray[np.uint8]) -> None:
        start, end = self.spans[place]
        try:
            decode_jpeg(
                self.stored[start:end], out, halved=self.half, repeat_chroma=self.repeat_chroma
            )
        except ArtifactError as error:
            raise ArtifactError(
                f"{self.where} cannot be read ({error}); delete the file and run again"
            ) from error

    def halved(self) -> "Encoded":
        """The same pictures, decoded at half their height and width, which are even."""
        height, width, *channels = self.shape
        return replace(self, shape=(height // 2, width // 2, *channels), half=True)

    def without_chroma_interpolation(self) -> "Encoded":
        """The same pictures, decoded faster: good enough where they shrink."""
        return replace(self, repeat_chroma=True)

    def files(self) -> Iterator[list[NDArray[np.uint8]]]:
        """The JPEG files of each frame."""
        for spans in self.spans:
            yield [self.stored[start:end] for start, end in spans]

    def decoded(self) -> NDArray[np.uint8]:
        """All pictures (T, pictures, ...), each decoded once."""
        frames = self.spans[:, 0, 0]
        _, first, again = np.unique(frames, return_index=True, return_inverse=True)
        pictures = np.empty((len(first), self.spans.shape[1], *self.shape), np.uint8)
        for number, frame in enumerate(first):
            for picture in range(self.spans.shape[1]):
                self._decode((frame, picture), pictures[number, picture])
        return pictures[again]
