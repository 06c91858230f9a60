"""ONNX files exported from real networks with random weights, and from ones with known outputs."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from slr_pipeline.config.estimators import MmposeSettings, OnnxSettings, WeightsFile
from slr_pipeline.errors import ArtifactError, ConfigError
from slr_pipeline.io.video import sha256_of
from slr_pipeline.pose.detector import PersonDetector
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.pose.topdown import Box
from slr_pipeline.skeleton import FLIP_133, RIGHT_HAND
from tests.pose import networks
from tests.pose.clips import pose_clip
from tests.pose.networks import DARK, RTMPOSE, export
from tests.pose.pictures import assert_hands, mirrored, noise, signing, truth, two_spots

for package in ("mmpose", "onnxruntime", "onnx"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

WIDTH, HEIGHT = 192, 256


def settings(path: str, **more: Any) -> OnnxSettings:
    return OnnxSettings(estimator="onnx", model=WeightsFile(path=path), **more)


class TwoHandsVectors(nn.Module):
    """`TwoHands` with SimCC vectors of its maps, two bins a pixel."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        white = pictures.mean(dim=1, keepdim=True).clamp(min=0) / 3
        ramp = torch.linspace(-4, 0, WIDTH).exp().to(pictures.dtype)
        sides = torch.cat([white * ramp, white * ramp.flip(0)], dim=1)  # (B, 2, H, W)
        maps = torch.repeat_interleave(sides, 21, dim=1)
        rest = torch.zeros_like(maps[:, :1]).expand(-1, 91, -1, -1)
        maps = torch.cat([rest, maps], dim=1)
        x, y = maps.amax(dim=2), maps.amax(dim=3)
        return x.repeat_interleave(2, dim=2), y.repeat_interleave(2, dim=2)


