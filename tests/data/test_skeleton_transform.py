from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from slr_pipeline.data import skeleton_transform
from slr_pipeline.data.skeleton_transform import (
    Array,
    SkeletonTransform,
    bones,
    corrected_skeleton,
    mirrored,
    motion,
    published_skeleton,
    represented,
    trimmed,
)
from slr_pipeline.schema import Fidelity, Representation
from slr_pipeline.skeleton import (
    BONES_27,
    FLIP_27,
    FLIP_133,
    JOINTS_27,
    LEFT_HAND,
    PARENTS_27,
)

LENGTHS = [1, 2, 149, 150, 151, 1000]
CORRECTED = SkeletonTransform(
    fidelity="corrected",
    representation="joint",
    frames=150,
    window=100,
    flip_probability=0.5,
    shift_px=10.0,
    rotation_deg=0.0,
    scale_range=0.0,
    trim=False,
    stretch=False,
)
PUBLISHED = replace(CORRECTED, fidelity="published")
BOTH = pytest.mark.parametrize("transform", [PUBLISHED, CORRECTED], ids=["published", "corrected"])
FIDELITIES = pytest.mark.parametrize("fidelity", get_args(Fidelity))
REPRESENTATIONS = pytest.mark.parametrize("kind", get_args(Representation))
VECTORS = pytest.mark.parametrize("kind", get_args(Representation)[1:])

L_WRIST, R_WRIST, L_ELBOW = 5, 6, 3  # joints
LEFT_FINGERS = slice(7, 17)


def person(T: int, seed: int = 0) -> Array:
    """Keypoints (T, 133, 3) of a moving person; whole pixels, so that sums in float32 are exact."""
    rng = np.random.default_rng(seed)
    keypoints = rng.integers(1, 512, (T, 133, 3)).astype(np.float32)
    keypoints[:, 5, :2], keypoints[:, 6, :2] = (300, 200), (200, 200)  # `SHOULDERS_PX` wide
    keypoints[..., 2] = rng.uniform(0.1, 1, (T, 133))
    return keypoints


def skeletons(T: int = 6) -> st.SearchStrategy[NDArray[np.float32]]:
    values = st.floats(-1000, 1000, width=16)
    return hnp.arrays(np.float32, (T, 27, 3), elements=values)


# --- both fidelities ---------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("T", LENGTHS)
def test_shapes_for_clips_of_any_length(transform: SkeletonTransform, T: int) -> None:
    keypoints = person(T)
    before = keypoints.copy()
    still = transform(keypoints, None)
    augmented = transform(keypoints, np.random.default_rng(0))
    assert still.shape == (3, 150, 27)
    assert augmented.shape == (3, 100, 27)
    assert still.dtype == augmented.dtype == np.float32
    assert np.isfinite(still).all()
    assert np.isfinite(augmented).all()
    assert (keypoints == before).all()


@BOTH
def test_clips_without_frames_are_refused(transform: SkeletonTransform) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        transform(person(0), None)


@BOTH
def test_same_generator_same_item(transform: SkeletonTransform) -> None:
    first = transform(person(60), np.random.default_rng(5))
    again = transform(person(60), np.random.default_rng(5))
    other = transform(person(60), np.random.default_rng(6))
    assert (first == again).all()
    assert (first != other).any()


@BOTH
def test_shift_moves_every_joint_alike_and_within_bounds(transform: SkeletonTransform) -> None:
    keypoints = np.repeat(person(1), 150, axis=0)
    still = transform(keypoints, None)[:, :100]
    for seed in range(10):
        item = replace(transform, flip_probability=0)(keypoints, np.random.default_rng(seed))
        offset = item - still
        assert np.abs(offset[:2]).max() <= 10.001
        assert np.ptp(offset[:2].reshape(2, -1), axis=1).max() < 1e-3
        assert (offset[2] == 0).all()


@BOTH
def test_flip_happens_with_its_probability(transform: SkeletonTransform) -> None:
    keypoints = np.repeat(person(1), 150, axis=0)
    half = replace(transform, shift_px=0)
    rng = np.random.default_rng(0)
    still = half(keypoints, None)[:, :100]
    flips = [bool((half(keypoints, rng) != still).any()) for _ in range(200)]
    assert 70 <= sum(flips) <= 130


