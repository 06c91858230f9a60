"""Encodes and decodes the JPEG pictures of picture features."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
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
    encoded: NDArray[np.uint8], shape: tuple[int, ...], *, halved: bool = False
) -> NDArray[np.uint8]:
    """The picture of `shape` (H, W, 3) or (H, W); ArtifactError for other or damaged bytes.

    `halved`: `shape` is half the size of the stored picture, which takes less time to decode.
    """
    flag = cv2.IMREAD_COLOR_RGB if len(shape) == 3 else cv2.IMREAD_GRAYSCALE
    if halved:
        flag |= cv2.IMREAD_REDUCED_GRAYSCALE_2  # its bit halves colours, too
    picture = cv2.imdecode(encoded, flag) if len(encoded) else None
    if picture is None or picture.shape != shape:
        actual = None if picture is None else picture.shape
        raise ArtifactError(f"expected a JPEG picture {shape}, found {actual}")
    return np.asarray(picture, np.uint8)


@dataclass(frozen=True)
class Encoded:
    """The JPEG pictures of some frames, decoded whenever they are read; ArtifactError for damage.

    `pictures[frame, number]` is (H, W, 3) or (H, W), as `shape` says. `spans` (T, pictures, 2) are
    start and end of the pictures in `stored`; `where` names the file and the sample. `half` says
    that `shape` is half the stored size.
    """

    stored: NDArray[np.uint8]
    spans: NDArray[np.int64]
    shape: tuple[int, ...]
    where: str
    half: bool = False

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.spans)

    def __getitem__(self, place: tuple[int, int]) -> NDArray[np.uint8]:
        """Decode one picture."""
        start, end = self.spans[place]
        try:
            return decode_jpeg(self.stored[start:end], self.shape, halved=self.half)
        except ArtifactError as error:
            raise ArtifactError(
                f"{self.where} cannot be read ({error}); delete the file and run again"
            ) from error

    def halved(self) -> "Encoded":
        """The same pictures, decoded at half their height and width, which are even."""
        height, width, *channels = self.shape
        return replace(self, shape=(height // 2, width // 2, *channels), half=True)

    def files(self) -> Iterator[list[NDArray[np.uint8]]]:
        """The JPEG files of each frame."""
        for spans in self.spans:
            yield [self.stored[start:end] for start, end in spans]

    def decoded(self) -> NDArray[np.uint8]:
        """All pictures (T, pictures, ...), each decoded once."""
        frames = self.spans[:, 0, 0]
        _, first, again = np.unique(frames, return_index=True, return_inverse=True)
        places = [(frame, number) for frame in first for number in range(self.spans.shape[1])]
        pictures = np.asarray([self[place] for place in places], np.uint8)
        return pictures.reshape(len(first), self.spans.shape[1], *self.shape)[again]
