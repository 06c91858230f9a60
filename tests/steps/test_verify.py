"""What `verify` says of whole and of broken samples."""

import shutil
from pathlib import Path

import pytest

from slr_pipeline.samples.table import Sample
from slr_pipeline.steps.verify import verify_sample

TRAIN = Path(__file__).parents[2] / "demo" / "train"
COLOR = TRAIN / "signer0_sample1_color.mp4"
DEPTH = TRAIN / "signer0_sample1_depth.mp4"


def sample(color: Path, depth: Path | None = None) -> Sample:
    return Sample("x", "train", 0, None, str(color), str(depth) if depth else None)


def test_a_whole_sample_has_no_reason() -> None:
    row = verify_sample(sample(COLOR, DEPTH))
    assert row.reason == ""
    assert 20 <= row.frames <= 30
    assert (row.width, row.height, row.fps) == (512, 512, 25.0)
    assert len(row.color_sha256) == len(row.depth_sha256) == 64


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"", "the file is empty"),
        (b"a text", "cannot be opened as a video"),
        (COLOR.read_bytes()[:5000], "cannot be opened as a video"),
    ],
)
def test_a_broken_video_is_a_reason(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "a clip.mp4"
    if content is not None:
        path.write_bytes(content)
    row = verify_sample(sample(path))
    assert row.reason.startswith(str(path))
    assert reason in row.reason
    assert len(row.reason.splitlines()) == 1
    assert (row.frames, row.color_sha256) == (0, "")


def test_a_depth_video_of_other_length_is_a_reason(tmp_path: Path) -> None:
    from slr_pipeline.io.video import probe

    frames = probe(COLOR).frames
    others = (p for p in sorted(TRAIN.glob("*_depth.mp4")) if probe(p).frames != frames)
    depth = tmp_path / "depth.mp4"
    shutil.copy(next(others), depth)
    row = verify_sample(sample(COLOR, depth))
    assert row.reason.startswith(f"{depth}: depth has (frames, width, height) (")
