"""Choosing the signer among people, and the coordinates of files."""

import numpy as np
import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.io.foreign.keypoints import ForeignClip
from slr_pipeline.pose.people import choose_person, signer_keypoints
from slr_pipeline.skeleton import FLIP_133
from tests.pose.clips import pose_clip


def person(x: float, y: float, side: float, score: float = 0.9) -> np.ndarray:
    """All keypoints in a square of `side` px around (x, y)."""
    place = np.random.default_rng(0).uniform(-side / 2, side / 2, (133, 2))
    place[:2] = (-side / 2, -side / 2), (side / 2, side / 2)
    points = np.full((133, 3), score, np.float32)
    points[:, :2] = place + np.array([x, y])
    return points


NOBODY = np.zeros((0, 133, 3), np.float32)


def choose(frames: list[list[np.ndarray]], choice: str) -> list[list[int]]:
    """Centres of the chosen boxes in whole px."""
    arrays = [np.stack(frame) if frame else NOBODY for frame in frames]
    chosen = choose_person(arrays, choice, width=400, height=300)  # type: ignore[arg-type]
    assert chosen.shape == (len(frames), 133, 3)
    return [np.rint((f.min(axis=0) + f.max(axis=0))[:2] / 2).tolist() for f in chosen]


def test_largest_uses_the_box_of_given_points() -> None:
    far_point = person(300, 100, 20)
    far_point[5] = (0, 0, 0)  # missing: not part of the box
    assert choose([[person(100, 100, 80), far_point], []], "largest") == [[100, 100], [0, 0]]


def test_central_uses_the_centre_of_the_picture() -> None:
    frame = [person(60, 150, 100), person(210, 140, 20)]
    assert choose([frame, frame[::-1]], "central") == [[210, 140], [210, 140]]


def test_tracked_follows_the_largest_through_gaps_and_a_larger_passer_by() -> None:
    frames = [
        [],
        [person(300, 100, 30), person(100, 100, 40)],
        [person(105, 102, 40), person(290, 100, 90)],
        [],
        [person(200, 100, 90), person(110, 103, 42)],
    ]
    assert choose(frames, "tracked") == [[0, 0], [100, 100], [105, 102], [0, 0], [110, 103]]
    assert choose(frames, "largest")[2] == [290, 100]


def test_tracked_prefers_a_person_with_shared_keypoints() -> None:
    upper, lower = person(100, 100, 40), person(100, 100, 40)
    upper[60:], lower[:60] = 0, 0
    start = person(100, 100, 40)
    start[60:] = 0
    arrays = [np.stack([start]), np.stack([lower, upper])]
    chosen = choose_person(arrays, "tracked", width=400, height=300)
    assert np.array_equal(chosen[1], upper)


def foreign(size: tuple[int, int] | None, *people: np.ndarray) -> ForeignClip:
    return ForeignClip("x.pose", (np.stack(people),), size)


def test_pixels_are_scaled_with_the_picture() -> None:
    clip = pose_clip([None], width=256, height=144)
    at = person(640, 360, 100)
    for size in [(1280, 720), (1279, 720)]:  # sizes are rounded
        scaled = signer_keypoints(foreign(size, at), clip, person="largest")
        assert np.abs(scaled[0, :, :2] - at[:, :2] * 0.2).max() < 0.15
        assert np.array_equal(scaled[0, :, 2], at[:, 2])
    same = signer_keypoints(foreign(None, person(100, 70, 50)), clip, person="largest")
    assert np.array_equal(same[0], person(100, 70, 50))
    said = signer_keypoints(foreign(None, at), clip, person="largest", picture=(1280, 720))
    assert np.allclose(said[0, :, :2], at[:, :2] * 0.2)
    squeezed = signer_keypoints(foreign((9, 9), at), clip, person="largest", picture=(1024, 1440))
    assert np.allclose(squeezed[0, :, :2], at[:, :2] * (0.25, 0.1))


def test_another_aspect_ratio_is_refused() -> None:
    clip = pose_clip([None], width=256, height=256)
    with pytest.raises(DataError) as caught:
        signer_keypoints(foreign((1280, 720), person(99, 99, 50)), clip, person="largest")
    assert str(caught.value) == (
        "x.pose: keypoints of 1280 x 720 px, but clip.mp4 has another shape, 256 x 256; "
        "make the keypoints of this video, or set features.keypoints.picture"
    )


def test_a_placeholder_size_is_refused() -> None:
    clip, people = pose_clip([None], width=500, height=500), foreign((1000, 1000), person(9, 9, 90))
    with pytest.raises(DataError, match="1000 x 1000 is a placeholder of programs that"):
        signer_keypoints(people, clip, person="largest")
    kept = signer_keypoints(people, clip, person="largest", picture=(500, 500))
    assert np.array_equal(kept[0], person(9, 9, 90))
    true = pose_clip([None], width=1000, height=1000)
    assert np.array_equal(signer_keypoints(people, true, person="largest")[0], person(9, 9, 90))


def test_mirrored_exchanges_sides_and_keeps_missing_points_missing() -> None:
    at = person(100, 100, 50)
    at[91:112] = 0
    turned = signer_keypoints(
        foreign(None, at), pose_clip([None]), person="largest", mirrored=True
    )[0]
    assert not turned[112:133].any()  # left in the file is the right of the signer
    given = [i for i in range(133) if not 112 <= i < 133]
    expected = at[list(FLIP_133)]
    assert np.allclose(turned[given, 0], 512 - expected[given, 0])
    assert np.array_equal(turned[given, 1:], expected[given, 1:])


@pytest.mark.parametrize(
    ("x", "message"),
    [(0.5, "all keypoints lie within 2 px of the corner"), (1e9, r"a keypoint lies at 1e\+09 px")],
)
def test_coordinates_that_are_not_pixels_are_refused(x: float, message: str) -> None:
    at = person(0, 0, 0.5)
    at[:, 0] = x
    with pytest.raises(DataError, match=message):
        signer_keypoints(foreign(None, at), pose_clip([None]), person="largest")
