"""The keypoints step with and without smoothing."""

from pathlib import Path

import numpy as np

from slr_pipeline.config.estimators import KeypointsSettings
from slr_pipeline.config.flags import parse_setting
from slr_pipeline.features.one_euro import smooth
from slr_pipeline.io.features import FeatureFile, FeatureStore
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.samples.table import Sample
from slr_pipeline.steps.keypoints import keypoints
from slr_pipeline.steps.verify import verify_sample

CLIP = Path(__file__).parents[2] / "demo" / "train" / "signer0_sample1_color.mp4"


def test_smoothing_follows_the_settings(tmp_path: Path) -> None:
    row = verify_sample(Sample("a", "train", 0, None, str(CLIP), None))
    write_verified(tmp_path / "rows.csv", [row, Verified("gone", "x.mp4", "", "no such file")])
    clips = {}
    for name, settings in {
        "found": '{"estimator": "mediapipe"}',
        "smoothed": '{"estimator": "mediapipe", "smoothing": {"beta": 50}}',
    }.items():
        out = str(tmp_path / f"{name}.h5")
        keypoints(
            parse_setting(KeypointsSettings, settings, "settings"),
            "cpu",
            str(tmp_path / "rows.csv"),
            [out],
        )
        assert bool(FeatureFile(out, "keypoints").attributes["smoothed"]) == (name == "smoothed")
        store = FeatureStore("keypoints", [out])
        assert store.frames("gone") == 0
        clips[name] = store.read("a").values
    expected = smooth(
        clips["found"],
        fps=row.fps,
        unit_px=max(row.width, row.height),
        min_cutoff_hz=1.0,
        beta=50.0,
        speed_cutoff_hz=8.0,
    )
    assert np.array_equal(clips["smoothed"], expected)
    assert not np.array_equal(clips["smoothed"], clips["found"])
