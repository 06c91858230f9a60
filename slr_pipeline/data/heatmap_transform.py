"""Heat-maps of a clip to the input of SSTCN; pure numpy.

Source: SAM-SLR (Jiang et al., CVPRW 2021, section 3.2) and its released code. Arrays are
(T, 33, 24, 24), see `slr_pipeline.features.heatmaps`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.data import frame_indices
from slr_pipeline.features.heatmaps import FRAMES, HEATMAP_KEYPOINTS, Maps, from_bytes
from slr_pipeline.skeleton import FLIP_133

FLIP_33: tuple[int, ...] = tuple(HEATMAP_KEYPOINTS.index(FLIP_133[k]) for k in HEATMAP_KEYPOINTS)
"""Left/right permutation of the 33 keypoints with a map."""


@dataclass(frozen=True)
class HeatmapTransform:
    """Heat-maps as stored, bytes (60, 33, 24, 24), to SSTCN's input (frames, 33, 24, 24) in [0, 1].

    Attributes:
        frames: frames of an item, evenly spread over the 60; fewer than 60 for small models.
        flip_probability: share of mirrored training items.
    """

    frames: int = FRAMES
    flip_probability: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= FRAMES:
            raise ValueError(f"frames must be 1 to {FRAMES}, found {self.frames}")

    def __call__(self, heatmaps: NDArray[np.uint8], rng: np.random.Generator | None) -> Maps:
        """The item, float32.

        Args:
            heatmaps: (60, 33, 24, 24) bytes, not mirrored; ValueError for another number of frames.
            rng: source of the augmentation, None for none.
        """
        if len(heatmaps) != FRAMES:
            raise ValueError(f"expected heat-maps of {FRAMES} frames, found {len(heatmaps)}")
        index = frame_indices.resampled(FRAMES, self.frames)
        if rng is None:
            return from_bytes(heatmaps[index])
        heatmaps = heatmaps[augmented_frames(rng)[index]]
        if rng.random() < self.flip_probability:
            heatmaps = mirrored(heatmaps)
        return from_bytes(heatmaps)


def augmented_frames(rng: np.random.Generator, frames: int = FRAMES) -> NDArray[np.int64]:
    """Indices (frames,) into as many frames, in order of time, some missing and others repeated.

    In 4 of 13 cases more than half of the frames are kept, and some of them come twice; in 1 of 13
    a quarter to a half is kept, and each comes at least twice; else nothing is changed. ValueError
    for fewer than 4 frames.
    """
    if frames < 4:
        raise ValueError(f"at least 4 frames are needed to leave some out, found {frames}")
    index = np.arange(frames, dtype=np.int64)
    case = rng.integers(13)
    # ASSUME: the number of frames kept is uniform, both ends included, and what is lacking is
    # filled with different frames.
    if 8 <= case <= 11:
        kept = rng.integers(frames // 2 + 1, frames)  # 31 to 59 of 60
    elif case == 3:
        kept = rng.integers(frames // 4, frames // 2)  # 15 to 29 of 60
    else:
        return index
    index = rng.choice(index, kept, replace=False)
    times, lacking = divmod(frames, len(index))
    again = rng.choice(index, lacking, replace=False)
    return np.sort(np.concatenate([np.repeat(index, times), again]))


def mirrored(heatmaps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Maps (T, 33, H, W) of the mirrored person: left and right keypoints change places, too.

    The released code makes such maps from mirrored pictures, whose left and right its pose network
    exchanges by itself. Mirroring twice is the identity.
    """
    return np.ascontiguousarray(heatmaps[:, FLIP_33, :, ::-1])
