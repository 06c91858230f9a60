"""What contact sheets show, by hand-checked pixels; the command on files made from a demo clip."""

import json
import os
import shutil
from pathlib import Path

import av
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
from slr_pipeline.report.drawing import (
    BLANK,
    LEFT,
    MIDDLE,
    RIGHT,
    Row,
    colour_wheel,
    draw_boxes,
    draw_heatmaps,
    draw_skeleton,
    draw_steps,
    flow_colours,
    lay_out,
    moments,
)
from slr_pipeline.samples.table import Sample
from slr_pipeline.schema import FEATURES
from slr_pipeline.skeleton import LEFT_HAND, POSE_FLOW_KEYPOINTS
from slr_pipeline.steps.verify import verify_sample

TRAIN = Path(__file__).parents[2] / "demo" / "train"
SHARD = "train/7"


@pytest.mark.parametrize(
    ("flow", "colour"),
    [
        ((0, 0), (255, 255, 255)),
        ((4, 0), (255, 0, 0)),  # right
        ((0, 4), (128, 255, 0)),  # down
        ((-4, 0), (0, 255, 255)),  # left
        ((0, -4), (128, 0, 255)),  # up
        ((2, 0), (255, 128, 128)),  # half as far
        ((400, 0), (255, 0, 0)),
    ],
)
def test_flow_has_the_colour_of_its_direction(flow: tuple[int, int], colour: tuple) -> None:
    found = flow_colours(np.full((1, 2, 2), flow, np.float32), largest_px=4)
    np.testing.assert_allclose(found.astype(int), np.full((1, 2, 3), colour), atol=1)


def test_the_wheel_shows_each_direction_at_its_place() -> None:
    wheel = colour_wheel(101).astype(int)
    ends = wheel[[50, 98, 50, 2], [98, 50, 2, 50]]
    expected = [(255, 0, 0), (128, 255, 0), (0, 255, 255), (128, 0, 255)]
    np.testing.assert_allclose(ends, expected, atol=15)
    for corner in wheel[[0, 0, -1, -1, 50], [0, -1, 0, -1, 50]]:
        assert tuple(corner) == (255, 255, 255)


@pytest.mark.parametrize(
    "box",
    [
        (3, 4, 9, 8),
        (-5, -5, 4, 4),
        (-9, 2, 99, 6),
        (15, 9, 40, 40),
        (3, 3, 4, 4),
        (-(2**29), 0, 5, 5),
    ],
)
def test_a_box_changes_its_outline_only(box: tuple[int, int, int, int]) -> None:
    picture = np.full((12, 20, 3), 77, np.uint8)
    x0, y0, x1, y1 = box
    expected = picture.copy()
    for y in range(12):
        for x in range(20):
            if x0 <= x < x1 and y0 <= y < y1 and (x in (x0, x1 - 1) or y in (y0, y1 - 1)):
                expected[y, x] = LEFT
    np.testing.assert_array_equal(draw_boxes(picture, np.array([box]), [LEFT], 1), expected)
    assert (picture == 77).all()


def test_no_box_and_a_box_elsewhere_change_nothing() -> None:
    picture = np.full((12, 20, 3), 77, np.uint8)
    boxes = np.array([(0, 0, 0, 0), (50, 50, 60, 60), (-60, -60, -50, -50)])
    np.testing.assert_array_equal(draw_boxes(picture, boxes, [LEFT, RIGHT, MIDDLE]), picture)


def keypoints(**places: tuple[float, float]) -> np.ndarray:
    """Keypoints of which only the given, `k9=(x, y)`, are seen."""
    points = np.zeros((133, 3), np.float32)
    for name, place in places.items():
        points[int(name[1:])] = (*place, 1)
    return points


def test_bones_join_seen_keypoints_in_the_colour_of_their_side() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    arms = keypoints(k7=(70, 20), k9=(70, 60), k8=(30, 20), k10=(30, 60), k5=(1e9, -1e9))
    drawn = draw_skeleton(picture, arms)
    np.testing.assert_allclose(drawn[40, 70].astype(int), LEFT, atol=30)  # smoothed
    np.testing.assert_allclose(drawn[40, 30].astype(int), RIGHT, atol=30)
    arms[9, 2] = 0
    assert not draw_skeleton(picture, arms)[40, 70].any()
    np.testing.assert_array_equal(draw_skeleton(picture, np.zeros((133, 3))), picture)


