"""MMPose's own networks and configs with random weights, and one whose answer is known."""

import importlib.metadata
import importlib.util
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from slr_pipeline.config.estimators import MmposeSettings, WeightsFile
from slr_pipeline.config.features import HeatmapsSettings
from slr_pipeline.errors import ArtifactError, ConfigError, DataError, SlrError
from slr_pipeline.features.heatmaps import (
    GRID,
    HEATMAP_KEYPOINTS,
    from_bytes,
    gaussian_heatmaps,
    pool_network_heatmaps,
    sixty_frames,
    to_bytes,
)
from slr_pipeline.io.features import FeatureFile, FeatureStore
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.io.video import probe, sha256_of
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.pose.mmpose import MMPose
from slr_pipeline.pose.network_heatmaps import NetworkHeatmaps, maps_on_frame
from slr_pipeline.pose.topdown import crop_frame
from slr_pipeline.skeleton import FLIP_133, LEFT_HAND, RIGHT_HAND
from slr_pipeline.steps.keypoints import keypoints, with_heatmaps
from tests.pose import networks
from tests.pose.clips import pose_clip
from tests.pose.networks import DARK, HRNET, RTMPOSE, RTMW
from tests.pose.pictures import mirrored, noise, truth, two_spots

if importlib.util.find_spec("mmpose") is None:
    pytest.skip("mmpose is not installed: requirements/mmpose.txt", allow_module_level=True)

ROOT = Path(__file__).parents[2]
ORDER = list(FLIP_133)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Checkpoints of configs with random weights, each made once."""
    folder = tmp_path_factory.mktemp("weights")
    made: dict[str, str] = {}

    def path(config: str) -> str:
        if config not in made:
            made[config] = networks.save(networks.build(config), folder / f"{len(made)}.pth")
        return made[config]

    return path


@pytest.fixture(scope="module")
def two_hands(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Config and checkpoint of a network whose answer is known."""
    folder = tmp_path_factory.mktemp("two_hands")
    config = networks.two_hands_config(folder)
    return config, networks.save(networks.two_hands(config), folder / "two_hands.pth")


def settings(config: str, path: str, **more: Any) -> MmposeSettings:
    return MmposeSettings(
        estimator="mmpose", config=config, checkpoint=WeightsFile(path=path), **more
    )


# --- the networks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config", [DARK, RTMPOSE, RTMW, pytest.param(HRNET, marks=pytest.mark.slow)]
)
def test_every_frame_has_133_finite_points(weights: Any, config: str) -> None:
    estimator = open_estimator(settings(config, weights(config), flip_average=False), "cpu")
    found = estimator.estimate(pose_clip(noise(2)))
    assert found.shape == (2, 133, 3)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    given = found[found[..., 2] > 0]
    assert len(given) > 100
    assert given[:, 2].max() <= 1
    assert given[:, :2].min() > -160  # a portrait crop of a landscape frame
    assert given[:, :2].max() < 480
    assert not found[found[..., 2] == 0].any()
    assert estimator.name == f"mmpose-1.3.2-{config}"
    assert estimator.weights_sha256 == sha256_of(weights(config))
    assert estimator.estimate(pose_clip([])).shape == (0, 133, 3)


@pytest.mark.parametrize("config", [DARK, RTMPOSE])
def test_the_size_of_a_batch_changes_nothing(weights: Any, config: str) -> None:
    frames = noise(5)
    found = [
        open_estimator(settings(config, weights(config), batch_size=size), "cpu").estimate(
            pose_clip(frames)
        )
        for size in (1, 2, 8)
    ]
    assert np.abs(found[1] - found[0]).max() < 1e-2
    assert np.abs(found[2] - found[0]).max() < 1e-2
    assert len(np.unique(found[0][..., :2].reshape(5, -1), axis=0)) == 5  # frames are told apart


