"""Drawings and sheets, by hand-checked pixels."""

import numpy as np
import pytest

from slr_pipeline.report.drawing import (
    BLANK,
    LEFT,
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
from slr_pipeline.skeleton import LEFT_HAND, POSE_FLOW_KEYPOINTS


@pytest.mark.parametrize(
    ("flow", "colour"),
    [
        ((0, 0), (255, 255, 255)),
        ((4, 0), (255, 0, 0)),  # right
        ((0, 4), (128, 255, 0)),  # down
        ((-4, 0), (0, 255, 255)),  # left
        ((0, -4), (128, 0, 255)),  # up
        ((2, 0), (255, 128, 128)),  # half the magnitude
        ((400, 0), (255, 0, 0)),
    ],
)
def test_flow_has_the_colour_of_its_direction(flow: tuple[int, int], colour: tuple) -> None:
    found = flow_colours(np.full((1, 2, 2), flow, np.float32), largest_px=4)
    np.testing.assert_allclose(found.astype(int), np.full((1, 2, 3), colour), atol=1)


def test_the_wheel_shows_each_direction() -> None:
    wheel = colour_wheel(101).astype(int)
    ends = wheel[[50, 98, 50, 2], [98, 50, 2, 50]]
    expected = [(255, 0, 0), (128, 255, 0), (0, 255, 255), (128, 0, 255)]
    np.testing.assert_allclose(ends, expected, atol=15)
    for corner in wheel[[0, 0, -1, -1, 50], [0, -1, 0, -1, 50]]:
        assert tuple(corner) == (255, 255, 255)


@pytest.mark.parametrize(
    "box",
    [
        *((3, 4, 9, 8), (-5, -5, 4, 4), (-9, 2, 99, 6), (15, 9, 40, 40), (3, 3, 4, 4)),
        *((-(2**29), 0, 5, 5), (0, 0, 0, 0), (50, 50, 60, 60), (-60, -60, -50, -50)),
    ],
)
def test_a_box_changes_only_its_outline(box: tuple[int, int, int, int]) -> None:
    picture = np.full((12, 20, 3), 77, np.uint8)
    x0, y0, x1, y1 = box
    expected = picture.copy()
    for y in range(12):
        for x in range(20):
            if x0 <= x < x1 and y0 <= y < y1 and (x in (x0, x1 - 1) or y in (y0, y1 - 1)):
                expected[y, x] = LEFT
    np.testing.assert_array_equal(draw_boxes(picture, np.array([box]), [LEFT], 1), expected)
    assert (picture == 77).all()


def keypoints(**places: tuple[float, float]) -> np.ndarray:
    """Keypoints where only the given ones, `k9=(x, y)`, are visible."""
    points = np.zeros((133, 3), np.float32)
    for name, place in places.items():
        points[int(name[1:])] = (*place, 1)
    return points


def test_bones_have_the_colour_of_their_side() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    arms = keypoints(k7=(70, 20), k9=(70, 60), k8=(30, 20), k10=(30, 60), k5=(1e9, -1e9))
    drawn = draw_skeleton(picture, arms)
    np.testing.assert_allclose(drawn[40, 70].astype(int), LEFT, atol=30)  # smoothed
    np.testing.assert_allclose(drawn[40, 30].astype(int), RIGHT, atol=30)
    arms[9, 2] = 0
    assert not draw_skeleton(picture, arms)[40, 70].any()
    np.testing.assert_array_equal(draw_skeleton(picture, np.zeros((133, 3))), picture)


@pytest.mark.parametrize(("fidelity", "side"), [("corrected", -1), ("published", 1)])
def test_a_step_is_on_the_right_side_of_the_keypoint(fidelity: str, side: int) -> None:
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
    points[3, 2] = 0  # without ears there is no scale
    assert not draw_steps(picture, points, values.reshape(-1), fidelity=fidelity).any()


def test_heatmaps_are_drawn_at_their_cells() -> None:
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
def test_shown_frames_are_evenly_spaced(frames: int, columns: int, expected: list[int]) -> None:
    assert moments(frames, columns) == expected


@pytest.mark.parametrize(
    ("size", "height"), [((720, 1280), 90), ((240, 320), 120), ((512, 512), 160), ((320, 180), 160)]
)
@pytest.mark.parametrize("columns", [1, 4])
def test_a_sheet_has_one_band_per_row(size: tuple[int, int], height: int, columns: int) -> None:
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
