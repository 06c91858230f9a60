"""RTMPose, DWPose and RTMW in ONNX files as estimators.

Crops and decoding are those of MMPose; pictures are RGB, as in the training of these networks.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import OnnxSettings
from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.feature_writer import Attributes
from slr_pipeline.pose.detector import PersonDetector, combined_sha256, signer_crops
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.pose.onnx_session import OnnxSession
from slr_pipeline.pose.topdown import (
    Prediction,
    decode_simcc,
    in_batches,
    poses_in_crops,
    stack_keypoints,
)
from slr_pipeline.skeleton import FLIP_133

MEAN: Final = np.array([123.675, 116.28, 103.53], np.float32)
STD: Final = np.array([58.395, 57.12, 57.375], np.float32)
"""Normalisation of red, green and blue bytes in all networks of these families."""


class OnnxPose:
    """A whole-body network in an ONNX file; a `PoseEstimator`.

    Raises what `OnnxSession` and `PersonDetector` raise, and an ArtifactError for a file that does
    not give SimCC vectors of 133 keypoints.
    """

    def __init__(self, settings: OnnxSettings, device: str) -> None:
        self._session = OnnxSession(settings.model, device)
        self._detector = PersonDetector(settings.detector, device) if settings.detector else None
        self._settings = settings
        shapes, (W, H) = self._session.output_shapes, self._session.size
        bins = [shape[2] for shape in shapes if len(shape) == 3 and shape[1] == 133]
        if len(shapes) != 2 or len(bins) != 2 or bins[0] * H != bins[1] * W:
            raise ArtifactError(
                f"{settings.model.path}: expected SimCC vectors of 133 keypoints in x (batch, 133, "
                f"s {W}) and in y (batch, 133, s {H}), found {shapes}; use a whole-body RTMPose, "
                "DWPose or RTMW"
            )
        self.name = f"onnxruntime-{self._session.version}-{Path(settings.model.path).stem}"
        self.weights_sha256 = combined_sha256(self._session.sha256, self._detector)
        self.attributes: Attributes = {
            "flip_average": settings.flip_average,
            "box": "frame" if self._detector is None else "detector",
        }

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """See `PoseEstimator.estimate`."""
        crops = signer_crops(clip.frames, self._detector, self._session.size)
        return stack_keypoints(poses_in_crops(crops, self._settings.batch_size, self._predict))

    def _predict(self, pictures: list[NDArray[np.uint8]]) -> list[Prediction]:
        inputs = (np.stack(pictures) - MEAN) / STD  # (B, H, W, 3)
        x, y = self._simcc_vectors(inputs)
        if self._settings.flip_average:
            flipped_x, flipped_y = self._simcc_vectors(inputs[:, :, ::-1])
            order = list(FLIP_133)
            half = np.float32(0.5)
            x, y = half * (x + flipped_x[:, order, ::-1]), half * (y + flipped_y[:, order])
        points, scores = decode_simcc(x, y, self._session.size)
        return [Prediction(*each) for each in zip(points, scores, strict=True)]

    def _simcc_vectors(
        self, inputs: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """SimCC vectors (B, 133, s W) in x and (B, 133, s H) in y, of pictures (B, H, W, 3)."""
        size = self._session.batch_size or len(inputs)
        vectors = in_batches(inputs.transpose(0, 3, 1, 2), size, self._run)
        x, y = (np.stack(axis) for axis in zip(*vectors, strict=True))
        return x, y

    def _run(self, batch: list[NDArray[np.float32]]) -> list[tuple[NDArray[np.float32], ...]]:
        """The network's outputs for a batch, filled up where the file has a fixed batch size."""
        lacking = (self._session.batch_size or len(batch)) - len(batch)
        filled = np.stack([*batch, *[batch[-1]] * lacking])
        return list(zip(*self._session.run(filled), strict=True))[: len(batch)]
