"""MMPose's networks and configs with random weights, and one with known predictions."""

import importlib.metadata
import importlib.util
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
from slr_pipeline.errors import ArtifactError, ConfigError, DataError
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
from slr_pipeline.steps.keypoints import keypoints
from tests.io.foreign.pickles import Runs
from tests.pose import networks
from tests.pose.clips import pose_clip
from tests.pose.networks import DARK, HRNET, RTMPOSE, RTMW
from tests.pose.pictures import assert_hands, mirrored, noise, signing, truth, two_spots

if importlib.util.find_spec("mmpose") is None:
    pytest.skip("mmpose is not installed: requirements/mmpose.txt", allow_module_level=True)

ROOT = Path(__file__).parents[2]
ORDER = list(FLIP_133)
BIAS = "head.final_layer.bias"


@pytest.fixture(scope="module")
def two_hands(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Config and checkpoint of a network with known predictions."""
    folder = tmp_path_factory.mktemp("two_hands")
    config = networks.two_hands_config(folder)
    return config, networks.save(networks.two_hands(config), folder / "two_hands.pth")


def settings(config: str, path: str, **more: Any) -> MmposeSettings:
    return MmposeSettings(
        estimator="mmpose", config=config, checkpoint=WeightsFile(path=path), **more
    )


def estimated(settings: MmposeSettings, frames: list[np.ndarray]) -> np.ndarray:
    height, width = frames[0].shape[:2]
    return open_estimator(settings, "cpu").estimate(pose_clip(frames, width=width, height=height))


# --- the networks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config", [DARK, RTMPOSE, RTMW, pytest.param(HRNET, marks=pytest.mark.slow)]
)
def test_every_frame_has_133_finite_points(weights: Any, config: str) -> None:
    estimator = open_estimator(settings(config, weights(config), flip_average=False), "cpu")
    result = estimator.estimate(pose_clip(noise(2)))
    assert result.shape == (2, 133, 3)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    given = result[result[..., 2] > 0]
    assert len(given) > 100
    assert given[:, 2].max() <= 1
    assert given[:, :2].min() > -160  # a portrait crop of a landscape frame
    assert given[:, :2].max() < 480
    assert not result[result[..., 2] == 0].any()
    assert estimator.name == f"mmpose-1.3.2-{config}"
    assert estimator.weights_sha256 == sha256_of(weights(config))
    assert estimator.estimate(pose_clip([])).shape == (0, 133, 3)


@pytest.mark.parametrize("config", [DARK, RTMPOSE])
def test_the_size_of_a_batch_changes_nothing(weights: Any, config: str) -> None:
    frames = noise(5)
    one, *others = (
        estimated(settings(config, weights(config), batch_size=size), frames) for size in (1, 2, 8)
    )
    for other in others:
        assert np.abs(other - one).max() < 1e-2
    assert len(np.unique(one[..., :2].reshape(5, -1), axis=0)) == 5  # frames differ


@pytest.mark.parametrize("flip", [True, False])
def test_a_mirrored_clip_has_mirrored_vectors(weights: Any, flip: bool) -> None:
    """RTMPose: W - 1/2 - x is the mirror of bin x; without flip averaging the two differ."""
    estimator = MMPose(settings(RTMPOSE, weights(RTMPOSE), flip_average=flip), "cpu")
    frames = noise(3)
    result = estimator.estimate(pose_clip(frames))
    back = estimator.estimate(pose_clip(mirrored(frames)))[:, ORDER]
    scale = max(320 / 192, 256 / 256)
    x = 319 - back[..., 0] + scale / 2
    same = (np.abs(x - result[..., 0]) < 0.01) & (np.abs(back[..., 1] - result[..., 1]) < 0.01)
    assert same.all() if flip else same.mean() < 0.5


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


def test_the_permutation_is_mmposes_own() -> None:
    package = Path(importlib.util.find_spec("mmpose").origin or "").parent
    config = next(package.rglob("_base_/datasets/coco_wholebody.py"))
    result: dict[str, Any] = {}
    exec(config.read_text(), result)
    info = result["dataset_info"]["keypoint_info"]
    number = {each["name"]: i for i, each in info.items()}
    swapped = [number[each["swap"]] if each["swap"] else i for i, each in info.items()]
    assert swapped == ORDER


def test_half_precision_is_near_single(weights: Any) -> None:
    """Compared at the input of the head; random layers differ more than trained ones."""
    pictures = [crop_frame(frame, None, (192, 256)).picture for frame in noise(2)]
    features = []
    for precision in ("fp32", "fp16"):
        ours = settings(RTMPOSE, weights(RTMPOSE), precision=precision)
        network = MMPose(ours, "cpu").network
        with torch.inference_mode():
            (result,) = network._features(network._inputs(pictures))
        assert result.dtype == torch.float32
        features.append(result.numpy().ravel())
    assert not np.array_equal(*features)
    assert np.corrcoef(*features)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("width", "height"), [(1080, 1920), (3840, 2160), (64, 48)], ids=["portrait", "4K", "tiny"]
)
def test_points_are_pixels_of_the_frame_whatever_its_size(
    two_hands: tuple[str, str], width: int, height: int
) -> None:
    """The second frame of the clip has another size."""
    picture, places = two_spots(truth()[10])
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 3
    frame = np.zeros((height, width, 3), np.uint8)
    resized = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    frame[top : top + side, left : left + side] = resized
    expected = (places + 0.5) * (side / 512) - 0.5 + (left, top)
    first, second = estimated(settings(*two_hands), [frame, picture])
    cell = 4 * max(width / 192, height / 256)  # px
    for hand, place, small in zip((LEFT_HAND, RIGHT_HAND), expected, places, strict=True):
        assert np.abs(first[list(hand), :2] - place).max() < cell
        assert np.abs(second[list(hand), :2] - small).max() < 12


# --- left and right ------------------------------------------------------------------------------


@pytest.mark.parametrize("fidelity", ["corrected", "published"])
def test_the_right_hand_of_a_right_handed_sign_is_the_right_hand(
    two_hands: tuple[str, str], fidelity: str
) -> None:
    """And the left hand of the mirrored clip."""
    frames, places = signing()
    ours = settings(*two_hands, fidelity=fidelity)
    keypoints_px = estimated(ours, frames)
    assert_hands(keypoints_px, places, 8)  # a cell is 11 px, in `published` 4
    if fidelity == "corrected":
        back = estimated(ours, mirrored(frames))[:, ORDER]
        given = keypoints_px[..., 2] > 0
        assert np.abs(511 - back[..., 0] - keypoints_px[..., 0])[given].max() < 6
        assert np.abs(back[..., 1:] - keypoints_px[..., 1:]).max() < 1


# --- published -----------------------------------------------------------------------------------


def released_keypoints(model: Any, frame: np.ndarray) -> np.ndarray:
    """Mirrored keypoints (133, 3) of a frame, step by step as in SAM-SLR's code."""
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
    result = estimator.estimate(pose_clip(frames))
    for ours, frame in zip(result, frames, strict=True):
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


def test_published_needs_frames_of_512_and_heat_maps(weights: Any) -> None:
    with pytest.raises(DataError, match=r"frames of 512x512 .*found 320x256; use fidelity corr"):
        estimated(settings(DARK, weights(DARK), fidelity="published"), noise(1))
    with pytest.raises(ConfigError, match=r"which mmpose-1.3.2-rtmpose-t.* does not give"):
        open_estimator(settings(RTMPOSE, weights(RTMPOSE), fidelity="published"), "cpu")


# --- heat-maps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fidelity", ["corrected", "published"])
def test_heatmaps_have_the_hands_where_they_are(two_hands: tuple[str, str], fidelity: str) -> None:
    pictures, places = signing()
    both = NetworkHeatmaps(
        HeatmapsSettings(source="network", fidelity=fidelity), settings(*two_hands), "cpu"
    )
    result, values = both.estimate(pose_clip(pictures))
    assert np.array_equal(result, both.estimator.estimate(pose_clip(pictures)))
    assert values.shape == (60, 33, 24, 24)
    assert values.dtype == np.uint8
    frames = sixty_frames(len(pictures), fidelity=fidelity)
    for t, maps in zip(frames, values, strict=True):
        for hand, place in zip((LEFT_HAND, RIGHT_HAND), places[t], strict=True):
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
def test_maps_of_a_crop_lie_on_the_frame_as_drawn_maps_do(
    weights: Any, width: int, height: int
) -> None:
    """Gaussians in the cells of the crop, against the ones drawn on the frame."""
    weights(DARK)  # imports MMPose
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


def test_simcc_networks_give_no_heat_maps(weights: Any) -> None:
    with pytest.raises(ConfigError, match=r"rtmpose-t.* gives no heat-maps; use source drawn"):
        NetworkHeatmaps(
            HeatmapsSettings(source="network"), settings(RTMPOSE, weights(RTMPOSE)), "cpu"
        )


def test_one_step_writes_keypoints_and_heatmaps(weights: Any, tmp_path: Path) -> None:
    rows = [Verified("signer_gone", "gone.mp4", "", "there is no such file")]
    for sample in ("signer0_sample1", "signer0_sample2"):
        path = str(ROOT / f"demo/train/{sample}_color.mp4")
        info = probe(path)
        size = (info.frames, info.width, info.height, info.fps)
        rows.append(Verified(sample, path, "", "", *size, sha256_of(path)))
    verified = str(tmp_path / "verified.csv")
    write_verified(verified, rows)
    ours = settings(DARK, weights(DARK), flip_average=False)
    network = HeatmapsSettings(source="network")
    out = [str(tmp_path / name) for name in ("keypoints.h5", "heatmaps.h5")]
    keypoints(ours, "cpu", verified, out, network)
    keypoints(ours, "cpu", verified, [str(tmp_path / "alone.h5")])
    both, alone = (FeatureStore("keypoints", [path]) for path in (out[0], tmp_path / "alone.h5"))
    maps = FeatureStore("heatmaps", [out[1]])
    for row in rows[1:]:
        assert np.array_equal(both.read(row.sample).values, alone.read(row.sample).values)
        assert maps.read(row.sample).values.shape == (60, 33, 24, 24)
        assert from_bytes(maps.read(row.sample).values).max() > 0
    assert maps.read("signer_gone").values.shape[0] == 0
    digest = sha256_of(weights(DARK))
    facts = FeatureFile(out[0], "keypoints").attributes
    assert (facts["estimator"], facts["weights_sha256"]) == (f"mmpose-1.3.2-{DARK}", digest)
    assert (facts["estimated_on"], facts["box"]) == ("frames as filmed", "frame")
    facts = FeatureFile(out[1], "heatmaps").attributes
    assert (facts["source"], facts["network_sha256"]) == ("network", digest)
    before = [Path(path).read_bytes() for path in out]
    keypoints(ours, "cpu", verified, out, network)
    assert [Path(path).read_bytes() for path in out] == before


# --- configs and checkpoints ---------------------------------------------------------------------


def test_checkpoints_with_other_prefixes_are_the_same(weights: Any, tmp_path: Path) -> None:
    """From data-parallel training, and from MMPose before 1.0."""
    content = torch.load(weights(DARK), weights_only=False)["state_dict"]
    before_1_0 = {name.replace("head.", "keypoint_head."): each for name, each in content.items()}
    cases = (
        {f"module.{name}": value for name, value in content.items()},
        {name: each for name, each in before_1_0.items() if "num_batches" not in name},
    )
    expected = estimated(settings(DARK, weights(DARK)), noise(1))
    for state in cases:
        path = tmp_path / "other.pth"
        torch.save({"state_dict": state, "meta": {}}, path)
        assert np.array_equal(estimated(settings(DARK, str(path)), noise(1)), expected)


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


def test_a_forged_checkpoint_is_refused_and_not_run(
    weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = torch.load(weights(DARK), weights_only=False)
    torch.save({**content, "meta": {"hook": Runs("builtins.open", "trap", "w")}}, "forged.pth")
    with pytest.raises(ArtifactError, match=r"forged\.pth: asks for .*open, and nothing in a file"):
        open_estimator(settings(DARK, "forged.pth"), "cpu")
    assert not Path("trap").exists()


@pytest.mark.parametrize(
    ("config", "changes", "reason"),
    [
        (
            DARK,
            {BIAS: None},
            r"1 missing \(head.final_layer.bias\); use the checkpoint that was trained",
        ),
        (DARK, {"backbone.extra": torch.zeros(1)}, r"1 unknown \(backbone.extra\)"),
        (
            DARK,
            {BIAS: torch.zeros(17)},
            r"1 of another shape \(size mismatch for head.final_layer.bias: .*\[17\]",
        ),
        (RTMPOSE, {}, r"its \d+ weights are not those of config td-hm_vip.*: \d+ of another shape"),
    ],
)
def test_weights_of_another_network_are_named(
    weights: Any, tmp_path: Path, config: str, changes: dict[str, Any], reason: str
) -> None:
    state = torch.load(weights(config), weights_only=False)["state_dict"] | changes
    state = {name: value for name, value in state.items() if value is not None}
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ArtifactError, match=reason) as caught:
        open_estimator(settings(DARK, str(tmp_path / "other.pth")), "cpu")
    assert "\n" not in str(caught.value)


def test_every_whole_body_config_in_the_wheel_opens(weights: Any) -> None:
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
        (None, r"mine\.py cannot be read \(FileNotFoundError"),
    ],
)
def test_a_config_of_something_else_is_one_line(
    tmp_path: Path, text: str | None, reason: str
) -> None:
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        networks.build(str(tmp_path / "mine.py"))
    assert "\n" not in str(caught.value)


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


def test_udp_cells_are_those_of_its_codec() -> None:
    """Gaussians painted by MMPose's codecs come back from the cell that `cells_px` says."""
    from mmpose.codecs import MSRAHeatmap, UDPHeatmap

    for kind, expected in ((MSRAHeatmap, 4.0), (UDPHeatmap, 191 / 47)):
        codec = kind((192, 256), (48, 64), sigma=2)
        place = np.array([[[codec.input_size[0] / 2, 100.0]]], np.float32)
        maps = codec.encode(place)["heatmaps"]
        x = (maps[0].sum(axis=0) * np.arange(48)).sum() / maps[0].sum()
        assert x * expected == pytest.approx(96, abs=2.1)
