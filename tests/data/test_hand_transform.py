from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from slr_pipeline.data.clip_transform import Array, Picture, jittered
from slr_pipeline.data.hand_transform import (
    FLIP_53,
    MEAN,
    PLACES,
    STD,
    WINDOWS_PX,
    HandTransform,
    mirrored_pose_flow,
    normalised,
    published_hands,
)
from slr_pipeline.features.pose_flow import pose_flow
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import BODY_135, FLIP_133, POSE_FLOW_KEYPOINTS

FIDELITIES = pytest.mark.parametrize("fidelity", ["published", "corrected"])
DEPTH = pytest.mark.parametrize("depth", [False, True], ids=["color", "depth"])
NAMES = [BODY_135[i] for i in POSE_FLOW_KEYPOINTS]
L_WRIST, R_WRIST, NOSE = (NAMES.index(name) for name in ("left_wrist", "right_wrist", "nose"))
LEFT, RIGHT, DEPTH_LEFT, DEPTH_RIGHT = range(4)

ALL_THERE = np.zeros((3, 2), bool)


def small(fidelity: Fidelity, depth: bool = False, size: int = 64) -> HandTransform:
    return HandTransform(fidelity, frames=3, size=size, depth=depth)


def item(frames: int = 3, seed: int = 0) -> tuple[Picture, Array, Picture]:
    """Crops of blobs, pose flow, depth crops."""
    rng = np.random.default_rng(seed)
    crops = rng.integers(0, 256, (frames, 2, 8, 8, 3), dtype=np.uint8).repeat(32, 2).repeat(32, 3)
    depth = rng.integers(0, 256, (frames, 2, 8, 8), dtype=np.uint8).repeat(32, 2).repeat(32, 3)
    pose = rng.uniform(0.01, 1, (frames, 106)).astype(np.float32)
    return crops, pose, depth


def constant(values: list[list[int]]) -> Picture:
    """Pictures (frames, 2, 256, 256), each of one value."""
    return np.broadcast_to(np.uint8(values)[..., None, None], (len(values), 2, 256, 256))


def in_color(grey: Picture) -> Picture:
    return np.repeat(grey[..., None], 3, axis=-1)


def as_bytes(pictures: Array) -> NDArray[np.float64]:
    """Pictures (frames, S, 3, H, W) as they were before normalisation."""
    mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
    return np.asarray((pictures * std + mean) * 255)


def ramps() -> Picture:
    """Crops whose red tells the row and whose green tells the column."""
    crops = np.zeros((1, 2, 256, 256, 3), np.uint8)
    crops[..., 0] = np.arange(256)[:, None]
    crops[..., 1] = np.arange(256)
    return crops


def extents(pictures: Array) -> tuple[float, float, float, float]:
    """Rows and columns of the `ramps` between the outer pixels, to half a pixel or so."""
    values = as_bytes(pictures)[0, 0]
    rows, columns = values[0, :, 0], values[1, 0]
    return rows.min(), rows.max(), columns.min(), columns.max()


# --- both fidelities -----------------------------------------------------------------------------


@FIDELITIES
@DEPTH
@pytest.mark.parametrize("size", [1, 33, 64, 224, 256])
def test_shapes(fidelity: Fidelity, depth: bool, size: int) -> None:
    crops, pose, grey = item()
    copies = crops.copy(), pose.copy(), grey.copy()
    transform = small(fidelity, depth, size)
    for rng in (None, np.random.default_rng(0), np.random.default_rng(1)):
        pictures, flow = transform(
            crops, pose, rng, missing=ALL_THERE, depth=grey if depth else None
        )
        assert pictures.shape == (3, 4 if depth else 2, 3, size, size)
        assert flow.shape == (3, 106)
        assert pictures.dtype == flow.dtype == np.float32
        assert pictures.flags.c_contiguous
        assert np.isfinite(pictures).all()
        bytes_ = as_bytes(pictures)
        assert -0.01 < bytes_.min() <= bytes_.max() < 255.01
    for array, copy in zip((crops, pose, grey), copies, strict=True):
        assert np.array_equal(array, copy)


