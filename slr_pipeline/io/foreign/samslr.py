"""Keypoints of SAM-SLR's program: `{sample}_color.mp4.npy`, made on mirrored frames."""

from pathlib import Path
from typing import Final

import numpy as np

from slr_pipeline.errors import DataError
from slr_pipeline.io.foreign.keypoints import FoundClip, checked, damaged, people
from slr_pipeline.skeleton import KEYPOINTS_133

SIZE: Final = (512, 512)
"""The size its points are px of: four times its heat-maps (Jiang et al., 2021)."""


def read_samslr(path: Path) -> FoundClip:
    """The clip of a `.npy` (T, 133, 3): x and y of the mirrored frame in px, and heat-map value.

    What is named left in it is the right of the signer. Nothing in the file is run. DataError when
    it cannot be read or has another shape, ArtifactError when it is damaged.
    """
    try:  # mapped: what its header promises must be there
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except Exception as error:  # what a damaged file raises is anyone's guess
        raise damaged(path, ".npy of numbers", error) from error
    if not isinstance(values, np.ndarray):
        raise DataError(f"{path}: an archive of arrays; expected a single .npy of one clip")
    if values.dtype.kind != "f" or values.ndim != 3 or values.shape[1:] != (133, 3):
        raise DataError(
            f"{path}: {values.dtype} {values.shape}; expected keypoints (T, 133, 3) of floats"
        )
    points = checked(str(path), values, KEYPOINTS_133)
    return FoundClip(str(path), people(str(path), points[:, None]), SIZE)
