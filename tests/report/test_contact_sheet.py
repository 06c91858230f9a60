"""Contact sheets of a demo clip, made by the command."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.config.estimators import MediapipeSettings
from slr_pipeline.config.features import (
    FidelitySettings,
    FlowSettings,
    HeatmapsSettings,
    HhaSettings,
)
from slr_pipeline.io.verified import Verified, read_verified, write_verified
from slr_pipeline.io.video_writer import write_video
from slr_pipeline.report.drawing import lay_out
from slr_pipeline.samples.table import Sample
from slr_pipeline.schema import FEATURES
from slr_pipeline.steps.verify import verify_sample

TRAIN = Path(__file__).parents[2] / "demo" / "train"
SHARD = "train/7"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run with every feature of one demo clip, and a quarantined sample."""
    from slr_pipeline.steps.flow import flow
    from slr_pipeline.steps.frames import frames
    from slr_pipeline.steps.hand_crops import hand_crops
    from slr_pipeline.steps.heatmaps import heatmaps
    from slr_pipeline.steps.hha import hha
    from slr_pipeline.steps.keypoints import keypoints
    from slr_pipeline.steps.pose_flow import pose_flow

    root = tmp_path_factory.mktemp("results")
    color, depth = (str(TRAIN / f"signer0_sample1_{kind}.mp4") for kind in ("color", "depth"))
    rows = [
        verify_sample(Sample("whole", "train", 0, None, color, depth)),
        Verified("broken", "no.mp4", "", "no.mp4: there is no such file"),
    ]
    verified = str(root / "verify" / f"{SHARD}.csv")
    write_verified(verified, rows)
    out = {feature: str(root / "features" / feature / f"{SHARD}.h5") for feature in FEATURES}
    points, settings = out["keypoints"], FidelitySettings()
    keypoints(MediapipeSettings(), "cpu", verified, [points])
    frames(settings, verified, points, out["frames"])
    hand_crops(settings, "hand_crops", verified, points, out["hand_crops"])
    hand_crops(settings, "depth_hand_crops", verified, points, out["depth_hand_crops"])
    pose_flow(settings, verified, points, out["pose_flow"])
    heatmaps(HeatmapsSettings(), verified, points, out["heatmaps"])
    dis = FlowSettings(method="dis")
    flow(dis, "flow", verified, points, out["flow"])
    flow(dis, "depth_flow", verified, points, out["depth_flow"])
    hha(HhaSettings(), verified, points, out["hha"])
    return root


def sheet(results: Path, out: Path, *flags: str, sample: str = "whole") -> np.ndarray:
    command = ["contact-sheet", sample, "--results", str(results), "--out", str(out)]
    main([*command, "--tile", "64", *flags])
    return cv2.imread(str(out))


def test_the_command_draws_every_feature(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    found = sheet(results, out, "--columns", "3")
    head = lay_out([], []).shape[0]
    # 15 rows of a tile and a gap; two rows with two lines of text and a wheel.
    heights = 15 * 68 + 2 * (2 * 16 + 48 + 4 + 4)
    assert found.shape[:2] == (head + heights, lay_out([], ["a"] * 3, tile_px=64).shape[1])
    first = out.read_bytes()
    sheet(results, out, "--columns", "3")
    assert out.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_subset_of_features_is_drawn(results: Path, tmp_path: Path) -> None:
    asked = sheet(results, tmp_path / "asked.png", "--features", "keypoints", "hand_crops")
    for feature in ("keypoints", "hand_crops"):
        place = Path("features", feature, f"{SHARD}.h5")
        (tmp_path / place).parent.mkdir(parents=True)
        os.link(results / place, tmp_path / place)
    shutil.copytree(results / "verify", tmp_path / "verify")
    there = sheet(tmp_path, tmp_path / "there.png")
    assert len(there) == len(asked) + 68  # the depth video is drawn if no features are given
    np.testing.assert_array_equal(there[: len(asked)], asked)
    videos = sheet(tmp_path, tmp_path / "videos.png", "--features", "hha")
    assert len(videos) == lay_out([], []).shape[0] + 2 * 68  # colour and depth


def test_a_clip_of_one_frame_without_a_person(tmp_path: Path) -> None:
    from slr_pipeline.io.feature_writer import NewClip
    from tests.feature_files import write_feature

    video = tmp_path / "one.mp4"
    wall = np.full((240, 320, 3), 200, np.uint8)
    write_video(video, [wall], width=320, height=240, fps=25)
    row = verify_sample(Sample("one", "train", 0, None, str(video), None))
    assert (row.frames, row.width, row.height, row.reason) == (1, 320, 240, "")
    write_verified(tmp_path / "verify" / f"{SHARD}.csv", [row])
    for feature, schema in FEATURES.items():
        T = schema.frames or 1
        clip = NewClip(
            "one",
            np.zeros((T, *schema.shape), schema.dtype),
            320,
            240,
            25.0,
            boxes=np.zeros((T, schema.boxes, 4), np.int32) if schema.boxes else None,
            counts=dict.fromkeys(schema.counts, 0),
        )
        path = tmp_path / "features" / feature / f"{SHARD}.h5"
        attributes = {"bound_px": 20.0} if "flow" in feature else {}
        write_feature(path, feature, [clip], attributes, {"settings": {"fidelity": "corrected"}})
    found = sheet(tmp_path, tmp_path / "sheet.png", sample="one")
    assert found.shape[1] == lay_out([], ["a"], tile_px=64).shape[1]
    frame = found[lay_out([], []).shape[0] + 20, -40].astype(int)
    np.testing.assert_allclose(frame, 200, atol=4)


@pytest.mark.parametrize(
    ("sample", "flags", "line"),
    [
        ("nobody", [], "sample nobody is in none of the 1 tables "),
        ("broken", [], "sample broken is quarantined: no.mp4: there is no such file"),
        ("whole", ["--features", "hands"], "--features: unknown hands (known: keypoints frames "),
        ("whole", ["--columns", "0"], "--columns 0 --tile 64: at least 1 column and 16 px"),
    ],
)
def test_errors_are_one_line(
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    sample: str,
    flags: list[str],
    line: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        sheet(results, tmp_path / "sheet.png", *flags, sample=sample)
    assert ended.value.code == 1
    found = capsys.readouterr().err
    assert found.startswith(f"error: {line}")
    assert len(found.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_feature_of_another_length_is_refused(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(results, tmp_path / "results")
    table = tmp_path / "results" / "verify" / f"{SHARD}.csv"
    other = TRAIN / "signer2_sample1_color.mp4"
    row = verify_sample(Sample("whole", "train", 0, None, str(other), None))
    assert row.frames != read_verified(table)[0].frames
    write_verified(table, [row])
    with pytest.raises(SystemExit):
        sheet(tmp_path / "results", tmp_path / "sheet.png")
    assert f"keypoints/{SHARD}.h5: sample whole has " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