@FIDELITIES
def test_evaluation_is_the_middle_of_the_crops(fidelity: Fidelity) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (3, 2, 256, 256, 3), dtype=np.uint8)
    grey = rng.integers(0, 256, (3, 2, 256, 256), dtype=np.uint8)
    pose = item()[1]
    pictures, flow = small(fidelity, depth=True, size=224)(
        crops, pose, None, missing=ALL_THERE, depth=grey
    )
    expected = np.concatenate([crops, in_color(grey)], axis=1)[:, :, 16:240, 16:240]
    assert np.array_equal(pictures, normalised(expected))
    assert np.array_equal(flow, pose)


def test_normalised_by_hand() -> None:
    picture = np.array([0, 255, 51], np.uint8).reshape(1, 1, 1, 1, 3)
    expected = [-0.485 / 0.229, (1 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(normalised(picture).ravel(), expected, rtol=1e-6)


@FIDELITIES
def test_all_pictures_change_alike(fidelity: Fidelity) -> None:
    crops, pose, _ = item(frames=1)
    still = np.repeat(crops[:, :1], 2, axis=1).repeat(3, axis=0)
    for seed in range(10):
        pictures, _ = small(fidelity)(
            still, pose.repeat(3, 0), np.random.default_rng(seed), missing=ALL_THERE
        )
        assert (pictures == pictures[:1, :1]).all()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    fidelity=st.sampled_from(get_args(Fidelity)),
    depth=st.booleans(),
)
def test_same_generator_same_item(seed: int, fidelity: Fidelity, depth: bool) -> None:
    crops, pose, grey = item()
    first, again, other = (
        small(fidelity, depth)(
            crops,
            pose,
            np.random.default_rng(number),
            missing=ALL_THERE,
            depth=grey if depth else None,
        )
        for number in (seed, seed, seed + 1)
    )
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@FIDELITIES
def test_jitter_is_that_of_a_picture(fidelity: Fidelity) -> None:
    crops, pose, _ = item()
    plain = replace(small(fidelity), flip_probability=0, jitter=0)
    jittering = replace(plain, jitter=0.5)
    factors = set()
    for seed in range(40):
        before, after = (
            as_bytes(transform(crops, pose, np.random.default_rng(seed), missing=ALL_THERE)[0])
            for transform in (plain, jittering)
        )
        rng = np.random.default_rng(seed)
        for many in ((4 if fidelity == "published" else 10), 13):
            rng.integers(many)
        rng.random()
        drawn = tuple(rng.uniform(0.5, 1.5, 3).tolist())
        factors.add(drawn)
        for place in np.ndindex(3, 2):
            picture = np.rint(before[place]).astype(np.uint8).transpose(1, 2, 0)
            expected = jittered(np.ascontiguousarray(picture), drawn).transpose(2, 0, 1)
            np.testing.assert_allclose(after[place], expected, atol=0.01)
    assert len(factors) == 40


@FIDELITIES
def test_half_of_the_items_are_mirrored(fidelity: Fidelity) -> None:
    crops, pose, _ = item()
    crops = np.zeros_like(crops)
    crops[:, :, :, 128:] = 200
    transform, rng = replace(small(fidelity, size=8), jitter=0), np.random.default_rng(0)
    left = [
        bool(transform(crops, pose, rng, missing=ALL_THERE)[0][0, 0, 0, 4, 0] > 0)
        for _ in range(500)
    ]
    assert sum(left) == pytest.approx(250, abs=45)


@FIDELITIES
@pytest.mark.parametrize("T", [1, 2, 15, 16, 17, 31, 32, 33, 60, 1000])
def test_index(fidelity: Fidelity, T: int) -> None:
    index = HandTransform(fidelity).index(T)
    assert index.shape == (16,)
    assert 0 <= index.min() <= index.max() < T
    if T == 60:
        assert index[0] == (11 if fidelity == "published" else 14)


@FIDELITIES
def test_shapes_that_are_refused(fidelity: Fidelity) -> None:
    crops, pose, grey = item()
    transform = small(fidelity)
    with pytest.raises(ValueError, match="depth is False, found an item with depth"):
        transform(crops, pose, None, missing=ALL_THERE, depth=grey)
    with pytest.raises(ValueError, match="depth is True, found an item without depth"):
        small(fidelity, depth=True)(crops, pose, None, missing=ALL_THERE)
    with pytest.raises(ValueError, match="expected crops"):
        transform(crops[:2], pose, None, missing=ALL_THERE)
    with pytest.raises(ValueError, match="expected pose flow"):
        transform(crops, pose[:, :100], None, missing=ALL_THERE)
    with pytest.raises(ValueError, match="expected missing"):
        transform(crops, pose, None, missing=ALL_THERE[:2])
    with pytest.raises(ValueError, match="expected depth crops"):
        small(fidelity, depth=True)(crops, pose, None, missing=ALL_THERE, depth=grey[:, :1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, "frames, stride and size"),
        ({"stride": 0}, "frames, stride and size"),
        ({"size": 0}, "frames, stride and size"),
        ({"jitter": 1.5}, "jitter must be 0 to 1, found 1.5"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HandTransform(**settings)  # type: ignore[arg-type]


# --- windows -------------------------------------------------------------------------------------


def test_windows_by_hand() -> None:
    assert [*WINDOWS_PX] == [
        *((256, 256), (256, 215), (215, 256), (215, 215), (215, 181)),
        *((181, 215), (181, 181), (181, 152), (152, 181), (152, 152)),
    ]
    assert len(set(PLACES)) == 13


def drawn_extents(fidelity: Fidelity) -> set[tuple[int, int, int, int]]:
    """Top, bottom, left and right of what is seen in 600 items."""
    transform = HandTransform(fidelity, frames=1, size=256, flip_probability=0, jitter=0)
    crops, pose, there = ramps(), item(frames=1)[1], np.zeros((1, 2), bool)
    found = set()
    for seed in range(600):
        pictures, _ = transform(crops, pose, np.random.default_rng(seed), missing=there)
        top, bottom, left, right = (round(edge) for edge in extents(pictures))
        found.add((top, bottom, left, right))
    return found


def test_published_windows_are_cut_at_the_border() -> None:
    """And only the first four sizes occur, at 0 to 32 px."""
    found = drawn_extents("published")
    expected = {
        (8 * row, min(8 * row + height, 256) - 1, 8 * column, min(8 * column + width, 256) - 1)
        for height, width in WINDOWS_PX[:4]
        for row, column in PLACES
    }
    assert found == expected


def test_corrected_windows_lie_in_the_crop() -> None:
    found = drawn_extents("corrected")
    sizes = {(bottom - top + 1, right - left + 1) for top, bottom, left, right in found}
    assert sizes == set(WINDOWS_PX)
    small_ones = {
        window for window in found if window[1] - window[0] == window[3] - window[2] == 151
    }
    assert {(top, left) for top, _, left, _ in small_ones} == {
        (26 * row, 26 * column) for row, column in PLACES
    }


def test_published_depth_is_black_where_color_is_cut() -> None:
    """So the two are no longer of the same place."""
    crops = np.full((3, 2, 256, 256, 3), 200, np.uint8)
    grey = np.full((3, 2, 256, 256), 200, np.uint8)
    pose = item()[1]
    darkest = set()
    for fidelity in get_args(Fidelity):
        transform = replace(small(fidelity, depth=True, size=256), flip_probability=0, jitter=0)
        for seed in range(30):
            pictures, _ = transform(
                crops, pose, np.random.default_rng(seed), missing=ALL_THERE, depth=grey
            )
            values = as_bytes(pictures)
            np.testing.assert_allclose(values[:, :2], 200, atol=0.01)
            np.testing.assert_allclose(values[..., 0, 0], 200, atol=0.01)  # never above or left
            darkest.add((fidelity, round(values[:, 2:].min())))
    assert darkest == {("published", 0), ("published", 200), ("corrected", 200)}


@pytest.mark.parametrize(("size", "method"), [(64, cv2.INTER_AREA), (240, cv2.INTER_LINEAR)])
def test_resizing_of_evaluation(size: int, method: int) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (3, 2, 256, 256, 3), dtype=np.uint8)
    pose = item()[1]
    for fidelity, expected in (("published", cv2.INTER_LINEAR), ("corrected", method)):
        pictures, _ = HandTransform(fidelity, frames=3, size=size)(
            crops, pose, None, missing=ALL_THERE
        )
        resized = cv2.resize(crops[1, 0, 16:240, 16:240], (size, size), interpolation=expected)
        np.testing.assert_allclose(as_bytes(pictures)[1, 0].transpose(1, 2, 0), resized, atol=0.01)


# --- mirroring -----------------------------------------------------------------------------------


def mirrored_pair(
    fidelity: Fidelity, depth: bool, seed: int = 5
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The same item, once mirrored and once not."""
    crops, pose, grey = item()
    plain, mirrored = (
        replace(small(fidelity, depth), flip_probability=probability)(
            crops,
            pose,
            np.random.default_rng(seed),
            missing=ALL_THERE,
            depth=grey if depth else None,
        )
        for probability in (0, 1)
    )
    return plain, mirrored


@DEPTH
def test_published_mirrors_pictures_alone(depth: bool) -> None:
    (pictures, pose), (mirrored, mirrored_pose) = mirrored_pair("published", depth)
    assert np.array_equal(mirrored, pictures[..., ::-1])
    assert np.array_equal(mirrored_pose, pose)


@DEPTH
def test_corrected_mirrors_the_person(depth: bool) -> None:
    (pictures, pose), (mirrored, mirrored_pose) = mirrored_pair("corrected", depth)
    order = [RIGHT, LEFT, DEPTH_RIGHT, DEPTH_LEFT] if depth else [RIGHT, LEFT]
    assert np.array_equal(mirrored, pictures[:, order, :, :, ::-1])
    assert np.array_equal(mirrored_pose, mirrored_pose_flow(pose))
    assert not np.array_equal(mirrored_pose, pose)


def test_flip_exchanges_left_and_right_by_name() -> None:
    swap = {"left": "right", "right": "left"}
    for name, other in zip(NAMES, (NAMES[i] for i in FLIP_53), strict=True):
        side, _, rest = name.partition("_")
        assert other == (f"{swap[side]}_{rest}" if side in swap else name)
    assert sorted(FLIP_53) == list(range(53))
    assert [NAMES[i] for i, j in enumerate(FLIP_53) if i == j] == ["nose", "upper_neck", "head_top"]


def test_mirrored_pose_flow_by_hand() -> None:
    pose = np.zeros((1, 106), np.float32)
    angles, magnitudes = pose[:, 0::2], pose[:, 1::2]
    angles[0, L_WRIST], magnitudes[0, L_WRIST] = 0.25, 2  # right and down
    angles[0, NOSE], magnitudes[0, NOSE] = -0.25, 3  # right and up
    other = mirrored_pose_flow(pose)
    expected = np.zeros((1, 106), np.float32)
    expected[0, 2 * R_WRIST : 2 * R_WRIST + 2] = 0.75, 2
    expected[0, 2 * NOSE : 2 * NOSE + 2] = -0.75, 3
    np.testing.assert_allclose(other, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("angle", "expected"), [(0, 1), (1, 0), (-1, 0), (0.5, 0.5), (-0.5, -0.5), (1e-9, 1)]
)
def test_angles_by_hand(angle: float, expected: float) -> None:
    pose = np.ones((1, 106), np.float32)
    pose[:, 0::2] = angle
    np.testing.assert_allclose(mirrored_pose_flow(pose)[:, 0::2], expected, atol=1e-7)


@given(
    angles=hnp.arrays(np.float32, (3, 53), elements=st.floats(-1, 1, width=32, exclude_min=True)),
    magnitudes=hnp.arrays(np.float32, (3, 53), elements=st.floats(0, 100, width=32)),
)
def test_mirroring_twice_is_the_identity(
    angles: NDArray[np.float32], magnitudes: NDArray[np.float32]
) -> None:
    pose = np.zeros((3, 106), np.float32)
    pose[:, 0::2], pose[:, 1::2] = np.where(magnitudes > 0, angles, 0), magnitudes
    before = pose.copy()
    once = mirrored_pose_flow(pose)
    twice = mirrored_pose_flow(once)
    assert (once[:, 0::2] > -1).all()
    assert (once[:, 0::2] <= 1).all()
    assert (once[:, 0::2][once[:, 1::2] == 0] == 0).all()
    assert np.array_equal(twice[:, 1::2], magnitudes)
    # An angle just above -1 comes back as 1, which is the same direction.
    difference = np.abs(twice[:, 0::2] - pose[:, 0::2])
    assert (np.minimum(difference, 2 - difference) < 1e-6).all()
    assert np.array_equal(pose, before)


def test_rest_stays_rest() -> None:
    still = np.zeros((4, 106), np.float32)
    assert (mirrored_pose_flow(still) == 0).all()


@FIDELITIES
def test_mirrored_pose_flow_is_that_of_the_mirrored_person(fidelity: Fidelity) -> None:
    rng = np.random.default_rng(0)
    person = rng.uniform(1, 511, (20, 133, 3))
    person[rng.random((20, 133)) < 0.1] = 0
    # Ears and shoulders are still: pose flow keeps the place of the person, which 512 - x does not
    # where the head changes its length.
    person[:, 3:7, :2] = [[280, 100], [220, 100], [330, 250], [170, 250]]
    person[:, 3:7, 2] = 1
    other = person[:, FLIP_133]
    other[..., 0] = np.where(other[..., 2] > 0, 512 - other[..., 0], 0)
    ours = mirrored_pose_flow(pose_flow(person, fidelity=fidelity).values)
    theirs = pose_flow(other, fidelity=fidelity).values

    def steps(pose: Array) -> Array:
        angles, lengths = np.pi * pose[:, 0::2], pose[:, 1::2]
        return np.stack([lengths * np.cos(angles), lengths * np.sin(angles)])

    assert (ours[:, 1::2] > 0).any(axis=0).sum() > 45
    np.testing.assert_allclose(steps(ours), steps(theirs), atol=1e-3)


# --- missing hands -------------------------------------------------------------------------------

# Frame t has the value 10 t + 1 on the left and 10 t + 2 on the right, in depth 100 more.
COLOR = in_color(constant([[10 * t + 1, 10 * t + 2] for t in range(5)]))
GREY = constant([[10 * t + 101, 10 * t + 102] for t in range(5)])


def shown(missing: dict[int, list[int]], depth: bool) -> list[list[int]]:
    flags = np.zeros((5, 2), bool)
    for hand, slots in missing.items():
        flags[slots, hand] = True
    hands = published_hands(COLOR, flags, GREY if depth else None)
    return [[int(picture.flat[0]) for picture in of_frame] for of_frame in hands]


def test_nothing_missing_nothing_changed() -> None:
    assert shown({}, depth=False) == [[10 * t + 1, 10 * t + 2] for t in range(5)]
    assert shown({}, depth=True)[3] == [31, 32, 131, 132]


def test_the_slot_after_a_missing_hand_is_overwritten() -> None:
    """The one without a hand, the whole frame, stays, and is what comes next."""
    found = shown({LEFT: [1], RIGHT: [3]}, depth=False)
    assert [left for left, _ in found] == [1, 11, 11, 31, 41]
    assert [right for _, right in found] == [2, 12, 22, 32, 32]


def test_a_repaired_left_hand_has_color_for_depth() -> None:
    found = shown({LEFT: [1]}, depth=True)
    assert [of_frame[LEFT] for of_frame in found] == [1, 11, 11, 31, 41]
    assert [of_frame[DEPTH_LEFT] for of_frame in found] == [101, 111, 11, 131, 141]
    assert [of_frame[RIGHT] for of_frame in found] == [2, 12, 22, 32, 42]
    assert [of_frame[DEPTH_RIGHT] for of_frame in found] == [102, 112, 122, 132, 142]


def test_without_a_right_hand_color_and_depth_change_places() -> None:
    found = shown({RIGHT: [1]}, depth=True)
    assert [of_frame[RIGHT] for of_frame in found] == [2, 112, 112, 32, 42]
    assert [of_frame[DEPTH_RIGHT] for of_frame in found] == [102, 12, 12, 132, 142]
    assert [of_frame[LEFT] for of_frame in found] == [1, 11, 21, 31, 41]
    assert [of_frame[DEPTH_LEFT] for of_frame in found] == [101, 111, 121, 131, 141]


def test_two_missing_in_turn() -> None:
    """Slots 2 and 3 are recorded: 2 takes 1, which is a whole frame, too, and 3 takes 4."""
    found = shown({LEFT: [1, 2]}, depth=True)
    assert [of_frame[LEFT] for of_frame in found] == [1, 11, 11, 41, 41]


@DEPTH
def test_published_items_show_these_slots(depth: bool) -> None:
    missing = np.zeros((5, 2), bool)
    missing[1] = True
    transform = HandTransform("published", frames=5, size=4, depth=depth)
    pictures, _ = transform(
        COLOR, np.zeros((5, 106), np.float32), None, missing=missing, depth=GREY if depth else None
    )
    values = np.rint(as_bytes(pictures)[..., 0, 0, 0]).astype(int).tolist()
    assert values == shown({LEFT: [1], RIGHT: [1]}, depth)


@DEPTH
def test_corrected_repairs_nothing(depth: bool) -> None:
    """Its crops are the nearest frame's already, and black where no frame has the hand."""
    crops, pose, grey = item()
    transform = small("corrected", depth)
    of_both = [
        transform(
            crops,
            pose,
            np.random.default_rng(0),
            missing=missing,
            depth=grey if depth else None,
        )[0]
        for missing in (ALL_THERE, ~ALL_THERE)
    ]
    assert np.array_equal(*of_both)


def test_black_crops_stay_black() -> None:
    crops, pose, _ = item()
    crops = np.zeros_like(crops)
    for seed in range(5):
        pictures, _ = small("corrected")(
            crops, pose, np.random.default_rng(seed), missing=~ALL_THERE
        )
        np.testing.assert_allclose(as_bytes(pictures), 0, atol=0.01)


# --- depth ---------------------------------------------------------------------------------------


def test_depth_is_grey_of_the_same_window() -> None:
    """With the same picture as colour and as depth, and no jitter, both are the same."""
    _, pose, grey = item()
    for seed in range(10):
        transform = replace(small("corrected", depth=True), jitter=0)
        pictures, _ = transform(
            in_color(grey), pose, np.random.default_rng(seed), missing=ALL_THERE, depth=grey
        )
        assert np.array_equal(pictures[:, :2], pictures[:, 2:])


@pytest.mark.parametrize(("fidelity", "changed"), [("published", 4), ("corrected", 2)])
def test_only_published_jitters_depth(fidelity: Fidelity, changed: int) -> None:
    _, pose, grey = item()
    plain = replace(small(fidelity, depth=True), jitter=0)
    for seed in range(10):
        before, after = (
            transform(
                in_color(grey), pose, np.random.default_rng(seed), missing=ALL_THERE, depth=grey
            )[0]
            for transform in (plain, replace(plain, jitter=0.5))
        )
        assert [bool((before[:, hand] != after[:, hand]).any()) for hand in range(4)] == [
            hand < changed for hand in range(4)
        ]
