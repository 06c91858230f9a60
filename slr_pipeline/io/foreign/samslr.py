"""Keypoints of SAM-SLR's program: `{sample}_color.mp4.npy`, estimated on mirrored frames."""

from pathlib import Path
from typing import Final

import numpy as np

from slr_pipeline.errors import DataError
from slr_pipeline.io.foreign.files import reading
from slr_pipeline.io.foreign.keypoints import ForeignClip, people_in_frames, to_133
from slr_pipeline.skeleton import KEYPOINTS_133

SIZE: Final = (512, 512)
"""Size of the pictures that its coordinates refer to: four times its heat-maps."""


def read_samslr(path: Path) -> ForeignClip:
    """Read a `.npy` (T, 133, 3): x and y in px of the mirrored frame, and the heat-map value.

    Left in the file is the signer's right. Nothing in the file is run. DataError when it cannot be
    read or has another shape, ArtifactError when it is damaged.
    """
    with reading(path, ".npy of numbers"):
        try:  # memory-mapped: a header that claims more than the file has is refused
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not isinstance(values, np.ndarray):
        raise DataError(f"{path}: an archive of arrays; expected a single .npy of one clip")
    if values.dtype.kind != "f" or values.ndim != 3 or values.shape[1:] != (133, 3):
        raise DataError(
            f"{path}: {values.dtype} {values.shape}; expected keypoints (T, 133, 3) of floats"
        )
    points = to_133(str(path), values, KEYPOINTS_133)
    return ForeignClip(str(path), people_in_frames(str(path), points[:, None]), SIZE)
