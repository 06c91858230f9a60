"""Heat-maps of a clip as item of SSTCN; pure numpy.

Source: SAM-SLR (Jiang et al., CVPRW 2021, section 3.2) and its released code. Arrays are
(T, 33, 24, 24), see `slr_pipeline.features.heatmaps`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.data import frame_indices
from slr_pipeline.features.heatmaps import FRAMES
from slr_pipeline.schema import Change


@dataclass(frozen=True)
class HeatmapTransform:
    """Stored heat-maps, bytes (60, 33, 24, 24), to bytes of an item (frames, 33, 24, 24).

    The frames of an item are evenly spread over the 60 stored.
    """

    frames: int
    flip_probability: float

    def __call__(
        self,
        heatmaps: NDArray[np.uint8],
        rng: np.random.Generator | None,
        *,
        mirror: bool = False,
        speed: float = 1.0,
    ) -> tuple[NDArray[np.uint8], Change]:
        """Return the item and its change; without `rng` there is no augmentation.

        `heatmaps` are bytes (60, 33, 24, 24); ValueError for another number of frames. Without
        `rng`, `mirror` shows the mirrored person and `speed` is that of `frame_indices.resampled`.
        """
        if len(heatmaps) != FRAMES:
            raise ValueError(f"expected heat-maps of {FRAMES} frames, found {len(heatmaps)}")
        index = frame_indices.resampled(FRAMES, self.frames, speed)
        if rng is not None:
            index = augmented_frames(rng)[index]
            mirror = rng.random() < self.flip_probability
        whole = np.array_equal(index, np.arange(FRAMES))
        return heatmaps if whole else heatmaps[index], Change(mirror)


def augmented_frames(rng: np.random.Generator) -> NDArray[np.int64]:
    """Sorted indices (60,) into the 60 frames: drop some at random and repeat others.

    4 of 13 draws keep 31 to 59 frames and repeat some once; 1 of 13 keeps 15 to 29 and repeats each
    at least once; the others change nothing.
    """
    index = np.arange(FRAMES, dtype=np.int64)
    case = rng.integers(13)
    # ASSUME: the number of kept frames is uniform, both ends included, and the remaining slots
    # repeat distinct frames.
    if 8 <= case <= 11:
        kept = rng.integers(FRAMES // 2 + 1, FRAMES)  # 31 to 59
    elif case == 3:
        kept = rng.integers(FRAMES // 4, FRAMES // 2)  # 15 to 29
    else:
        return index
    index = rng.choice(index, kept, replace=False)
    times, remainder = divmod(FRAMES, len(index))
    extra = rng.choice(index, remainder, replace=False)
    return np.sort(np.concatenate([np.repeat(index, times), extra]))