@pytest.mark.parametrize("flip", [True, False])
def test_a_mirrored_clip_has_mirrored_vectors(weights: Any, flip: bool) -> None:
    """RTMPose: W - 1/2 - x is the mirror of bin x; without the average the two differ."""
    estimator = MMPose(settings(RTMPOSE, weights(RTMPOSE), flip_average=flip), "cpu")
    frames = noise(3)
    found = estimator.estimate(pose_clip(frames))
    back = estimator.estimate(pose_clip(mirrored(frames)))[:, ORDER]
    scale = max(320 / 192, 256 / 256)
    x = 319 - back[..., 0] + scale / 2
    same = (np.abs(x - found[..., 0]) < 0.01) & (np.abs(back[..., 1] - found[..., 1]) < 0.01)
    if flip:
        assert same.all()
    else:
        assert same.mean() < 0.5


def test_a_mirrored_clip_has_mirrored_maps(weights: Any) -> None:
    """DARK: cell w - x is the mirror of cell x, as MMPose shifts the flipped maps by a cell."""
    network = MMPose(settings(DARK, weights(DARK)), "cpu").network
    pictures = [crop_frame(frame, None, network.size).picture for frame in noise(2)]
    maps = [each.maps for each in network.predict(pictures, maps=True)]
    back = [each.maps for each in network.predict(mirrored(pictures), maps=True)]
    for ours, other in zip(maps, back, strict=True):
        assert ours is not None
        assert other is not None
        spread = ours.std()
        assert np.abs(other[ORDER][..., :0:-1] - ours[..., 1:]).max() < 1e-4 * spread
        assert np.abs(other[..., :0:-1] - ours[..., 1:]).max() > spread  # sides matter


def test_the_permutation_is_mmposes_own(weights: Any) -> None:
    config = next(
        path
        for path in Path(importlib.util.find_spec("mmpose").origin or "").parent.rglob(
            "_base_/datasets/coco_wholebody.py"
        )
    )
    found: dict[str, Any] = {}
    exec(config.read_text(), found)
    info = found["dataset_info"]["keypoint_info"]
    number = {each["name"]: i for i, each in info.items()}
    swapped = [number[each["swap"]] if each["swap"] else i for i, each in info.items()]
    assert swapped == ORDER


def test_half_precision_is_near_single(weights: Any) -> None:
    """In what the head is given; random layers take the two farther apart than trained ones."""
    pictures = [crop_frame(frame, None, (192, 256)).picture for frame in noise(2)]
    features = []
    for precision in ("fp32", "fp16"):
        ours = settings(RTMPOSE, weights(RTMPOSE), precision=precision)
        network = MMPose(ours, "cpu").network
        with torch.inference_mode():
            (found,) = network._features(network._inputs(pictures))
        assert found.dtype == torch.float32
        features.append(found.numpy().ravel())
    assert not np.array_equal(*features)
    assert np.corrcoef(*features)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("width", "height"), [(1080, 1920), (3840, 2160), (64, 48)], ids=["portrait", "4K", "tiny"]
)
def test_points_are_pixels_of_the_frame_whatever_its_size(
    two_hands: tuple[str, str], width: int, height: int
) -> None:
    picture, places = two_spots(truth()[10])
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 3
    frame = np.zeros((height, width, 3), np.uint8)
    resized = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    frame[top : top + side, left : left + side] = resized
    expected = (places + 0.5) * (side / 512) - 0.5 + (left, top)
    found = open_estimator(settings(*two_hands), "cpu").estimate(
        pose_clip([frame], width=width, height=height)
    )[0]
    cell = 4 * max(width / 192, height / 256)  # px
    for hand, place in zip((LEFT_HAND, RIGHT_HAND), expected, strict=True):
        assert np.abs(found[list(hand), :2] - place).max() < cell


def test_the_size_of_frames_may_change_in_a_clip(two_hands: tuple[str, str]) -> None:
    picture, places = two_spots(truth()[10])
    frames = [cv2.resize(picture, (side, side)) for side in (512, 256, 1024)]
    found = open_estimator(settings(*two_hands), "cpu").estimate(pose_clip(frames))
    for keypoints_px, side in zip(found, (512, 256, 1024), strict=True):
        where = keypoints_px[RIGHT_HAND[0], :2] * 512 / side
        assert np.abs(where - places[1]).max() < 12


