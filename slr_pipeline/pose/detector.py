"""Finds the signer in each frame: a YOLOX person detector in an ONNX file, following one person.

The files are those of rtmlib, with a square picture of BGR bytes as input. MMDeploy's include NMS
and return `dets` (1, N, 5), boxes in px and scores, and `labels` (1, N), where 0 is a person.
YOLOX's own, shipped with DWPose, return the raw cells of three grids (1, N, 85).
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import WeightsFile
from slr_pipeline.errors import ArtifactError
from slr_pipeline.pose.onnx_session import OnnxSession
from slr_pipeline.pose.topdown import Box, Crop, crop_frame

MIN_CONFIDENCE: Final = 0.3
MIN_OVERLAP: Final = 0.3
NMS_OVERLAP: Final = 0.45
GREY: Final = 114
STRIDES: Final = (8, 16, 32)


class PersonDetector:
    """Finds the signer's box in a video. ArtifactError for a file without such a detector."""

    def __init__(self, file: WeightsFile, device: str) -> None:
        self._session = OnnxSession(file, device)
        self.sha256 = self._session.sha256
        width, height = self._session.size
        shapes = self._session.output_shapes
        cells = sum((width // stride) ** 2 for stride in STRIDES)
        self._raw = shapes == [(1, cells, 85)]
        boxes = [len(shape) for shape in shapes] == [3, 2] and shapes[0][2] == 5
        if width != height or not (self._raw or boxes):
            raise ArtifactError(
                f"{file.path}: expected a detector with a square input and outputs dets (1, N, 5) "
                f"and labels (1, N), or one (1, {cells}, 85), found {width}x{height} and {shapes}; "
                "use one that docs/how-to/estimators.md names"
            )
        self._side = width

    def follow(
        self, frames: Iterable[NDArray[np.uint8]]
    ) -> Iterator[tuple[NDArray[np.uint8], Box | None]]:
        """Each frame with the signer's box, None where nobody is detected.

        The signer is the person whose box overlaps most with the last one, if by at least
        `MIN_OVERLAP` (intersection over union), else the largest person.
        """
        last = None
        for frame in frames:
            box = choose_box(self.boxes(frame), last)
            last = last if box is None else box
            yield frame, box

    def boxes(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Boxes of persons (N, 4): x0, y0, x1, y1 in px, within the frame."""
        height, width = frame.shape[:2]
        ratio = self._side / max(width, height)
        small = (round(width * ratio), round(height * ratio))
        picture = np.full((self._side, self._side, 3), GREY, np.uint8)
        shrunk = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
        picture[: small[1], : small[0]] = shrunk[..., ::-1]
        inputs = picture.transpose(2, 0, 1)[None].astype(np.float32)
        outputs = [output[0] for output in self._session.run(inputs)]
        if self._raw:
            boxes = decode_cells(outputs[0], self._side) / ratio
        else:
            detections, labels = outputs
            persons = (detections[:, 4] >= MIN_CONFIDENCE) & (labels == 0)
            boxes = detections[persons, :4] / ratio
        limits = np.array([width, height, width, height], np.float32)
        boxes = boxes.clip(0, limits)
        return np.asarray(boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)], np.float32)


def decode_cells(cells: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Boxes of persons (M, 4) in px, from the raw output of YOLOX (N, 85) (Ge et al., 2021).

    A cell gives the centre relative to itself and the logarithm of the size, both in strides, then
    the scores of an object and of each class. NMS keeps the best of overlapping boxes.
    """
    grids = []
    for stride in STRIDES:
        y, x = np.divmod(np.arange((side // stride) ** 2), side // stride)
        grids.append(np.stack([x, y, np.full(len(x), stride)], axis=1))
    grid = np.concatenate(grids).astype(np.float32)
    centre = (cells[:, :2] + grid[:, :2]) * grid[:, 2:]
    size = np.exp(cells[:, 2:4]) * grid[:, 2:]
    start, scores = centre - size / 2, cells[:, 4] * cells[:, 5]
    boxes = np.concatenate([start, size], axis=1)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), MIN_CONFIDENCE, NMS_OVERLAP)
    return np.concatenate([start, start + size], axis=1)[np.asarray(kept, np.int64)]


def choose_box(boxes: NDArray[np.float32], last: Box | None) -> Box | None:
    """The signer's box among boxes (N, 4), see `PersonDetector.follow`."""
    if not len(boxes):
        return None
    area = _area(boxes)
    chosen = int(area.argmax())
    if last is not None:
        before = np.array([last.x0, last.y0, last.x1, last.y1])
        start, end = np.maximum(boxes[:, :2], before[:2]), np.minimum(boxes[:, 2:], before[2:])
        shared = _area(np.concatenate([start, end], axis=1))
        overlap = shared / (area + _area(before[None]) - shared)
        if overlap.max() >= MIN_OVERLAP:
            chosen = int(overlap.argmax())
    return Box(*map(float, boxes[chosen]))


def _area(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Areas (N,) of boxes (N, 4), 0 for an empty one."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(0)
    return np.asarray(sides.prod(axis=1), np.float64)


def signer_crops(
    frames: Iterable[NDArray[np.uint8]], detector: PersonDetector | None, size: tuple[int, int]
) -> Iterator[Crop | None]:
    """The crop of each frame for a network of `size` (W, H); None where nobody is detected.

    Without a detector it is the whole frame.
    """
    if detector is None:
        for frame in frames:
            yield crop_frame(frame, None, size)
        return
    for frame, box in detector.follow(frames):
        yield None if box is None else crop_frame(frame, box, size)


def combined_sha256(network: str, detector: PersonDetector | None) -> str:
    """One SHA-256 for the files of a network and a detector; without one, the network's own."""
    if detector is None:
        return network
    return hashlib.sha256(f"{network}  network\n{detector.sha256}  detector\n".encode()).hexdigest()
