"""Real signing videos through verify and keypoints; skipped without the shared data."""

import csv
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.config.estimators import MediapipeSettings
from slr_pipeline.config.experiment import TableData
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.verified import read_verified
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import load_samples
from slr_pipeline.skeleton import BODY, LEFT_HAND, RIGHT_HAND
from slr_pipeline.steps.keypoints import keypoints
from slr_pipeline.steps.verify import verify
from tests.shared_data import SHARED

CLIPS = SHARED / "wlasl20"
needs_clips = pytest.mark.skipif(
    not CLIPS.is_dir(), reason="no real clips: SLR_SHARED_DATA or ../shared/data has no wlasl20"
)


@pytest.fixture
def table(tmp_path: Path) -> TableData:
    """Three short real clips, one per split."""
    with (CLIPS / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = []
    for split in ("train", "val", "test"):
        candidates = [row for row in rows if row["split"] == split]
        chosen.append(min(candidates, key=lambda row: (CLIPS / row["color"]).stat().st_size))
    path = tmp_path / "samples.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    # The splits share signers.
    return TableData(layout="table", table=str(path), root=str(CLIPS), signer_independent=False)


@needs_clips
def test_real_clips_are_complete_and_show_a_signer(table: TableData, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        (shard,) = shards(load_samples(table).split(split), 512)
        verified, out = str(tmp_path / f"{split}.csv"), str(tmp_path / f"{split}.h5")
        verify(table, split, shard, 512, 120, verified)
        keypoints(MediapipeSettings(), "cpu", verified, out)
        (row,) = read_verified(verified)
        assert (row.reason, row.width, row.height, row.fps) == ("", 256, 256, 25.0)
        clip = FeatureStore("keypoints", [out]).read(row.sample)
        assert clip.values.shape == (row.frames, 133, 3)
        scores = clip.values[..., 2]
        assert (scores[:, BODY.start : 11] > 0).mean() > 0.9  # head and arms are always visible
        hands = np.concatenate([scores[:, LEFT_HAND], scores[:, RIGHT_HAND]], axis=1)
        assert (hands > 0).any(axis=1).mean() > 0.3  # a hand is visible while it signs
        shoulders = clip.values[:, [5, 6], 0]
        seen = (scores[:, [5, 6]] > 0).all(axis=1)
        assert (shoulders[seen, 0] > shoulders[seen, 1]).all()  # unmirrored, facing the camera
