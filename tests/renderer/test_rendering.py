"""The renderer: reproducible ground truth, flow, depth, and the signer's anatomy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anny", reason="needs the extra [render]: anny")
pytest.importorskip("embreex", reason="needs the extra [render]: embreex")

from renderer import clips, store, truth
from renderer.motion import draw_take, perform
from renderer.signs import SIGNS
from renderer.video import COLOUR_CRF, DEPTH_UNITS_PER_M, depth_to_grey, read_video, write_video

from slr_pipeline.errors import DataError

DEMO = Path(__file__).resolve().parents[2] / "demo"
SAMPLE = "signer2_sample3"


@pytest.fixture(scope="module")
def studio() -> clips.Studio:
    return clips.open_studio()


@pytest.fixture(scope="module")
def scene(studio: clips.Studio) -> clips.Scene:
    return clips.build_scene(studio, clips.find_clip(SAMPLE))


def test_a_rendered_clip_equals_the_committed_truth(scene: clips.Scene) -> None:
    committed = store.read_truth(DEMO, scene.clip.split, SAMPLE)
    assert store.difference(clips.clip_truth(scene), committed) is None


def test_a_moved_point_is_a_difference(scene: clips.Scene) -> None:
    expected = clips.clip_truth(scene)
    moved = expected.keypoints.copy()
    moved[3, 100, 0] += 0.5
    message = store.difference(replace(expected, keypoints=moved), expected)
    assert message is not None
    assert "0.500 px" in message


def test_a_still_body_has_no_flow(scene: clips.Scene) -> None:
    still = scene.vertices[7]
    flow, valid = truth.optical_flow(scene.camera, still, still, scene.figure.faces)
    assert flow.shape == (512, 512, 2)
    assert flow.dtype == np.float32
    assert np.abs(flow).max() < 0.005  # rays are cast in single precision
    assert valid.mean() > 0.999


def test_flow_moves_surface_points_to_their_next_position(scene: clips.Scene) -> None:
    """Compare with the vertices, which the ray casting of the flow does not use."""
    frame = scene.frames // 2
    flow, valid = clips.clip_flow(scene, frame)
    before = scene.camera.project(scene.vertices[frame - 1])
    after = scene.camera.project(scene.vertices[frame])
    depth = clips.clip_depth(scene, frame - 1)
    x, y = np.rint(np.clip(before[:, :2], 1, 510)).astype(int).T
    # the pixel shows the surface of the vertex, and its neighbours have the same depth
    around = np.stack([depth[y + dy, x + dx] for dx in (-1, 0, 1) for dy in (-1, 0, 1)])
    near = (np.abs(around - before[:, 2]) < 0.004).all(0) & valid[y, x]
    moved = np.linalg.norm(after[:, :2] - before[:, :2], axis=1)
    assert near.sum() > 1500
    assert moved[near].max() > 5  # something moves
    error = np.linalg.norm(flow[y, x] - (after - before)[:, :2], axis=1)[near]
    assert np.median(error) < 0.05
    assert np.quantile(error, 0.99) < 0.7


def test_flow_is_invalid_where_the_signer_covers_the_wall(scene: clips.Scene) -> None:
    frame = scene.frames // 2
    flow, valid = clips.clip_flow(scene, frame)
    before = clips.clip_depth(scene, frame - 1) > 0
    after = clips.clip_depth(scene, frame) > 0
    assert (flow[~before] == 0).all()
    assert not valid[~before & after].any()
    assert valid[~before & ~after].all()
    assert valid[before].mean() > 0.8


def test_flow_and_depth_of_a_missing_frame(scene: clips.Scene) -> None:
    with pytest.raises(DataError, match="frame 0 has no frame before it"):
        clips.clip_flow(scene, 0)
    with pytest.raises(DataError, match="expected a frame from 0 to"):
        clips.clip_depth(scene, scene.frames)
    with pytest.raises(DataError, match="no such clip"):
        clips.find_clip("signer9_sample1")


def test_depth_video_decodes_to_the_metric_depth(scene: clips.Scene) -> None:
    video = read_video(DEMO / scene.clip.split / f"{SAMPLE}_depth.mp4")
    for frame in (0, scene.frames // 2):
        depth = clips.clip_depth(scene, frame)
        inside = depth > 0
        for axis in (0, 1):  # away from silhouettes and steps, where the codec rings
            for step in (-3, 3):
                inside &= np.abs(np.roll(depth, step, axis) - depth) < 0.05
        metres = video[frame, ..., 0] / DEPTH_UNITS_PER_M
        error = np.abs(metres - depth)[inside]
        coding_step = 1 / DEPTH_UNITS_PER_M
        assert np.quantile(error, 0.95) < 1.5 * coding_step
        assert np.quantile(error, 0.99) < 2.5 * coding_step
        assert error.mean() < 0.6 * coding_step
        assert abs((metres - depth)[inside].mean()) < 0.3 * coding_step
        far = np.ones_like(inside)
        for axis in (0, 1):
            for step in range(-12, 13):  # the codec rings about ten pixels around the silhouette
                far &= np.roll(depth, step, axis) == 0
        assert video[frame][far].max() <= 2  # the empty wall stays 0


def test_visible_keypoints_are_not_behind_the_surface(scene: clips.Scene) -> None:
    rendered = clips.clip_truth(scene)
    frame = scene.frames // 2
    depth = clips.clip_depth(scene, frame)
    for k in range(23, 133):
        x, y, visible = rendered.keypoints[frame, k]
        if visible:
            surface = depth[round(float(y)), round(float(x))]
            if surface > 0:  # the pixel of a point on the silhouette may show the wall
                assert surface > rendered.depth[frame, k] - 0.09


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (5, 512, 512, 3)).astype(np.uint8)
    write_video(tmp_path / "a.mp4", pictures, COLOUR_CRF)
    write_video(tmp_path / "b.mp4", pictures, COLOUR_CRF)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_rendered_frame_looks_like_the_committed_video(
    studio: clips.Studio, scene: clips.Scene
) -> None:
    one = replace(scene, vertices=scene.vertices[:1])
    pictures, depths = clips.clip_pictures(studio, one)
    committed = read_video(DEMO / scene.clip.split / f"{SAMPLE}_color.mp4")[0]
    assert np.abs(committed.astype(float) - pictures[0]).mean() < 3
    assert depth_to_grey(depths[0]).max() < 160


def test_a_left_handed_signer_mirrors_the_sign(studio: clips.Studio) -> None:
    signer = clips.find_clip("signer2_sample1").signer
    assert signer.left_handed
    scene = clips.build_scene(studio, clips.find_clip("signer2_sample1"))
    sign = next(s for s in SIGNS if s.gloss == "lamp")
    for left_handed in (True, False):
        one = replace(signer, left_handed=left_handed)
        take = draw_take(one, np.random.default_rng(1))
        motion = perform(scene.body, one, sign, take)
        moved = np.abs(np.diff(motion.rotations, axis=0)).sum(axis=(0, 2, 3))
        left, right = (moved[scene.body.bone(f"wrist.{s}")] for s in "LR")
        assert (left > right) == left_handed


def test_elbows_bend_forwards(studio: clips.Studio) -> None:
    """The forearm never bends towards the back of the elbow."""
    for sample in ("signer0_sample1", "signer2_sample1"):
        scene = clips.build_scene(studio, clips.find_clip(sample))
        motion = perform(
            scene.body,
            scene.clip.signer,
            scene.clip.sign,
            draw_take(scene.clip.signer, np.random.default_rng(3)),
        )
        for s in "LR":
            rest = scene.body
            upper = rest.head_of(f"lowerarm01.{s}") - rest.head_of(f"upperarm01.{s}")
            lower = rest.head_of(f"wrist.{s}") - rest.head_of(f"lowerarm01.{s}")
            hinge = np.cross(upper, lower)
            up = motion.rotations[:, rest.bone(f"upperarm02.{s}")]
            low = motion.rotations[:, rest.bone(f"lowerarm01.{s}")]
            bent = np.cross(up @ upper, low @ lower)
            assert (np.sum(bent * (up @ hinge), axis=1) > 0).all()
