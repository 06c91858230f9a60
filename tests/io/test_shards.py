"""Frames of a shard: chosen by time; an error names the sample, however early or late it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.io.feature_writer import create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.shards import clip_of, rows_to_make, video_frames
from slr_pipeline.io.verified import Verified, read_verified, write_verified
from slr_pipeline.samples.table import Sample
from slr_pipeline.schema import Fidelity
from slr_pipeline.steps.verify import verify_sample
from tests.shared_data import CASES, NEEDS_CASES
from tests.videos import write as write_video

ROWS = [
    Verified("fine", "a.mp4", "", "", 2, 64, 64, 25.0, "0", ""),
    Verified("gone", "b.mp4", "", "no file"),
    Verified("bad", "c.mp4", "", "", 2, 64, 64, 25.0, "0", ""),
]


def write(path: Path, error: Exception | None, *, late: bool = False) -> None:
    """Write two frames per row; `bad` raises before its clip is added, or at its second frame."""

    def frames(row: Verified) -> Iterator[np.ndarray[Any, Any]]:
        yield np.zeros((133, 3), np.float32)
        if error and row.sample == "bad":
            raise error
        yield np.zeros((133, 3), np.float32)

    with create_feature_file(path, "keypoints", {}, {}) as writer:
        for row, _ in rows_to_make(ROWS, writer):
            if error and row.sample == "bad" and not late:
                raise error
            writer.add(clip_of(row, frames(row)))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", [DataError, ArtifactError])
def test_a_user_error_names_the_sample(tmp_path: Path, kind: type[Exception], late: bool) -> None:
    with pytest.raises(kind) as caught:
        write(tmp_path / "x.h5", kind("c.mp4 is broken"), late=late)
    assert str(caught.value) == "sample bad: c.mp4 is broken"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("late", [False, True])
def test_a_bug_keeps_its_traceback_and_names_the_sample(tmp_path: Path, late: bool) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        write(tmp_path / "x.h5", ZeroDivisionError("a bug"), late=late)
    assert caught.value.__notes__ == ["sample bad"]


def test_quarantined_rows_stay_without_frames(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", None)
    store = FeatureStore("keypoints", [tmp_path / "x.h5"])
    assert {name: store.frames(name) for name in store.samples} == {"fine": 2, "gone": 0, "bad": 2}


def frames_by_time(path: Path, fidelity: Fidelity = "corrected") -> tuple[float, np.ndarray]:
    """Rate of the features of a video and the brightness of each of their frames."""
    row = verify_sample(Sample("a", "test", None, None, str(path), None), fidelity=fidelity)
    assert row.reason == ""
    write_verified(path.with_suffix(".csv"), [row])
    (row,) = read_verified(path.with_suffix(".csv"))
    pictures = list(video_frames(row, "color"))
    with create_feature_file(path.with_suffix(".h5"), "keypoints", {}, {}) as writer:
        writer.add(clip_of(row, np.zeros((len(pictures), 133, 3), np.float32)))
    clip = FeatureStore("keypoints", [path.with_suffix(".h5")]).read("a")
    assert clip.video_fps == pytest.approx(row.fps)
    return clip.fps, np.asarray([round(float(picture.mean())) for picture in pictures])


def greys(path: Path, levels: list[int], times: list[int]) -> Path:
    """A lossless video of plain pictures at these hundredths of a second."""
    pictures = [np.full((32, 32), level, np.uint8) for level in levels]
    return write_video(path, pictures, codec="ffv1", pixels="gray", given="gray", times=times)


@pytest.mark.parametrize(
    ("repeats", "times", "expected"),
    [
        (1, range(0, 80, 4), 25),
        (2, range(0, 80, 2), 25),
        (4, range(80), 100 / 3),
        (1, range(0, 200, 10), 10),
    ],
)
def test_fast_video_is_thinned_and_its_features_have_the_rate(
    tmp_path: Path, repeats: int, times: range, expected: float
) -> None:
    levels = np.arange(20) * 10
    video = greys(tmp_path / "a.mkv", np.repeat(levels, repeats).tolist(), list(times))
    fps, shown = frames_by_time(video)
    assert fps == pytest.approx(expected)
    assert len(shown) == pytest.approx(len(times) * times.step / 100 * fps, abs=0.51)
    if repeats < 4:
        assert shown.tolist() == levels.tolist()
    assert set(shown) == set(levels)
    published = frames_by_time(video, "published")[1]
    assert published.tolist() == np.repeat(levels, repeats).tolist()


def test_a_pause_of_a_variable_rate_lasts_as_long_as_it_does(tmp_path: Path) -> None:
    times = [0, 3, 7, 10, 50, 53, 57, 90, 93]
    fps, shown = frames_by_time(greys(tmp_path / "a.mkv", list(range(0, 180, 20)), times))
    assert fps == 30
    lasts = np.bincount(shown // 20)
    expected = np.diff([*times, 104]) * 0.3  # the last frame lasts as long as the mean one
    assert np.abs(lasts - expected).max() < 1.1


@NEEDS_CASES
def test_a_clip_at_30_and_at_60_frames_has_the_same_features(tmp_path: Path) -> None:
    clips = []
    for name in ("fps30.mp4", "fps60.mp4"):
        path = tmp_path / name
        path.write_bytes((CASES / "fps" / name).read_bytes())
        clips.append(frames_by_time(path))
    assert [fps for fps, _ in clips] == [30, 30]
    assert np.abs(clips[0][1] - clips[1][1]).max() <= 1
