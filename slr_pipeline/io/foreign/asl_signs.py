"""Keypoints of Kaggle's `asl-signs`; needs pyarrow."""

from pathlib import Path

import numpy as np

from slr_pipeline.io.foreign.keypoints import FRACTIONS, ForeignClip, people_in_frames, to_133
from slr_pipeline.io.landmark_file import read_landmarks
from slr_pipeline.skeleton import HOLISTIC


def read_asl_signs(path: Path) -> ForeignClip:
    """Read a Parquet file of landmarks. It has no scores: 1 where a landmark was found.

    Errors as `read_landmarks`.
    """
    landmarks = read_landmarks(path)
    found = np.asarray(~np.isnan(landmarks).any(axis=-1), np.bool_)
    values = np.concatenate([np.where(found[..., None], landmarks, 0), found[..., None]], axis=-1)
    points = to_133(str(path), values, HOLISTIC)
    return ForeignClip(str(path), people_in_frames(str(path), points[:, None]), FRACTIONS)