def test_mirrored_by_hand() -> None:
    skeleton = np.zeros((1, 27, 3), np.float32)
    skeleton[0, L_WRIST] = (100, 40, 0.5)
    flipped = mirrored(skeleton, 512)
    assert flipped[0, R_WRIST].tolist() == [412, 40, 0.5]
    assert flipped[0, L_WRIST].tolist() == [512, 0, 0]


def test_rotated_by_hand() -> None:
    skeleton = np.zeros((1, 27, 3), np.float32)
    skeleton[0, 1] = (10, 0, 0.5)
    rotated = skeleton_transform.rotated(skeleton, angle_rad=np.pi / 2, scale=2.0)
    np.testing.assert_allclose(rotated[0, 1], (0, 20, 0.5), atol=1e-5)  # y points down


def test_rotation_and_scale_change_items_of_corrected_only() -> None:
    keypoints = np.repeat(person(1), 150, axis=0)
    plain = replace(CORRECTED, flip_probability=0, shift_px=0)
    still = plain(keypoints, None)[:, :100]
    rotating = replace(plain, rotation_deg=10, scale_range=0.1)
    item = rotating(keypoints, np.random.default_rng(0))
    size = np.linalg.norm(item[:2, 0], axis=0)[1:] / np.linalg.norm(still[:2, 0], axis=0)[1:]
    assert np.ptp(size) < 1e-4
    assert 0.9 <= size[0] <= 1.1
    assert np.abs(item - still).max() > 1


# --- published ---------------------------------------------------------------------------------


def test_published_equals_keypoints_of_mirrored_frames() -> None:
    """Mirroring 133 keypoints and then selecting joints gives the same."""
    keypoints = person(150)
    on_mirrored_frames = keypoints[:, FLIP_133]
    on_mirrored_frames[..., 0] = 512 - on_mirrored_frames[..., 0]
    skeleton = published_skeleton(keypoints, "joint", frames=150)
    np.testing.assert_array_equal(skeleton, on_mirrored_frames[:, JOINTS_27])


def test_published_leaves_missing_keypoints_at_zero() -> None:
    keypoints = person(150)
    keypoints[:, JOINTS_27[L_WRIST]] = 0
    skeleton = published_skeleton(keypoints, "joint", frames=150)
    assert (skeleton[:, R_WRIST] == 0).all()  # mirroring swaps left and right
    assert (skeleton[:, L_WRIST, 2] > 0).all()


@pytest.mark.parametrize("T", LENGTHS)
def test_published_loops_short_clips_and_cuts_long_ones(T: int) -> None:
    keypoints = person(T)
    skeleton = published_skeleton(keypoints, "joint", frames=150)
    scores = keypoints[:, 0, 2]
    expected = [scores[t % T] for t in range(150)]
    assert skeleton[:, 0, 2].tolist() == expected


def test_published_item_by_hand() -> None:
    """The nose moves from x = 200 by one pixel per frame; the left shoulder does not move."""
    keypoints = np.zeros((150, 133, 3), np.float32)
    keypoints[:, 0] = (200, 100, 1)
    keypoints[:, 0, 0] += np.arange(150)
    keypoints[:, 5] = (300, 150, 0.5)
    tensor = PUBLISHED(keypoints, None)
    nose_mean_x = 512 - (200 + 149 / 2)
    np.testing.assert_allclose(tensor[0, :, 0], 512 - 200 - np.arange(150) - nose_mean_x)
    np.testing.assert_allclose(
        tensor[0, :, 2], 512 - 300 - nose_mean_x
    )  # mirroring makes it the right one
    np.testing.assert_allclose(tensor[1, :, 2], 50)
    np.testing.assert_allclose(tensor[2, :, 2], 0.5)
    np.testing.assert_allclose(tensor[0, :, 1], -nose_mean_x)  # missing: (0, 0), then centred


# --- corrected ---------------------------------------------------------------------------------


def test_corrected_does_not_mirror() -> None:
    keypoints = person(150)
    skeleton = corrected_skeleton(keypoints, "joint", frames=150, stretch=False)
    np.testing.assert_array_equal(skeleton, keypoints[:, JOINTS_27])


