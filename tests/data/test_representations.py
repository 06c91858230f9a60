"""Joints, bones and their movement: by hand, and against the released order of steps."""

from typing import get_args

import numpy as np
import pytest

from slr_pipeline.data.representations import bones, motion, represented
from slr_pipeline.data.skeleton_transform import SkeletonTransform, mirrored, published_skeleton
from slr_pipeline.schema import Representation
from slr_pipeline.skeleton import BONES_27, FLIP_27, PARENTS_27

REPRESENTATIONS: tuple[Representation, ...] = get_args(Representation)
VECTORS = REPRESENTATIONS[1:]


def person(T: int, seed: int = 0) -> np.ndarray:
    """Keypoints (T, 133, 3) of a moving person, all found, in a frame of 512."""
    rng = np.random.default_rng(seed)
    keypoints = rng.integers(100, 400, (133, 3)) + rng.integers(-9, 9, (T, 133, 3)).cumsum(axis=0)
    keypoints = keypoints.astype(np.float32)
    keypoints[..., 2] = rng.uniform(0.4, 1, (T, 133))
    return keypoints


def skeleton(T: int = 5, seed: int = 1) -> np.ndarray:
    return person(T, seed)[:, :27]


def test_bones_by_hand() -> None:
    joints = skeleton()
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


@pytest.mark.parametrize("fidelity", ["published", "corrected"])
def test_bones_add_up_to_joints(fidelity: str) -> None:
    joints = skeleton()
    vectors = bones(joints, fidelity)
    rebuilt = joints[..., :2].copy()
    for parent, child in BONES_27:  # parents come first
        rebuilt[:, child] = rebuilt[:, parent] + vectors[:, child, :2]
    np.testing.assert_allclose(rebuilt, joints[..., :2], atol=1e-3)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
@pytest.mark.parametrize("fidelity", ["published", "corrected"])
def test_a_still_person_has_no_motion(representation: Representation, fidelity: str) -> None:
    still = np.repeat(skeleton(1), 6, axis=0)
    values = represented(still, representation, fidelity)[..., :2]
    assert values.shape == (6, 27, 2)
    assert (not values.any()) == representation.endswith("motion")


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_published_items_are_made_in_the_released_order(representation: Representation) -> None:
    """Window, mirror, nose to its mean, shift: all joints, or of vectors the nose alone."""
    transform = SkeletonTransform(fidelity="published", representation=representation)
    for seed in range(6):
        found = transform(person(60), 512, 512, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        data = published_skeleton(person(60), frames=150)
        if representation.startswith("bone"):
            joints = data.copy()
            for parent, child in BONES_27:
                data[:, child] = joints[:, child] - joints[:, parent]
        if representation.endswith("motion"):
            for t in range(149):
                data[t] = data[t + 1] - data[t]
            data[149] = 0
        start = rng.integers(0, 51)
        data = data[start : start + 100]
        vectors = representation != "joint"
        if rng.random() < 0.5:
            data = data[:, FLIP_27].copy()
            data[..., 0] = (0 if vectors else 512) - data[..., 0]
        moved = slice(0, 1) if vectors else slice(None)
        data[:, moved, :2] -= data[:, 0, :2].mean(axis=0, dtype=np.float64)
        rng.uniform(0, 0), rng.uniform(0, 0)  # rotation and scale, which are off
        data[:, moved, :2] += rng.uniform(-10, 10, 2).astype(np.float32)
        np.testing.assert_allclose(found, data.transpose(2, 0, 1), atol=1e-3)


@pytest.mark.parametrize("representation", VECTORS)
def test_corrected_vectors_do_not_depend_on_the_place(representation: Representation) -> None:
    transform = SkeletonTransform(representation=representation)
    here, there = person(40), person(40)
    there[..., :2] += (30, -20)
    for seed in (None, 3):
        items = [
            transform(k, 512, 512, None if seed is None else np.random.default_rng(seed))
            for k in (here, there)
        ]
        np.testing.assert_allclose(*items, atol=1e-3)


@pytest.mark.parametrize("representation", ["joint_motion", "bone_motion"])
def test_corrected_motion_has_no_seam_where_a_clip_is_repeated(
    representation: Representation,
) -> None:
    walking = np.repeat(person(1), 40, axis=0)
    walking[..., 0] += 5 * np.arange(40)[:, None]
    walking[:, 95, 1] += 3 * np.arange(40)  # a fingertip that also moves by itself
    item = SkeletonTransform(representation=representation)(walking, 512, 512, None)
    assert np.abs(item[:2]).max() <= 5
    seam = SkeletonTransform(fidelity="published", representation=representation)
    assert np.abs(seam(walking, 512, 512, None)[:2]).max() > 100


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_corrected_flip_is_the_person_mirrored(representation: Representation) -> None:
    joints = skeleton(8)
    of_mirrored = represented(mirrored(joints, 512), representation, "corrected")
    width_px = 512 if representation == "joint" else 0
    mirrored_after = mirrored(represented(joints, representation, "corrected"), width_px)
    np.testing.assert_allclose(of_mirrored, mirrored_after, atol=1e-3)