# --- left and right ------------------------------------------------------------------------------


@pytest.mark.parametrize("fidelity", ["corrected", "published"])
def test_the_right_hand_of_a_right_handed_sign_is_the_right_hand(
    two_hands: tuple[str, str], fidelity: str
) -> None:
    poses = truth()
    spots = [two_spots(pose) for pose in poses]
    estimator = open_estimator(settings(*two_hands, fidelity=fidelity), "cpu")
    found = estimator.estimate(pose_clip([picture for picture, _ in spots]))
    places = np.stack([place for _, place in spots])  # (T, 2, 2)
    left, right = found[:, LEFT_HAND[0]], found[:, RIGHT_HAND[0]]
    assert np.abs(left[:, :2] - places[:, 0]).max() < 8  # a cell is 11 px, of `published` 4
    assert np.abs(right[:, :2] - places[:, 1]).max() < 8
    assert np.ptp(right[:, 1]) > 200  # the hand that signs
    assert np.ptp(left[:, 1]) < 10
    assert (left[:, 2] > 0.05).all()
    rest = [i for i in range(133) if i not in (*LEFT_HAND, *RIGHT_HAND)]
    assert not found[:, rest].any()


def test_a_mirrored_signer_is_left_handed(two_hands: tuple[str, str]) -> None:
    frames = [two_spots(pose)[0] for pose in truth()]
    estimator = open_estimator(settings(*two_hands), "cpu")
    found = estimator.estimate(pose_clip(frames))
    back = estimator.estimate(pose_clip(mirrored(frames)))[:, ORDER]
    given = found[..., 2] > 0
    assert np.abs(511 - back[..., 0] - found[..., 0])[given].max() < 6
    assert np.abs(back[..., 1:] - found[..., 1:]).max() < 1


# --- published -----------------------------------------------------------------------------------


