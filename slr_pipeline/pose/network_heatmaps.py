"""The feature `heatmaps` from the network that estimates the keypoints, in one pass of a video."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import MmposeSettings
from slr_pipeline.config.features import HeatmapsSettings
from slr_pipeline.errors import ConfigError
from slr_pipeline.features.heatmaps import (
    FRAMES,
    GRID,
    HEATMAP_KEYPOINTS,
    pool_network_heatmaps,
    sixty_frames,
    to_bytes,
)
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.pose.mmpose import MMPose
from slr_pipeline.pose.mmpose_network import MMPoseNetwork
from slr_pipeline.pose.topdown import Crop, stack_keypoints

SIDE: Final = 4 * GRID
"""Side in px of the pictures whose heat-maps `published` takes."""


KeepMaps = Callable[[int, NDArray[np.float32]], None]
"""Stores the heat-maps (133, h, w) of frame t."""


class NetworkHeatmaps:
    """Estimates keypoints and heat-maps of a clip.

    `corrected`: the heat-maps that the keypoints are decoded from, resampled to the whole frame.
    `published`: heat-maps of the unmirrored frame, stretched to 384 x 384, from separate weights.
    Raises what `MMPose` raises, and a ConfigError where the network gives no heat-maps.
    """

    def __init__(self, settings: HeatmapsSettings, keypoints: MmposeSettings, device: str) -> None:
        self.estimator = MMPose(keypoints, device)
        own = settings.checkpoint
        network = self.estimator.network
        self._network = network if own is None else MMPoseNetwork(keypoints, own, device)
        self._fidelity = settings.fidelity
        self._batch_size = keypoints.batch_size
        if not network.has_maps():
            raise ConfigError(
                f"features.heatmaps.source: {self.estimator.name} gives no heat-maps; use source "
                "drawn, or a config td-hm_*"
            )
        self.network_sha256 = self._network.weights_sha256

    def estimate(self, clip: PoseClip) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Keypoints (T, 133, 3) and the feature `heatmaps` (60, 33, 24, 24) of a clip."""
        wanted = sixty_frames(clip.count, fidelity=self._fidelity)
        side = GRID // 4
        values = np.zeros((FRAMES, len(HEATMAP_KEYPOINTS), side, side), np.uint8)

        def keep(t: int, maps: NDArray[np.float32]) -> None:
            values[wanted == t] = to_bytes(pool_network_heatmaps(maps[None]))

        if self._fidelity == "published":
            frames = self._keeping_maps(clip.frames, frozenset(wanted.tolist()), keep)
            return stack_keypoints(self.estimator.poses(frames, maps=False)), values
        keypoints = []
        cells_px = self._network.cells_px()
        for t, pose in enumerate(self.estimator.poses(clip.frames, maps=True)):
            keypoints.append(pose.keypoints)
            if t in wanted and pose.crop is not None and pose.maps is not None:
                keep(t, maps_on_frame(pose.maps, pose.crop, cells_px, clip.width, clip.height))
        return np.stack(keypoints), values

    def _keeping_maps(
        self, frames: Iterable[NDArray[np.uint8]], wanted: frozenset[int], keep: KeepMaps
    ) -> Iterator[NDArray[np.uint8]]:
        """Pass the frames on; compute and keep the heat-maps of the wanted ones."""
        waiting: dict[int, NDArray[np.uint8]] = {}
        for t, frame in enumerate(frames):
            if t in wanted:
                waiting[t] = np.asarray(cv2.resize(frame, (SIDE, SIDE)), np.uint8)
            if len(waiting) == self._batch_size:
                self._keep_maps(waiting, keep)
                waiting = {}
            yield frame
        if waiting:
            self._keep_maps(waiting, keep)

    def _keep_maps(self, waiting: dict[int, NDArray[np.uint8]], keep: KeepMaps) -> None:
        maps = self._network.maps(list(waiting.values()), flip=False).cpu().numpy()
        for t, each in zip(waiting, maps, strict=True):
            keep(t, each)


def maps_on_frame(
    maps: NDArray[np.float32], crop: Crop, cells_px: NDArray[np.float64], width: int, height: int
) -> NDArray[np.float32]:
    """Heat-maps (133, 96, 96) of a whole frame from those (133, h, w) of a crop; 0 elsewhere.

    The frame is centred in the grid with its aspect ratio, as in `gaussian_heatmaps`: x px is at
    (x + 0.5) s - 0.5 + (96 - s width) / 2 cells, s = 96 / the longer side. Linear interpolation.
    `cells_px` are px of the crop per cell (`MMPoseNetwork.cells_px`), `width` and `height` px of
    the frame.
    """
    scale = GRID / max(width, height)
    size = np.array([width, height])
    start = (0.5 - (GRID - size * scale) / 2) / scale - 0.5  # px of the frame at cell 0
    origin = (start - (crop.left, crop.top)) / crop.scale / cells_px
    step = 1 / (scale * crop.scale * cells_px)
    matrix = np.array([[step[0], 0, origin[0]], [0, step[1], origin[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpAffine(each, matrix, (GRID, GRID), flags=flags) for each in maps])