class RawBox(nn.Module):
    """A detector without NMS.

    Two cells of stride 32 detect one person, one of stride 8 another, one of stride 16 a car.
    """

    def forward(self, pictures: Tensor) -> Tensor:
        sides = [pictures.shape[-1] // stride for stride in (8, 16, 32)]
        starts = [0, sides[0] ** 2, sides[0] ** 2 + sides[1] ** 2]
        result = torch.zeros(1, sum(side**2 for side in sides), 85)
        for number, x, y, width, height, person, car in (
            (starts[2] + 3 * sides[2] + 5, 0.5, 0.25, 2.0, 4.0, 0.9, 0.0),
            (starts[2] + 3 * sides[2] + 6, -0.5, 0.25, 2.2, 4.0, 0.8, 0.0),
            (starts[0] + 1, 0.0, 1.0, 3.0, 2.0, 0.9, 0.0),
            (starts[1] + 9, 0.0, 0.0, 9.0, 9.0, 0.1, 0.9),
        ):
            place = [x, y, float(np.log(width)), float(np.log(height)), 1.0, person, 0.0, car]
            result[0, number, : len(place)] = torch.tensor(place)
        return result + 0 * pictures.mean()


class BrightBox(nn.Module):
    """A detector: the bright part is a person, all from the corner to its end an object."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        bright = (pictures > 200).float().amin(dim=1)  # (1, S, S)
        columns, rows = bright.amax(dim=1)[0], bright.amax(dim=2)[0]
        place = torch.arange(pictures.shape[-1], dtype=torch.float32)
        ends = [
            torch.stack([(1e6 * (1 - line) + place).amin(), (line * (place + 1)).amax()])
            for line in (columns, rows)
        ]
        score = 0.45 * bright.amax()
        box = torch.stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1], score])
        other_object = box * torch.tensor([0.0, 0, 1, 1, 2])
        dets = torch.stack([other_object, box])[None]
        return dets, torch.arange(1, -1, -1)[None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def rtmpose(folder: Path) -> str:
    return export(networks.build(RTMPOSE), folder / "rtmpose-t.onnx")


@pytest.fixture(scope="module")
def two_hands(folder: Path) -> str:
    return export(TwoHandsVectors(), folder / "two_hands.onnx")


@pytest.fixture(scope="module")
def detector(folder: Path) -> str:
    names, size = ("dets", "labels"), (320, 320)
    return export(BrightBox(), folder / "yolox.onnx", names=names, batch=1, size=size)


@pytest.mark.parametrize("flip", [True, False])
def test_the_file_of_a_network_gives_the_keypoints_of_the_network(
    rtmpose: str, tmp_path: Path, flip: bool
) -> None:
    """The same crops, colours, normalisation, flip average and decoding as MMPose itself."""
    path = networks.save(networks.build(RTMPOSE), tmp_path / "rtmpose.pth")
    checkpoint = WeightsFile(path=path)
    network = MmposeSettings(
        estimator="mmpose", config=RTMPOSE, checkpoint=checkpoint, flip_average=flip
    )
    original = open_estimator(network, "cpu")
    frames = noise(3)
    estimator = open_estimator(settings(rtmpose, flip_average=flip), "cpu")
    result, expected = (each.estimate(pose_clip(frames)) for each in (estimator, original))
    same = np.abs(result[..., :2] - expected[..., :2]).max(axis=2) < 1e-3
    assert same.mean() > 0.99  # equal peaks may fall either way
    assert np.abs(result - expected)[..., 2].max() < 1e-3
    assert len(np.unique(result[0, :, 0])) > 20
    assert estimator.name == "onnxruntime-1.31.1-rtmpose-t"
    assert estimator.weights_sha256 == sha256_of(rtmpose)
    assert estimator.estimate(pose_clip([])).shape == (0, 133, 3)


def test_the_size_of_a_batch_changes_nothing(rtmpose: str, folder: Path) -> None:
    """Neither in the settings nor in the file."""
    fixed = export(networks.build(RTMPOSE), folder / "fixed.onnx", batch=3)
    frames = noise(5)
    result = [
        open_estimator(settings(path, batch_size=size), "cpu").estimate(pose_clip(frames))
        for path, size in ((rtmpose, 1), (rtmpose, 2), (rtmpose, 8), (fixed, 8), (fixed, 2))
    ]
    for other in result[1:]:
        assert np.abs(other - result[0]).max() < 1e-2


def test_half_precision_is_that_of_the_file(folder: Path) -> None:
    path = export(TwoHandsVectors(), folder / "half.onnx", dtype=torch.float16)
    picture, places = two_spots(truth()[10])
    result = open_estimator(settings(path), "cpu").estimate(pose_clip([picture]))[0]
    assert result.dtype == np.float32
    assert np.abs(result[RIGHT_HAND[0], :2] - places[1]).max() < 4


def test_the_right_hand_of_a_right_handed_sign_is_the_right_hand(two_hands: str) -> None:
    frames, places = signing()
    estimator = open_estimator(settings(two_hands), "cpu")
    result = estimator.estimate(pose_clip(frames))
    assert_hands(result, places, 4)
    back = estimator.estimate(pose_clip(mirrored(frames)))[:, list(FLIP_133)]
    assert np.abs(511 - back[:, 91:, 0] - result[:, 91:, 0]).max() < 4


# --- the detector --------------------------------------------------------------------------------


def test_a_detector_finds_a_small_person(two_hands: str, detector: str) -> None:
    """In a corner, and absent in one frame."""
    picture, _ = two_spots(truth()[10])
    frame = np.zeros((900, 1600, 3), np.uint8)
    small = cv2.resize(picture, (160, 160), interpolation=cv2.INTER_AREA)
    frame[600:760, 1300:1460] = small
    clip = [frame, np.zeros_like(frame), frame]
    wide, near = (
        open_estimator(settings(two_hands, detector=file), "cpu")
        for file in (None, WeightsFile(path=detector))
    )
    result = near.estimate(pose_clip(clip, width=1600, height=900))
    assert not result[1].any()  # nobody
    assert np.array_equal(result[0], result[2])
    bright = np.argwhere(frame[..., 0] > 200)
    low, high = bright.min(axis=0)[::-1] - 10, bright.max(axis=0)[::-1] + 10
    hands = result[0, 91:, :2]
    assert ((hands > low) & (hands < high)).all()
    assert near.attributes["box"] == "detector"
    assert wide.attributes["box"] == "frame"
    assert near.weights_sha256 not in (wide.weights_sha256, sha256_of(detector))


def test_a_detector_without_nms(folder: Path) -> None:
    """Two cells with one person give one box, that of the likelier cell."""
    path = export(RawBox(), folder / "raw.onnx", names=("output",), batch=1, size=(320, 320))
    frame = np.zeros((320, 640, 3), np.uint8)  # shown at half its size
    detector = PersonDetector(WeightsFile(path=path), "cpu")
    boxes = sorted(detector.boxes(frame).tolist())
    expected = [
        [0, 0, 2 * (8 + 12), 2 * (8 + 8)],
        [2 * (176 - 32), 2 * (104 - 64), 2 * (176 + 32), 320],
    ]
    assert np.abs(np.array(boxes) - expected).max() < 0.01
    (_, box), *_ = detector.follow([frame])
    assert box == Box(*boxes[1])


# --- files ---------------------------------------------------------------------------------------


def test_a_network_for_something_else_is_refused(
    two_hands: str, detector: str, folder: Path
) -> None:
    with pytest.raises(ArtifactError, match=r"two_hands\.onnx: expected a detector with a square"):
        open_estimator(settings(two_hands, detector=WeightsFile(path=two_hands)), "cpu")
    with pytest.raises(ArtifactError, match=r"expected SimCC vectors of 133 .*DWPose or RTMW"):
        open_estimator(settings(detector), "cpu")
    maps = export(networks.build(DARK), folder / "maps.onnx", names=("maps",))
    with pytest.raises(ArtifactError, match=r"maps\.onnx: expected SimCC vectors of 133 keypoints"):
        open_estimator(settings(maps), "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(rtmpose: str) -> None:
    with pytest.raises(ConfigError, match="device cuda: 0 GPUs are visible"):
        open_estimator(settings(rtmpose), "cuda")