def released_keypoints(model: Any, frame: np.ndarray) -> np.ndarray:
    """Mirrored keypoints (133, 3) of a frame, step by step as SAM-SLR's code gets them."""
    picture = cv2.resize(frame[:, ::-1], (640, 640), interpolation=cv2.INTER_LINEAR) / 255
    picture = (picture - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    pictures = torch.from_numpy(np.stack([picture, picture[:, ::-1]])).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        maps = model.head(model.extract_feat(pictures))
        maps = torch.nn.functional.interpolate(maps, (128, 128), mode="bilinear")
    merged = (maps[0].numpy() + maps[1].numpy()[ORDER, :, ::-1]) / 2
    keypoints_px = np.zeros((133, 3))
    for j in range(133):
        y, x = np.unravel_index(merged[j].argmax(), (128, 128))
        fx, fy = float(x), float(y)
        if 1 < x < 127 and 1 < y < 127:
            fx += 0.25 * np.sign(merged[j, y, x + 1] - merged[j, y, x - 1])
            fy += 0.25 * np.sign(merged[j, y + 1, x] - merged[j, y - 1, x])
        keypoints_px[j] = 4 * fx, 4 * fy, merged[j, y, x]
    return keypoints_px


def test_published_is_the_released_code_mirrored_back(weights: Any) -> None:
    model = networks.build(DARK)
    frames = noise(2, width=512, height=512)
    estimator = open_estimator(settings(DARK, weights(DARK), fidelity="published"), "cpu")
    found = estimator.estimate(pose_clip(frames))
    for ours, frame in zip(found, frames, strict=True):
        released = released_keypoints(model, frame)
        back = released[ORDER]
        back[:, 0] = 512 - back[:, 0]
        given = ours[:, 2] > 0
        assert given.sum() > 100
        near = np.abs(ours[:, :2] - back[:, :2]).max(axis=1) < 1e-3
        assert near[given].mean() > 0.97  # equal peaks may fall either way
        expected = back[near & given, 2].clip(1e-3, 1)
        assert np.abs(ours[near & given, 2] - expected).max() < 1e-4
    assert estimator.attributes["estimated_on"] == "mirrored frames"
    assert estimator.attributes["fidelity"] == "published"


def test_published_takes_frames_of_512(weights: Any) -> None:
    estimator = open_estimator(settings(DARK, weights(DARK), fidelity="published"), "cpu")
    with pytest.raises(DataError, match=r"frames of 512x512 .*found 320x256; use fidelity corr"):
        estimator.estimate(pose_clip(noise(1)))


def test_published_needs_maps(weights: Any) -> None:
    with pytest.raises(ConfigError, match=r"which mmpose-1.3.2-rtmpose-t.* does not give"):
        open_estimator(settings(RTMPOSE, weights(RTMPOSE), fidelity="published"), "cpu")


# --- heat-maps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fidelity", ["corrected", "published"])
def test_heatmaps_have_the_hands_where_they_are(two_hands: tuple[str, str], fidelity: str) -> None:
    spots = [two_spots(pose) for pose in truth()]
    pictures = [picture for picture, _ in spots]
    both = NetworkHeatmaps(
        HeatmapsSettings(source="network", fidelity=fidelity), settings(*two_hands), "cpu"
    )
    found, values = both.estimate(pose_clip(pictures))
    assert np.array_equal(found, both.estimator.estimate(pose_clip(pictures)))
    assert values.shape == (60, 33, 24, 24)
    assert values.dtype == np.uint8
    frames = sixty_frames(len(spots), fidelity=fidelity)
    for t, maps in zip(frames, values, strict=True):
        for hand, place in zip((LEFT_HAND, RIGHT_HAND), spots[t][1], strict=True):
            channel = maps[HEATMAP_KEYPOINTS.index(hand[0])]
            y, x = np.unravel_index(channel.argmax(), channel.shape)
            assert np.abs((np.array([x, y]) + 0.5) * 512 / 24 - place).max() < 1.3 * 512 / 24
    others = [k for k, joint in enumerate(HEATMAP_KEYPOINTS) if joint < LEFT_HAND[0]]
    assert not values[:, others].any()


def test_published_heatmaps_are_those_of_the_stretched_frame(weights: Any, tmp_path: Path) -> None:
    other = networks.build(DARK, seed=1)
    path = networks.save(other, tmp_path / "other.pth")
    heatmaps = HeatmapsSettings(
        source="network", fidelity="published", checkpoint=WeightsFile(path=path)
    )
    both = NetworkHeatmaps(heatmaps, settings(DARK, weights(DARK), batch_size=4), "cpu")
    frames = noise(7)
    _, values = both.estimate(pose_clip(frames))
    picture = cv2.resize(frames[3], (384, 384)).astype(np.float32)
    picture = (picture - np.float32([123.675, 116.28, 103.53])) / np.float32(
        [58.395, 57.12, 57.375]
    )
    inputs = torch.from_numpy(picture).permute(2, 0, 1)[None]
    with torch.no_grad():
        maps = other.head(other.extract_feat(inputs)).numpy()
    expected = to_bytes(pool_network_heatmaps(maps))[0]
    (times,) = np.nonzero(sixty_frames(7, fidelity="published") == 3)
    assert len(times) == 8
    for t in times:
        assert np.abs(values[t].astype(int) - expected).max() <= 1
    assert both.network_sha256 == sha256_of(path)
    assert both.estimator.weights_sha256 == sha256_of(weights(DARK))


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1080, 1920), (640, 360)])
def test_maps_of_a_crop_lie_on_the_frame_as_drawn_ones_do(width: int, height: int) -> None:
    """Gaussians at known places in the cells of the crop, against those drawn from the places."""
    from mmpose.codecs import MSRAHeatmap

    codec = MSRAHeatmap((288, 384), (72, 96), sigma=3, unbiased=True)
    places = np.random.default_rng(0).uniform(0.25, 0.75, (133, 2)) * (width, height)
    crop = crop_frame(np.zeros((height, width, 3), np.uint8), None, (288, 384))
    cells = (places - (crop.left, crop.top)) / crop.scale
    maps = codec.encode(cells[None].astype(np.float32))["heatmaps"]
    laid = maps_on_frame(maps, crop, np.array([4.0, 4.0]), width, height)
    drawn = np.concatenate([places, np.ones((133, 1))], axis=1)[None]
    sigma = 3 * 4 * crop.scale * GRID / max(width, height)  # of the same width in the frame
    expected = gaussian_heatmaps(
        drawn, width=width, height=height, sigma=sigma, fidelity="corrected"
    )
    pooled = pool_network_heatmaps(laid[None])
    assert np.abs(pooled - expected).max() < 0.12
    assert np.abs(pooled - expected).mean() < 0.01