@REPRESENTATIONS
@pytest.mark.parametrize(("scale", "shift"), [(0.5, (0, 0)), (3.7, (0, 0)), (0.6, (140, -60))])
def test_padding_cropping_and_scaling_the_picture_change_nothing(
    kind: Representation, scale: float, shift: tuple[float, float]
) -> None:
    transform = replace(CORRECTED, representation=kind)
    keypoints = person(40)
    keypoints[5:9, LEFT_HAND] = 0
    other = keypoints.copy()
    other[..., :2] = (scale * keypoints[..., :2] + shift) * (keypoints[..., 2:] > 0)
    for seed in (None, 3):
        first, again = (
            transform(each, None if seed is None else np.random.default_rng(seed))
            for each in (keypoints, other)
        )
        np.testing.assert_allclose(again, first, atol=1e-3)


def test_without_both_shoulders_the_box_of_the_person_is_the_unit() -> None:
    keypoints = person(5)
    keypoints[:, 5] = 0
    large = keypoints * np.float32([2, 2, 1])
    first, again = (
        corrected_skeleton(k, "joint", frames=5, stretch=False) for k in (keypoints, large)
    )
    np.testing.assert_allclose(again, first, atol=1e-3)
    assert 40 < np.ptp(first[..., 0]) <= 100


@pytest.mark.parametrize("T", [151, 1000])
def test_corrected_covers_a_long_clip(T: int) -> None:
    keypoints = person(T)
    keypoints[:, 0, 2] = np.linspace(0.1, 1, T)
    scores = corrected_skeleton(keypoints, "joint", frames=150, stretch=False)[:, 0, 2]
    assert (np.diff(scores) > 0).all()
    assert scores[0] < 0.11
    assert scores[-1] > 0.99


def test_imputed_interpolates_inside_and_holds_at_the_ends() -> None:
    skeleton = np.ones((7, 27, 3), np.float32)
    skeleton[:, L_WRIST] = 0
    skeleton[1, L_WRIST] = (10, 100, 0.5)
    skeleton[4, L_WRIST] = (40, 70, 0.5)
    filled = skeleton_transform.imputed(skeleton)
    assert filled[:, L_WRIST, 0].tolist() == [10, 10, 20, 30, 40, 40, 40]
    assert filled[:, L_WRIST, 1].tolist() == [100, 100, 90, 80, 70, 70, 70]
    assert filled[:, L_WRIST, 2].tolist() == [0, 0.5, 0, 0, 0.5, 0, 0]


def test_an_unseen_hand_lies_on_its_wrist() -> None:
    skeleton = np.random.default_rng(0).uniform(1, 500, (5, 27, 3)).astype(np.float32)
    skeleton[:, LEFT_FINGERS] = 0
    filled = skeleton_transform.imputed(skeleton)
    for joint in range(7, 17):
        np.testing.assert_array_equal(filled[:, joint, :2], skeleton[:, L_WRIST, :2])
    assert (filled[:, LEFT_FINGERS, 2] == 0).all()
    skeleton[:, L_WRIST] = 0
    filled = skeleton_transform.imputed(skeleton)
    np.testing.assert_array_equal(filled[:, 8, :2], skeleton[:, L_ELBOW, :2])


def test_an_unseen_nose_lies_between_the_shoulders() -> None:
    skeleton = np.random.default_rng(0).uniform(1, 500, (5, 27, 3)).astype(np.float32)
    skeleton[:, 0] = 0
    filled = skeleton_transform.imputed(skeleton)
    np.testing.assert_allclose(filled[:, 0, :2], skeleton[:, 1:3, :2].mean(axis=1))
    skeleton[:, 1:3] = 0
    filled = skeleton_transform.imputed(skeleton)
    np.testing.assert_allclose(filled[:, 0, :2], skeleton[:, 3:, :2].mean(axis=1), rtol=1e-6)


