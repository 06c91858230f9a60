"""MMPose's top-down whole-body networks as estimators: HRNet, DARK, RTMPose, RTMW and others.

`corrected`: crop the whole frame, or a detector's box, to the network's training size, and decode
with the config's own codec. `published`: as in SAM-SLR's released code.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from slr_pipeline.config.estimators import MmposeSettings
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.feature_writer import Attributes
from slr_pipeline.pose.detector import PersonDetector, combined_sha256, signer_crops
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.pose.mmpose_network import VERSION, MMPoseNetwork
from slr_pipeline.pose.topdown import (
    FramePose,
    decode_quarter,
    in_batches,
    poses_in_crops,
    stack_keypoints,
    to_keypoints,
)
from slr_pipeline.skeleton import FLIP_133

FRAME: Final = 512
INPUT: Final = 640
CELLS: Final = 128
"""Sides in `published`: of a frame, of the network's input, of its heat-maps after resizing."""


class MMPose:
    """A whole-body network of MMPose with its weights; a `PoseEstimator`.

    Raises what `MMPoseNetwork` and `PersonDetector` raise.
    """

    def __init__(self, settings: MmposeSettings, device: str) -> None:
        self.network = MMPoseNetwork(settings, settings.checkpoint, device)
        self._detector = PersonDetector(settings.detector, device) if settings.detector else None
        self._settings = settings
        self.name = f"mmpose-{VERSION}-{Path(settings.config).stem}"
        self.weights_sha256 = combined_sha256(self.network.weights_sha256, self._detector)
        published = settings.fidelity == "published"
        self.attributes: Attributes = {
            "fidelity": settings.fidelity,
            "precision": settings.precision,
            "flip_average": settings.flip_average,
            "box": "frame" if self._detector is None else "detector",
            "estimated_on": "mirrored frames" if published else "frames as filmed",
        }
        if published and not self.network.has_maps():
            raise ConfigError(
                f"features.keypoints.config: fidelity published needs heat-maps, which {self.name} "
                "does not give; use a config td-hm_*"
            )

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """See `PoseEstimator.estimate`.

        DataError for `published` and a frame that is not 512 x 512.
        """
        return stack_keypoints(self.poses(clip.frames, maps=False))

    def poses(self, frames: Iterable[NDArray[np.uint8]], *, maps: bool) -> Iterator[FramePose]:
        """The pose in each frame; with heat-maps where `maps` asks for them in `corrected`."""
        size = self._settings.batch_size
        if self._settings.fidelity == "published":
            return in_batches(map(_mirrored_input, frames), size, self._published)
        crops = signer_crops(frames, self._detector, self.network.size)
        return poses_in_crops(crops, size, partial(self.network.predict, maps=maps))

    def _published(self, pictures: list[NDArray[np.uint8]]) -> Iterator[FramePose]:
        """Keypoints as SAM-SLR's released code has them, mirrored back.

        The released keypoints have x, left and right of the mirrored frame: 512 - x, with left and
        right exchanged, is the signer's.
        """
        # PUBLISHED: the released code also runs on 512 x 512 and discards the result.
        maps = self.network.maps(pictures, flip=False) + self.network.maps(pictures, flip=True)
        maps = interpolate(maps / 2, (CELLS, CELLS), mode="bilinear", align_corners=False)
        for each in maps.cpu().numpy():
            cells, scores = decode_quarter(each)
            points = cells * np.float32(FRAME / CELLS)
            points[:, 0] = FRAME - points[:, 0]
            order = list(FLIP_133)
            yield FramePose(to_keypoints(points[order], scores[order]))


def _mirrored_input(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    if (width, height) != (FRAME, FRAME):
        raise DataError(
            "fidelity published needs frames of 512x512 as the released code does, found "
            f"{width}x{height}; use fidelity corrected"
        )
    # ASSUME: resized as bytes, before normalisation; the released code leaves it open.
    large = cv2.resize(frame[:, ::-1], (INPUT, INPUT), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.uint8)