def test_vectors_are_no_heatmaps(weights: Any) -> None:
    with pytest.raises(ConfigError, match=r"rtmpose-t.* gives no heat-maps; use source drawn"):
        NetworkHeatmaps(
            HeatmapsSettings(source="network"), settings(RTMPOSE, weights(RTMPOSE)), "cpu"
        )


def test_one_step_writes_keypoints_and_heatmaps(weights: Any, tmp_path: Path) -> None:
    rows = []
    for sample in ("signer0_sample1", "signer0_sample2"):
        path = str(ROOT / f"demo/train/{sample}_color.mp4")
        info = probe(path)
        digest = sha256_of(path)
        rows.append(
            Verified(sample, path, "", "", info.frames, info.width, info.height, info.fps, digest)
        )
    rows.append(Verified("signer_gone", "gone.mp4", "", "there is no such file"))
    verified = str(tmp_path / "verified.csv")
    write_verified(verified, rows)
    ours = settings(DARK, weights(DARK), flip_average=False)
    network = HeatmapsSettings(source="network")
    out = [str(tmp_path / name) for name in ("keypoints.h5", "heatmaps.h5", "alone.h5")]
    with_heatmaps(ours, network, "cpu", verified, *out[:2])
    keypoints(ours, "cpu", verified, out[2])
    both, alone = (FeatureStore("keypoints", [path]) for path in (out[0], out[2]))
    maps = FeatureStore("heatmaps", [out[1]])
    for row in rows[:2]:
        assert np.array_equal(both.read(row.sample).values, alone.read(row.sample).values)
        assert maps.read(row.sample).values.shape == (60, 33, 24, 24)
        assert from_bytes(maps.read(row.sample).values).max() > 0
    assert maps.read("signer_gone").values.shape[0] == 0
    attributes = FeatureFile(out[0], "keypoints").attributes
    assert attributes["estimator"] == f"mmpose-1.3.2-{DARK}"
    assert attributes["weights_sha256"] == sha256_of(weights(DARK))
    assert attributes["estimated_on"] == "frames as filmed"
    assert attributes["box"] == "frame"
    attributes = FeatureFile(out[1], "heatmaps").attributes
    assert attributes["source"] == "network"
    assert attributes["network_sha256"] == sha256_of(weights(DARK))
    before = [Path(path).read_bytes() for path in out[:2]]
    with_heatmaps(ours, network, "cpu", verified, *out[:2])
    assert [Path(path).read_bytes() for path in out[:2]] == before


# --- configs and checkpoints ---------------------------------------------------------------------


def test_checkpoints_by_other_names_are_the_same(weights: Any, tmp_path: Path) -> None:
    """Of a data-parallel training; of MMPose before 1.0; of SAM-SLR's copy, without prefixes."""
    content = torch.load(weights(DARK), weights_only=False)["state_dict"]
    before = {name.replace("head.", "keypoint_head."): value for name, value in content.items()}
    cases = {
        "parallel.pth": {f"module.{name}": value for name, value in content.items()},
        "before.pth": {name: each for name, each in before.items() if "num_batches" not in name},
    }
    frames = pose_clip(noise(1))
    expected = open_estimator(settings(DARK, weights(DARK)), "cpu").estimate(frames)
    for name, state in cases.items():
        torch.save({"state_dict": state, "meta": {}}, tmp_path / name)
        other = open_estimator(settings(DARK, str(tmp_path / name)), "cpu")
        assert np.array_equal(other.estimate(pose_clip(noise(1))), expected), name