@pytest.mark.parametrize(("fidelity", "side"), [("corrected", -1), ("published", 1)])
def test_a_step_to_the_right_lies_on_its_side_of_the_keypoint(fidelity: str, side: int) -> None:
    # Ears and shoulders 50 px apart: a head is 60 px, half a head 30.
    thumb = LEFT_HAND[1]
    points = keypoints(k3=(120, 30), k4=(80, 30), k5=(130, 80), k6=(70, 80))
    points[thumb] = (100, 150, 1)
    values = np.zeros((len(POSE_FLOW_KEYPOINTS), 2), np.float32)
    values[POSE_FLOW_KEYPOINTS.index(25)] = (0, 0.5)  # of BODY_135, the thumb's first joint
    picture = np.zeros((200, 200, 3), np.uint8)
    drawn = draw_steps(picture, points, values.reshape(-1), fidelity=fidelity).any(axis=-1)
    columns = np.flatnonzero(drawn[150])
    assert columns.min() == pytest.approx(100 + min(0, 30 * side), abs=1)
    assert columns.max() == pytest.approx(100 + max(0, 30 * side), abs=1)
    points[3, 2] = 0  # no ear, no head to measure by
    assert not draw_steps(picture, points, values.reshape(-1), fidelity=fidelity).any()


def test_heatmaps_lie_where_their_cells_are() -> None:
    maps = np.zeros((33, 24, 24), np.uint8)
    maps[5, 12, 3] = 255  # left shoulder
    picture = np.zeros((240, 120, 3), np.uint8)
    drawn = draw_heatmaps(picture, maps)
    assert drawn.shape == (240, 240, 3)
    expected = np.zeros_like(drawn)
    expected[120:130, 30:40] = LEFT
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("frames", "columns", "expected"),
    [(1, 6, [0]), (3, 6, [0, 1, 2]), (10, 2, [2, 7]), (60, 3, [10, 30, 50]), (7, 1, [3])],
)
def test_moments_are_evenly_spaced(frames: int, columns: int, expected: list[int]) -> None:
    assert moments(frames, columns) == expected


@pytest.mark.parametrize(
    ("size", "height"), [((720, 1280), 90), ((240, 320), 120), ((512, 512), 160), ((320, 180), 160)]
)
@pytest.mark.parametrize("columns", [1, 4])
def test_a_sheet_has_a_band_a_row(size: tuple[int, int], height: int, columns: int) -> None:
    grey = np.full(size, 10, np.uint8)
    titles = [f"frame {i}" for i in range(columns)]
    rows = [Row("video", [grey] * columns), Row("nothing", [None] * columns)]
    one = lay_out(rows[:1], titles, tile_px=160)
    both = lay_out(rows, titles, tile_px=160)
    empty = lay_out([], titles, tile_px=160)
    assert one.shape == (empty.shape[0] + height + 4, empty.shape[1], 3)
    assert empty.shape[1] - lay_out([], [], tile_px=160).shape[1] == columns * 164
    np.testing.assert_array_equal(both[: len(one)], one)
    assert tuple(both[-6, -10]) == BLANK
    assert tuple(one[-4 - height // 2, -84]) == (10, 10, 10)


def test_a_row_with_a_picture_too_few_is_an_error() -> None:
    with pytest.raises(ValueError, match="row 'flow' has 1 pictures, not 2"):
        lay_out([Row("flow", [None])], ["a", "b"])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every feature of one demo clip, and a quarantined sample, as a run would leave them."""
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
    keypoints(MediapipeSettings(), "cpu", verified, points)
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
    # 15 plain rows of a tile and the gap under it; two have a wheel under their two lines.
    heights = 15 * 68 + 2 * (2 * 16 + 48 + 4 + 4)
    assert found.shape[:2] == (head + heights, lay_out([], ["a"] * 3, tile_px=64).shape[1])
    first = out.read_bytes()
    sheet(results, out, "--columns", "3")
    assert out.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_some_features_are_drawn_where_others_are_absent(results: Path, tmp_path: Path) -> None:
    asked = sheet(results, tmp_path / "asked.png", "--features", "keypoints", "hand_crops")
    for feature in ("keypoints", "hand_crops"):
        place = Path("features", feature, f"{SHARD}.h5")
        (tmp_path / place).parent.mkdir(parents=True)
        os.link(results / place, tmp_path / place)
    shutil.copytree(results / "verify", tmp_path / "verify")
    there = sheet(tmp_path, tmp_path / "there.png")
    assert len(there) == len(asked) + 68  # the depth video, where no feature is asked for
    np.testing.assert_array_equal(there[: len(asked)], asked)
    videos = sheet(tmp_path, tmp_path / "videos.png", "--features", "hha")
    assert len(videos) == lay_out([], []).shape[0] + 2 * 68  # colour and depth


def test_a_clip_of_one_frame_without_a_person(tmp_path: Path) -> None:
    from slr_pipeline.io.feature_writer import NewClip
    from tests.feature_files import write_feature

    video = tmp_path / "one.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        wall = np.full((240, 320, 3), 200, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(wall, format="rgb24")))
        container.mux(stream.encode())
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
def test_what_cannot_be_drawn_is_one_line(
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


def test_a_feature_of_another_length_is_one_line(
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
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["results"]'