@settings(max_examples=50)
@given(
    missing=hnp.arrays(np.bool_, (12, 27)),
    never=hnp.arrays(np.bool_, 27),
    junk=st.sampled_from([0.0, 77.0]),
)
def test_imputed_joints_stay_within_the_seen_ones(
    missing: NDArray[np.bool_], never: NDArray[np.bool_], junk: float
) -> None:
    skeleton = np.random.default_rng(0).uniform(1, 500, (12, 27, 3)).astype(np.float32)
    gone = missing | never
    skeleton[gone] = (junk, junk, 0)
    filled = skeleton_transform.imputed(skeleton)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~gone], skeleton[~gone])
    np.testing.assert_array_equal(filled[..., 2], skeleton[..., 2])
    seen = skeleton[~gone][:, :2]
    if len(seen):
        assert (filled[..., :2] >= seen.min(axis=0) - 1e-3).all()
        assert (filled[..., :2] <= seen.max(axis=0) + 1e-3).all()
    else:
        assert (filled == 0).all()


def test_a_clip_without_a_person_is_all_zero() -> None:
    nobody = np.zeros((30, 133, 3), np.float32)
    assert (CORRECTED(nobody, None) == 0).all()
    plain = replace(CORRECTED, shift_px=0)
    for seed in range(4):
        assert (plain(nobody, np.random.default_rng(seed)) == 0).all()


def test_corrected_centres_on_the_frames_that_have_the_nose() -> None:
    keypoints = person(150)
    keypoints[:, 0, :2] = (200, 100)
    keypoints[140:, 0, :2] = (300, 100)
    keypoints[20:140, 0] = 0  # seen in 30 frames: 20 at x = 200, 10 at x = 300
    tensor = CORRECTED(keypoints, None)
    np.testing.assert_allclose(tensor[0, 0, 0], 200 - (20 * 200 + 10 * 300) / 30, rtol=1e-5)


def test_corrected_flip_is_the_person_mirrored_in_the_frame() -> None:
    keypoints = person(100)
    transform = replace(CORRECTED, frames=100, flip_probability=1, shift_px=0)
    other = keypoints[:, FLIP_133]
    other[..., 0] = 400 - other[..., 0]
    np.testing.assert_allclose(
        transform(keypoints, np.random.default_rng(0)),
        transform(other, None),
        atol=1e-3,
    )


def test_trim_drops_frames_without_hands_at_both_ends() -> None:
    keypoints = np.zeros((30, 133, 3), np.float32)
    keypoints[:, 0] = np.stack([np.arange(30), np.zeros(30), np.ones(30)], axis=-1)
    keypoints[10:20, 95, 2] = 1  # a left hand
    assert trimmed(keypoints)[:, 0, 0].tolist() == list(range(8, 22))
    keypoints[29, 120, 2] = 1  # a right hand
    assert trimmed(keypoints)[:, 0, 0].tolist() == list(range(8, 30))
    few = keypoints.copy()
    few[:, 91:, 2] = 0
    few[3:8, 100, 2] = 1
    assert len(trimmed(few)) == 30


@REPRESENTATIONS
def test_a_short_clip_is_stretched(kind: Representation) -> None:
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(1, 200, (10, 133, 3)).astype(np.float32)
    once = corrected_skeleton(keypoints, kind, frames=10, stretch=False)
    stretched = corrected_skeleton(keypoints, kind, frames=20, stretch=True)
    np.testing.assert_array_equal(stretched, np.repeat(once, 2, axis=0))
    item = replace(CORRECTED, representation=kind, frames=20, window=20, stretch=True, trim=True)
    assert item(keypoints, rng).shape == (3, 20, 27)


# --- bones and motion --------------------------------------------------------------------------


def walk(T: int, seed: int = 0) -> Array:
    """Keypoints (T, 133, 3) of a person that moves a little per frame, all seen."""
    rng = np.random.default_rng(seed)
    keypoints = rng.integers(100, 400, (133, 3)) + rng.integers(-9, 9, (T, 133, 3)).cumsum(axis=0)
    keypoints = keypoints.astype(np.float32)
    keypoints[..., 2] = rng.uniform(0.4, 1, (T, 133))
    return keypoints


def joints_of(T: int) -> Array:
    return walk(T, seed=1)[:, :27]


def test_bones_by_hand() -> None:
    joints = joints_of(5)
    joints[:, 5] = (30, 40, 0.5)  # left wrist
    joints[:, 3] = (10, 15, 0.8)  # left elbow, its parent
    assert PARENTS_27[5] == 3
    np.testing.assert_allclose(bones(joints, "corrected")[:, 5], [(20, 25, 0.5)] * 5)
    np.testing.assert_allclose(bones(joints, "published")[:, 5], [(20, 25, -0.3)] * 5, atol=1e-6)
    np.testing.assert_array_equal(bones(joints, "published")[:, 0], joints[:, 0])
    np.testing.assert_array_equal(bones(joints, "corrected")[:, 0, :2], 0)


