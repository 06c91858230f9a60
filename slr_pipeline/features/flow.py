"""Optical flow as bytes: TV-L1 (Zach et al., 2007) or DIS (Kroeger et al., 2016), of OpenCV.

Flow is in px since the previous frame, x to the right and y down. SAM-SLR stores one byte per
component, as temporal segment networks do: round(255 (v + bound) / (2 bound)).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, assert_never

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ConfigError
from slr_pipeline.features.arrays import Picture
from slr_pipeline.features.frames import Box, crop_signer
from slr_pipeline.schema import Fidelity

Method = Literal["tvl1", "dis"]
Flow = NDArray[np.float32]
Estimate = Callable[[Picture, Picture], Flow]
"""Flow (H, W, 2) from one grey picture (H, W) to the next."""

START_WINDOW = 7
START_GAIN = 1.5
"""Grey values by which its flow must improve the match of a 7 x 7 px window to be a start."""

FRAME_SIDE = 512
"""Side that the released code resizes flow pictures to before the crop, px."""


def flow_estimator(method: Method, *, fidelity: Fidelity) -> Estimate:
    """The method as a function of two grey pictures. ConfigError if OpenCV has no TV-L1."""
    match method:
        case "tvl1":
            return _tvl1(fidelity)
        case "dis":
            return _dis()
        case _:
            assert_never(method)


def _tvl1(fidelity: Fidelity) -> Estimate:
    if not hasattr(cv2, "optflow") or not hasattr(cv2.optflow, "DualTVL1OpticalFlow_create"):
        raise ConfigError(
            "this OpenCV has no TV-L1: another OpenCV was installed over it; run pip install "
            "--force-reinstall --no-deps opencv-contrib-python-headless"
        )
    solver = cv2.optflow.DualTVL1OpticalFlow_create()
    if fidelity == "published":
        # The settings of OpenCV's CUDA solver, which made the released flow: 300 plain iterations
        # and no median filter. Scales, warps, tau, lambda and theta have the same defaults.
        solver.setInnerIterations(300)
        solver.setOuterIterations(1)
        solver.setMedianFiltering(1)
        return lambda before, after: solver.calc(before, after, None)
    # With a good start and a median filter after every iteration, one scale, one warp and three
    # iterations suffice. benchmarks/flow.py compares this with OpenCV's own settings.
    solver.setUseInitialFlow(True)
    solver.setScalesNumber(1)
    solver.setWarpingsNumber(1)
    solver.setOuterIterations(3)
    solver.setInnerIterations(1)
    dis = _dis()
    return lambda before, after: solver.calc(before, after, _start(dis, before, after))


def _dis() -> Estimate:
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return lambda before, after: dis.calc(before, after, None)


def _start(estimate: Estimate, before: Picture, after: Picture) -> Flow:
    """The estimate (H, W, 2) where it explains `after` better than zero flow does, else zero.

    DIS follows fast hands that a pyramid loses, but drifts on plain walls.
    """
    flow = estimate(before, after)
    height, width = before.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        after, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    gain = cv2.absdiff(before, after).astype(np.float32) - cv2.absdiff(before, moved)
    better = cv2.boxFilter(gain, -1, (START_WINDOW, START_WINDOW)) > START_GAIN
    return flow * better[..., None]


def to_bytes(flow: Flow, bound_px: float) -> Picture:
    """Bytes (2, H, W), x then y, of flow (H, W, 2) in px, clipped to the bound."""
    scaled = np.rint(255 * (flow + bound_px) / (2 * bound_px))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8).transpose(2, 0, 1)


def from_bytes(values: Picture, bound_px: float) -> Flow:
    """Flow (H, W, 2) in px from bytes (2, H, W): the inverse of `to_bytes` to half a step."""
    flow = values.transpose(1, 2, 0).astype(np.float32) * (2 * bound_px / 255) - bound_px
    return np.asarray(flow, np.float32)


def crop_flow(
    frames: Iterable[Picture], box: Box, estimate: Estimate, *, bound_px: float
) -> Iterator[Picture]:
    """`corrected`: flow between signer crops, (2, 256, 256) bytes per frame; the first is zero.

    `frames` are RGB (H, W, 3) or grey (H, W), `box` is from `signer_box`, `estimate` from
    `flow_estimator`; `bound_px` is the largest flow, in px of the crop.
    """
    crops = (crop_signer(_grey(frame), box, interpolation=cv2.INTER_AREA) for frame in frames)
    for flow in _flows(crops, estimate):
        yield to_bytes(flow, bound_px)


def whole_frame_flow(
    frames: Iterable[Picture], box: Box, estimate: Estimate, *, bound_px: float, working_px: int
) -> Iterator[Picture]:
    """`published`: flow of whole frames at `working_px`, whose bytes are then cropped as pictures.

    Bytes are resized to 512 x 512, cropped and resized to 256 x 256. The padding of the crop is 0,
    the byte of the largest movement. The flow is in px of the working size.
    """
    square = (working_px, working_px)
    greys = (_grey(np.asarray(cv2.resize(frame, square), np.uint8)) for frame in frames)
    for flow in _flows(greys, estimate):
        components = [
            crop_signer(
                np.asarray(cv2.resize(component, (FRAME_SIDE, FRAME_SIDE)), np.uint8),
                box,
                interpolation=cv2.INTER_LINEAR,
            )
            for component in to_bytes(flow, bound_px)
        ]
        yield np.stack(components)


def _flows(pictures: Iterable[Picture], estimate: Estimate) -> Iterator[Flow]:
    """Flow from each picture to the next; zero for the first."""
    before = None
    for after in pictures:
        if before is None or np.array_equal(before, after):
            yield np.zeros((*after.shape, 2), np.float32)
        else:
            yield estimate(before, after)
        before = after


def _grey(picture: Picture) -> Picture:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    return np.asarray(grey, np.uint8)
