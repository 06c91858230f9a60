"""Encodes and decodes the JPEG pictures of picture features."""

from dataclasses import dataclass

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


def decode_jpeg(encoded: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The picture of `shape` (H, W, 3) or (H, W); ArtifactError for other or damaged bytes."""
    flag = cv2.IMREAD_COLOR if len(shape) == 3 else cv2.IMREAD_GRAYSCALE
    picture = cv2.imdecode(encoded, flag) if len(encoded) else None
    if picture is None or picture.shape != shape:
        actual = None if picture is None else picture.shape
        raise ArtifactError(f"expected a JPEG picture {shape}, found {actual}")
    if len(shape) == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return np.asarray(picture, np.uint8)