@pytest.mark.slow
def test_hrnet_as_sam_slr_has_it_has_no_prefixes(tmp_path: Path) -> None:
    model = networks.build(HRNET)
    state = model.state_dict()
    assert sum(each.numel() for each in model.parameters()) == 63_601_429
    plain = {re.sub(r"^(backbone|head)\.", "", name): value for name, value in state.items()}
    assert len(plain) == len(state)
    torch.save(plain, tmp_path / "wholebody_hrnet_w48_384x384.pth")
    path = str(tmp_path / "wholebody_hrnet_w48_384x384.pth")
    network = MMPose(settings(HRNET, path, flip_average=False), "cpu").network
    pictures = [frame[:64, :64].copy() for frame in noise(1)]
    with torch.no_grad():
        expected = model.head(model.extract_feat(network._inputs(pictures)))
    assert torch.equal(network.maps(pictures, flip=False), expected)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("kind", ["torch", "pickle", "meta"])
def test_a_forged_checkpoint_is_refused_and_not_run(
    weights: Any, tmp_path: Path, kind: str
) -> None:
    path, bomb = tmp_path / "forged.pth", Bomb(tmp_path / "run")
    if kind == "torch":
        torch.save({"state_dict": {"backbone.x": bomb}}, path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": bomb}, protocol=2))
    else:
        content = torch.load(weights(DARK), weights_only=False)
        torch.save({**content, "meta": {"hook": bomb}}, path)
    with pytest.raises(ArtifactError, match=r"forged\.pth: asks for .*open, and nothing in a file"):
        open_estimator(settings(DARK, str(path)), "cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_checkpoint_is_refused(weights: Any, tmp_path: Path, share: float) -> None:
    whole = Path(weights(RTMPOSE)).read_bytes()
    path = tmp_path / "short.pth"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ArtifactError, match=r"short\.pth: not whole weights .*; copy the file"):
        open_estimator(settings(RTMPOSE, str(path)), "cpu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("missing", r"1 missing \(head.final_layer.bias\); use the checkpoint that was trained"),
        ("unknown", r"1 unknown \(backbone.extra\)"),
        ("shape", r"1 of another shape \(size mismatch for head.final_layer.bias: .*\[17\]"),
        ("other", r"its \d+ weights are not those of config td-hm_vip.*: \d+ of another shape"),
    ],
)
def test_weights_of_another_network_are_named(
    weights: Any, tmp_path: Path, change: str, reason: str
) -> None:
    state = dict(torch.load(weights(DARK), weights_only=False)["state_dict"])
    if change == "missing":
        del state["head.final_layer.bias"]
    elif change == "unknown":
        state["backbone.extra"] = torch.zeros(1)
    elif change == "shape":
        state["head.final_layer.bias"] = torch.zeros(17)
    else:
        state = torch.load(weights(RTMPOSE), weights_only=False)["state_dict"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ArtifactError, match=reason) as caught:
        open_estimator(settings(DARK, str(tmp_path / "other.pth")), "cpu")
    assert "\n" not in str(caught.value)


def test_the_sha256_is_checked(weights: Any) -> None:
    path = weights(DARK)
    right = WeightsFile(path=path, sha256=sha256_of(path))
    wrong = WeightsFile(path=path, sha256="0" * 64)
    open_estimator(MmposeSettings(estimator="mmpose", config=DARK, checkpoint=right), "cpu")
    with pytest.raises(ArtifactError, match=f"SHA-256 is {right.sha256}, expected 000"):
        open_estimator(MmposeSettings(estimator="mmpose", config=DARK, checkpoint=wrong), "cpu")