def test_motion_by_hand() -> None:
    joints = np.zeros((3, 27, 3), np.float32)
    joints[:, 4] = [(1, 2, 0.5), (4, 6, 0.9), (4, 5, 0.7)]
    published, corrected = motion(joints, "published"), motion(joints, "corrected")
    np.testing.assert_allclose(published[:, 4], [(3, 4, 0.4), (0, -1, -0.2), (0, 0, 0)], atol=1e-6)
    np.testing.assert_allclose(corrected[:, 4], [(0, 0, 0.5), (3, 4, 0.5), (0, -1, 0.7)])


@FIDELITIES
def test_bones_add_up_to_joints(fidelity: Fidelity) -> None:
    joints = joints_of(5)
    vectors = bones(joints, fidelity)
    rebuilt = joints[..., :2].copy()
    for parent, child in BONES_27:  # parents come first
        rebuilt[:, child] = rebuilt[:, parent] + vectors[:, child, :2]
    np.testing.assert_allclose(rebuilt, joints[..., :2], atol=1e-3)


@REPRESENTATIONS
def test_published_items_are_made_in_the_released_order(kind: Representation) -> None:
    """Window, mirror, nose to its mean, shift: all joints, or of vectors the nose alone."""
    transform = replace(PUBLISHED, representation=kind)
    for seed in range(6):
        item = transform(walk(60), np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        data = published_skeleton(walk(60), "joint", frames=150)
        if kind.startswith("bone"):
            joints = data.copy()
            for parent, child in BONES_27:
                data[:, child] = joints[:, child] - joints[:, parent]
        if kind.endswith("motion"):
            for t in range(149):
                data[t] = data[t + 1] - data[t]
            data[149] = 0
        start = rng.integers(0, 51)
        data = data[start : start + 100]
        vectors = kind != "joint"
        if rng.random() < 0.5:
            data = data[:, FLIP_27].copy()
            data[..., 0] = (0 if vectors else 512) - data[..., 0]
        moved = slice(0, 1) if vectors else slice(None)
        data[:, moved, :2] -= data[:, 0, :2].mean(axis=0, dtype=np.float64)
        rng.uniform(0, 0), rng.uniform(0, 0)  # rotation and scale, which are off
        data[:, moved, :2] += rng.uniform(-10, 10, 2).astype(np.float32)
        np.testing.assert_allclose(item, data.transpose(2, 0, 1), atol=1e-3)


@VECTORS
def test_corrected_vectors_do_not_depend_on_the_place(kind: Representation) -> None:
    transform = replace(CORRECTED, representation=kind)
    here, there = walk(40), walk(40)
    there[..., :2] += (30, -20)
    for seed in (None, 3):
        items = [
            transform(k, None if seed is None else np.random.default_rng(seed))
            for k in (here, there)
        ]
        np.testing.assert_allclose(*items, atol=1e-3)


@pytest.mark.parametrize("kind", ["joint_motion", "bone_motion"])
def test_corrected_motion_has_no_seam_where_a_clip_is_repeated(
    kind: Representation,
) -> None:
    walking = np.repeat(walk(1), 40, axis=0)
    walking[..., 0] += 5 * np.arange(40)[:, None]
    walking[:, 95, 1] += 3 * np.arange(40)  # a fingertip that also moves by itself
    item = replace(CORRECTED, representation=kind)(walking, None)
    assert np.abs(item[:2]).max() <= 5
    seam = replace(PUBLISHED, representation=kind)
    assert np.abs(seam(walking, None)[:2]).max() > 100


@REPRESENTATIONS
def test_corrected_flip_is_the_person_mirrored(kind: Representation) -> None:
    joints = joints_of(8)
    of_mirrored = represented(mirrored(joints, 512), kind, "corrected")
    width_px = 512 if kind == "joint" else 0
    mirrored_after = mirrored(represented(joints, kind, "corrected"), width_px)
    np.testing.assert_allclose(of_mirrored, mirrored_after, atol=1e-3)
