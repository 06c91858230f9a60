"""`verify` of a usable sample; broken ones: tests/faults/test_corrupt_videos.py."""

from pathlib import Path

from slr_pipeline.samples.table import Sample
from slr_pipeline.steps.verify import verify_sample

TRAIN = Path(__file__).parents[2] / "demo" / "train"
COLOR = TRAIN / "signer0_sample1_color.mp4"
DEPTH = TRAIN / "signer0_sample1_depth.mp4"


def sample(color: Path, depth: Path | None = None) -> Sample:
    return Sample("x", "train", 0, None, str(color), str(depth) if depth else None)


def test_a_usable_sample_has_no_reason() -> None:
    row = verify_sample(sample(COLOR, DEPTH))
    assert row.reason == ""
    assert 20 <= row.frames <= 30
    assert (row.width, row.height, row.fps) == (512, 512, 25.0)
    assert len(row.color_sha256) == len(row.depth_sha256) == 64