def test_every_whole_body_config_of_the_wheel_is_known(weights: Any) -> None:
    from slr_pipeline.pose.mmpose_network import _read_config, config_names

    names = config_names()
    assert len(names) > 30
    for name in names:
        assert _read_config(name)["type"] == "TopdownPoseEstimator"
    with pytest.raises(ConfigError, match=r"td-hm_hrnet-w48_coco is none of .*nearest: td-hm_hrn"):
        _read_config("td-hm_hrnet-w48_coco")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model = dict(type='TopdownPoseEstimator', head=dict(out_channels=17))", "of 17 keypoint"),
        ("model = dict(type='BottomupPoseEstimator', head=dict(out_channels=133))", "model Bottom"),
        ("x = 1", "has the model None of None keypoints, expected a TopdownPoseEstimator of 133"),
        ("1 / 0", r"cannot be read \(ZeroDivisionError: division by zero\)"),
        ("model = dict(", r"cannot be read \(SyntaxError"),
    ],
)
def test_a_config_of_something_else_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        networks.build(str(tmp_path / "mine.py"))
    assert "\n" not in str(caught.value)


def test_a_config_of_ones_own_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.py cannot be read \(FileNotFoundError"):
        networks.build(str(tmp_path / "mine.py"))


def test_without_mmpose_it_says_what_to_install(
    weights: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = settings(DARK, weights(DARK))

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(SlrError) as caught:
        open_estimator(ours, "cpu")
    assert str(caught.value) == (
        "the estimator needs mmpose 1.3.2, found none: pip install -c "
        "requirements/constraints.txt -e '.[mmpose]' and then pip install --no-deps -r "
        "requirements/mmpose.txt"
    )


def test_nothing_else_sees_the_stand_ins(weights: Any) -> None:
    """A fresh process: MMPose is imported, and torchvision afterwards is the real one."""
    code = (
        "import sys, warnings; warnings.simplefilter('error', UserWarning)\n"
        "from slr_pipeline.pose.mmpose_network import _import_mmpose\n"
        "_import_mmpose()\n"
        "assert 'mmdet' not in sys.modules and 'torchvision' not in sys.modules\n"
        "from slr_pipeline.models.vision import torchvision\n"
        "print(torchvision.models.resnet18.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("resnet18\n", "")


@pytest.mark.slow
def test_a_long_clip_takes_little_memory(weights: Any) -> None:
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from slr_pipeline.config.estimators import MmposeSettings, WeightsFile\n"
        "from slr_pipeline.pose.estimators import open_estimator\n"
        "from tests.pose.clips import pose_clip\n"
        "weights = WeightsFile(path=sys.argv[2])\n"
        "ours = MmposeSettings(estimator='mmpose', config=sys.argv[1], checkpoint=weights,\n"
        "                      flip_average=False)\n"
        "estimator = open_estimator(ours, 'cpu')\n"
        "frames = (np.full((720, 1280, 3), t % 256, np.uint8) for t in range(1000))\n"
        "assert estimator.estimate(pose_clip(frames)).shape == (1000, 133, 3)\n"
        "print(*[line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, RTMPOSE, weights(RTMPOSE)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) * 1024 < 2e9


def test_udp_cells_are_those_of_its_codec() -> None:
    """Gaussians painted by MMPose's codecs come back from the cell that `cells_px` says."""
    from mmpose.codecs import MSRAHeatmap, UDPHeatmap

    for kind, expected in ((MSRAHeatmap, 4.0), (UDPHeatmap, 191 / 47)):
        codec = kind((192, 256), (48, 64), sigma=2)
        place = np.array([[[codec.input_size[0] / 2, 100.0]]], np.float32)
        maps = codec.encode(place)["heatmaps"]
        x = (maps[0].sum(axis=0) * np.arange(48)).sum() / maps[0].sum()
        assert x * expected == pytest.approx(96, abs=2.1)
