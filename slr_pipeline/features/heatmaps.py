"""Heat-maps of 33 keypoints on a grid of 24 x 24 cells, and the 60 frames that SSTCN reads.

Source: SAM-SLR (Jiang et al., CVPRW 2021, section 3.2) and its released code: the 96 x 96 maps of
a whole-body network, max-pooled twice. `gaussian_heatmaps` draws them from keypoints alone.
"""

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.arrays import Indices, Keypoints
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND

Maps = NDArray[np.float32]

FRAMES = 60
GRID = 96
"""Cells of the network's maps in x and in y."""

_HAND = (0, 2, 4, 5, 8, 9, 12, 13, 16, 17, 20)
"""Of 21 hand points: root, thumb middle and tip, then base and tip of the other fingers."""

HEATMAP_KEYPOINTS: tuple[int, ...] = (
    *(0, 71, 77, 85, 89),
    *(5, 6, 7, 8, 9, 10),
    *(LEFT_HAND[i] for i in _HAND),
    *(RIGHT_HAND[i] for i in _HAND),
)
"""The 33 keypoints with a map, in the order of the maps: nose, corners of the mouth,
inner lips above and below, left and right shoulder, elbow and wrist, left hand, right hand."""


def sixty_frames(frames: int, *, fidelity: Fidelity) -> Indices:
    """Indices (60,) into a clip of `frames` frames, in order of time.

    `corrected`: the middles of 60 equal parts of the clip. `published`: drops frames of a long clip
    and repeats frames of a short one, not always evenly. ValueError if frames < 1.
    """
    if frames < 1:
        raise ValueError(f"a clip needs at least one frame, found {frames}")
    if fidelity == "corrected":
        return (2 * np.arange(FRAMES, dtype=np.int64) + 1) * frames // (2 * FRAMES)
    return _published_shorter(frames) if frames > FRAMES else _published_longer(frames)


def gaussian_heatmaps(
    keypoints: Keypoints, *, width: int, height: int, sigma: float = 3.0, fidelity: Fidelity
) -> Maps:
    """Maps (T, 33, 24, 24) float32 in [0, 1], like those of a network.

    A keypoint is a Gaussian with its score as the peak on the grid of 96 x 96 cells, max-pooled
    twice; a missing one gives zeros. Whole coordinates are pixel centres, in the picture and on the
    grid: x px is at (x + 0.5) * 96 / width - 0.5 cells. `published`: the picture is stretched to
    the square. `corrected`: it keeps its proportions, in the middle of the square.

    `keypoints` are (T, 133, 3) x, y in pixels and score; T may be 0. `sigma` is the standard
    deviation in cells. ASSUME: 3.0, as in the training of whole-body networks with such maps.
    """
    chosen = keypoints[:, HEATMAP_KEYPOINTS].astype(np.float64)
    peak = np.clip(chosen[..., 2], 0, 1)  # (T, 33)
    size = np.array([width, height], dtype=np.float64)
    scale = GRID / (size if fidelity == "published" else size.max())
    centre = (chosen[..., :2] + 0.5) * scale - 0.5 + (GRID - size * scale) / 2
    distance = (np.arange(GRID) - centre[..., None]) / sigma  # (T, 33, 2, 96)
    # A Gaussian is the product of its profiles in x and y. They are not negative, so the maximum
    # of the product in a window is the product of the maxima: pooling the profiles pools the map.
    profile = _pooled_twice(np.exp(-0.5 * distance**2).astype(np.float32), axis=-1)
    rows = profile[:, :, 1] * peak[..., None].astype(np.float32)
    maps: Maps = rows[..., :, None] * profile[:, :, 0, None, :]
    return maps


def draw_heatmaps(
    keypoints: Keypoints, *, width: int, height: int, sigma: float, fidelity: Fidelity
) -> NDArray[np.uint8]:
    """The feature `heatmaps` of a clip: bytes (60, 33, 24, 24); arguments as `gaussian_heatmaps`.

    The feature step and training both call this function.
    """
    chosen = keypoints[sixty_frames(len(keypoints), fidelity=fidelity)]
    maps = gaussian_heatmaps(chosen, width=width, height=height, sigma=sigma, fidelity=fidelity)
    return to_bytes(maps)


def pool_network_heatmaps(maps: Maps) -> Maps:
    """Maps (T, 33, 24, 24) from a network's (T, 133, 96, 96): same keypoints, same pooling."""
    chosen = maps[:, HEATMAP_KEYPOINTS]
    return _pooled_twice(_pooled_twice(chosen, axis=-1), axis=-2)


def to_bytes(maps: Maps) -> NDArray[np.uint8]:
    """Maps as bytes, clipped to [0, 1]; the error is at most 1/510."""
    return np.rint(np.clip(maps, 0, 1) * 255).astype(np.uint8)


def from_bytes(values: NDArray[np.uint8]) -> Maps:
    """Maps in [0, 1] from the bytes of `to_bytes`."""
    return values.astype(np.float32) / np.float32(255)


def _pooled_twice(values: Maps, axis: int) -> Maps:
    """Max-pool twice along an axis: kernel 3, stride 2, padding 1; its length is divisible by 4."""
    values = np.moveaxis(values, axis, -1)
    for _ in range(2):
        even, odd = values[..., 0::2], values[..., 1::2]
        values = np.maximum(even, odd)
        np.maximum(values[..., 1:], odd[..., :-1], out=values[..., 1:])
    return np.moveaxis(values, -1, axis)


def _published_shorter(frames: int) -> Indices:
    """60 indices into more than 60 frames."""
    extra = frames - FRAMES
    index = np.arange(frames, dtype=np.int64)
    # PUBLISHED: drops every n-th frame until enough are dropped. From 121 frames on n is 1: only
    # the last 60 frames remain.
    dropped = (index % (frames // extra) == 0) & (index < frames - frames % extra)
    return np.asarray(index[~dropped])


def _published_longer(frames: int) -> Indices:
    """60 indices into at most 60 frames."""
    copies, lacking = divmod(FRAMES, frames)
    index = np.arange(frames, dtype=np.int64)
    times = np.full(frames, copies)
    if lacking:
        # PUBLISHED: spreads 60 mod (60 - frames) copies instead of 60 - frames. Below 30 frames it
        # spreads none, and the last frame fills the rest.
        spread = index < frames - FRAMES % (FRAMES - frames)
        times += (index % (frames // lacking) == 0) & spread
        times[-1] += FRAMES - times.sum()
    return np.repeat(index, times)
