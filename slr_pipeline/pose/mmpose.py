"""MMPose's top-down whole-body networks as estimators: HRNet, DARK, RTMPose, RTMW and others.

`corrected`: the whole frame, or a detector's box, is cut out at the size that the network was
trained with, and decoded by the config's own codec. `published`: what SAM-SLR released.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from slr_pipeline.config.estimators import MmposeSettings
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.pose.detector import crops_of, joint_sha256, open_detector
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.pose.mmpose_network import VERSION, MMPoseNetwork
from slr_pipeline.pose.topdown import (
    Found,
    Picture,
    decode_quarter,
    in_batches,
    keypoints_of,
    look,
    stacked,
)
from slr_pipeline.skeleton import FLIP_133

FRAME: Final = 512
LARGE: Final = 640
CELLS: Final = 128
"""What `published` takes: the side of a frame, of the picture that the network sees, of its maps
after resizing."""


class MMPose:
    """A whole-body network of MMPose with its weights; a `PoseEstimator`.

    Errors are those of `MMPoseNetwork` and `open_detector`.
    """

    def __init__(self, settings: MmposeSettings, device: str) -> None:
        self.network = MMPoseNetwork(settings, settings.checkpoint, device)
        self._detector = open_detector(settings.detector, device)
        self._settings = settings
        self.name = f"mmpose-{VERSION}-{Path(settings.config).stem}"
        self.weights_sha256 = joint_sha256(self.network.weights_sha256, self._detector)
        if settings.fidelity == "published" and not self.network.has_maps():
            raise ConfigError(
                f"features.keypoints.config: fidelity published takes heat-maps, which {self.name} "
                "does not give; take a config td-hm_*"
            )

    @property
    def made(self) -> dict[str, str | int | float | bool]:
        """See `PoseEstimator.made`."""
        published = self._settings.fidelity == "published"
        return {
            "fidelity": self._settings.fidelity,
            "precision": self._settings.precision,
            "flip_average": self._settings.flip_average,
            "box": "frame" if self._detector is None else "detector",
            "estimated_on": "mirrored frames" if published else "frames as filmed",
        }

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """See `PoseEstimator.estimate`.

        DataError for `published` and a frame that is not 512 x 512.
        """
        return stacked(self.follow(clip.frames, maps=False))

    def follow(self, frames: Iterable[Picture], *, maps: bool) -> Iterator[Found]:
        """What is found in each frame; of `corrected` with the heat-maps, if asked for."""
        size = self._settings.batch_size
        if self._settings.fidelity == "published":
            return in_batches(map(_mirrored_large, frames), size, self._published)
        crops = crops_of(frames, self._detector, self.network.size)
        return look(crops, size, lambda pictures: self.network.answer(pictures, maps=maps))

    def _published(self, pictures: list[Picture]) -> Iterator[Found]:
        """Keypoints as SAM-SLR's released code has them, mirrored back.

        Released are x of the mirrored frame and the network's own left and right there: 512 - x,
        with left and right exchanged, is the signer's.
        """
        # PUBLISHED: the picture of 512 is looked at as well, and what is found there thrown away.
        maps = self.network.maps(pictures, flip=False) + self.network.maps(pictures, flip=True)
        maps = interpolate(maps / 2, (CELLS, CELLS), mode="bilinear", align_corners=False)
        for each in maps.cpu().numpy():
            cells, scores = decode_quarter(each)
            points = cells * np.float32(FRAME / CELLS)
            points[:, 0] = FRAME - points[:, 0]
            order = list(FLIP_133)
            yield Found(keypoints_of(points[order], scores[order]))


def _mirrored_large(frame: Picture) -> Picture:
    height, width = frame.shape[:2]
    if (width, height) != (FRAME, FRAME):
        raise DataError(
            "fidelity published takes frames of 512x512 as the released code does, found "
            f"{width}x{height}; take fidelity corrected"
        )
    # ASSUME: resized in bytes, before normalisation; which of the two is not known.
    large = cv2.resize(frame[:, ::-1], (LARGE, LARGE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.uint8)
