"""Annotation pickles of mmaction2: what is read and refused, and that nothing is run."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.errors import ArtifactError, SlrError
from slr_pipeline.io.foreign.annotations import Annotation, AnnotationFile, write_annotations
from slr_pipeline.skeleton import BODY
from tests.io.foreign.pickles import Runs
from tests.pose.foreign import SAMPLE, annotation, truth, write_mmaction2

POINTS = truth()
HUGE = np.zeros((0, 2**33, 133, 2))


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    file = AnnotationFile(write_mmaction2(tmp_path / "x.pkl", [annotation(POINTS)], protocol))
    clip = file.read(SAMPLE)
    assert clip.size == (512, 512)
    assert clip.where == f"{tmp_path / 'x.pkl'}, {SAMPLE}"
    assert np.abs(np.concatenate(clip.frames) - POINTS).max() < 0.13
    columns = annotation(POINTS, keypoint=np.asfortranarray(POINTS[None, ..., :2]))
    clip = AnnotationFile(write_mmaction2(tmp_path / "x.pkl", [columns], protocol)).read(SAMPLE)
    assert np.array_equal(np.concatenate(clip.frames)[..., :2], POINTS[..., :2])


@pytest.mark.parametrize(
    "frame_dir", [f"data/train/{SAMPLE}", f"{SAMPLE}_color.mp4", f"{SAMPLE}.mp4", f"{SAMPLE}_color"]
)
def test_names_have_folders_and_endings(tmp_path: Path, frame_dir: str) -> None:
    one = annotation(POINTS, frame_dir=frame_dir)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps([one]))  # a list alone, as before mmaction2
    file = AnnotationFile(path)
    assert file.has(SAMPLE)
    assert not file.has("other")
    assert len(file.read(SAMPLE).frames) == len(POINTS)


def test_several_people_and_the_17_of_coco(tmp_path: Path) -> None:
    two = np.stack([POINTS, POINTS / 2])[:, :, : len(BODY)]
    two[1, 4] = 0
    one = annotation(POINTS, keypoint=two[..., :2], keypoint_score=two[..., 2], img_shape=None)
    clip = AnnotationFile(write_mmaction2(tmp_path / "x.pkl", [one])).read(SAMPLE)
    assert clip.size is None
    assert [len(frame) for frame in clip.frames[3:6]] == [2, 1, 2]
    assert np.array_equal(clip.frames[3][1, :17], two[1, 3])
    assert not np.concatenate(clip.frames)[:, 17:].any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"split": {}}, "no list `annotations`; expected a pickle of mmaction2 or pyskl"),
        (7, "no list `annotations`"),
        ([3], "an annotation has no `frame_dir`"),
        ([{"frame_dir": 3}], "an annotation has no `frame_dir`"),
        ([annotation(POINTS), annotation(POINTS)], f"'{SAMPLE}' is annotated twice; keep one"),
        ([annotation(POINTS, keypoint_score=None)], "(1, 23, 133, 2) and keypoint_score None"),
        ([annotation(POINTS, keypoint=[[1]])], "keypoint None and keypoint_score (1, 23, 133)"),
        ([annotation(POINTS, keypoint=POINTS[None])], "keypoint (1, 23, 133, 3) and keypoint_sc"),
        ([annotation(POINTS[:, :27])], "keypoint (1, 23, 27, 2) and"),
        ([annotation(POINTS * np.nan)], "scores are NaN or infinite"),
        ([annotation(POINTS * 100)], "scores from 0 to 75; expected 0 to 1"),
        (
            [annotation(POINTS, keypoint=HUGE, keypoint_score=HUGE[..., 0])],
            "claims to have 8589934592 frames; make it again",
        ),
        ([annotation(POINTS, img_shape=(0, 5))], "img_shape is (0, 5)"),
        ([annotation(POINTS, img_shape="ab")], "img_shape is ab"),
        ([annotation(POINTS, img_shape=5)], "not a complete annotation"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(SlrError) as caught:
        AnnotationFile(path).read(SAMPLE)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_nothing_is_run(tmp_path: Path) -> None:
    one = annotation(POINTS, label=Runs("os.system", "touch trap"))
    path = write_mmaction2(tmp_path / "x.pkl", [one])
    with pytest.raises(ArtifactError, match=r"asks for posix.system, and nothing in a file is run"):
        AnnotationFile(path)
    assert not Path("trap").exists()


def test_written_annotations_are_read_back_and_open_with_pickle_alone(tmp_path: Path) -> None:
    path = tmp_path / "keypoints.pkl"
    rows = [
        Annotation("a", "train", 3, POINTS, 512, 256),
        Annotation("b", "test", None, POINTS[:5], 512, 256),
    ]
    write_annotations(path, rows)
    file = AnnotationFile(path)
    for row in rows:
        clip = file.read(row.sample)
        assert np.array_equal(np.concatenate(clip.frames), row.keypoints)
        assert clip.size == (512, 256)
    content = pickle.loads(path.read_bytes())
    assert content["split"] == {"train": ["a"], "test": ["b"]}
    first, second = content["annotations"]
    assert (first["label"], first["total_frames"], first["img_shape"]) == (3, 23, (256, 512))
    assert first["keypoint"].shape == (1, 23, 133, 2)
    assert first["keypoint_score"].shape == (1, 23, 133)
    assert "label" not in second
