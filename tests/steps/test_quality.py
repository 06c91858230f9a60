"""Clips with bad keypoints: measured, listed and quarantined."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.config.checks import QualitySettings
from slr_pipeline.errors import DataError
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.quality import read_quality, read_quarantined
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND
from slr_pipeline.steps.quality import quality
from tests.feature_files import write_feature

ANY = 1.0
EMPTY, SWAPPED, SHAKING, GONE = "empty", "swapped", "shaking", "gone"


@pytest.fixture
def shards(tmp_path: Path) -> list[str]:
    """Two files with three good clips, bad ones, and one that `verify` quarantined."""
    rng = np.random.default_rng(1)
    person = np.ones((20, 133, 3), np.float32)
    person[..., :2] = rng.uniform(100, 400, (133, 2))
    swapped = person.copy()
    swapped[:15, list(LEFT_HAND)] = swapped[:15, list(RIGHT_HAND)]
    shaking = person.copy()
    shaking[..., :2] += rng.normal(0, 40, (20, 133, 2))
    clips = {
        "0": {"good1": person, SWAPPED: swapped, GONE: np.zeros((0, 133, 3), np.float32)},
        "1": {EMPTY: np.zeros_like(person), "good2": person, "good3": person, SHAKING: shaking},
    }
    for shard, values in clips.items():
        new = [NewClip(name, k, 512, 512, 25.0) for name, k in sorted(values.items())]
        write_feature(tmp_path / f"{shard}.h5", "keypoints", new, {}, {})
    return [str(tmp_path / f"{shard}.h5") for shard in clips]


def table(settings: QualitySettings, shards: list[str], out: Path) -> dict[str, dict[str, Any]]:
    quality(settings, shards, str(out))
    rows = read_quality(out).to_dict("records")
    assert [row["sample"] for row in rows] == sorted(row["sample"] for row in rows)
    return {row["sample"]: row for row in rows}


def test_every_sample_has_a_row_and_a_missing_person_is_a_fault(
    shards: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "quality.csv"
    rows = table(QualitySettings(max_quarantined=ANY), shards, out)
    assert len(rows) == 7
    swapped, good = rows["good1"].pop("swapped"), rows["good1"]
    assert (good.pop("sample"), good.pop("reason"), swapped < 0.1) == ("good1", "", True)
    assert (good.pop("frames"), good.pop("person")) == (20, 1)
    video = [good.pop(name) for name in ("fps", "width", "height")]
    assert (video, good.pop("shoulders_px") > 0) == ([25, 512, 512], True)
    assert set(good) == {"missing_left", "missing_right", "missing_hands", "jitter", "limb_spread"}
    assert not any(good.values())
    assert rows[SWAPPED]["swapped"] >= 0.75
    assert rows[EMPTY]["reason"] == "a person in 0.0000 of the frames, min_person 0"
    # Samples that `verify` quarantined have no frames; quarantine.csv lists them.
    assert (rows[GONE]["frames"], rows[GONE]["reason"]) == (0, "")
    assert np.isnan(rows[GONE]["person"])
    assert read_quarantined([out]) == {EMPTY}


def test_the_settings_give_the_limits(shards: list[str], tmp_path: Path) -> None:
    out = tmp_path / "quality.csv"
    limits = QualitySettings(min_person=None, max_jitter=0.1, max_quarantined=ANY)
    rows = table(limits, shards, out)
    assert rows[SHAKING]["reason"] == f"jitter {rows[SHAKING]['jitter']:.4f}, max_jitter 0.1"
    assert read_quarantined([out]) == {SHAKING}
    table(QualitySettings(min_person=None, max_missing_hands=0.9, max_quarantined=ANY), shards, out)
    assert read_quarantined([out]) == {EMPTY}
    table(QualitySettings(min_person=None, max_limb_spread=0.01, max_quarantined=ANY), shards, out)
    assert read_quarantined([out]) == {SHAKING}
    table(QualitySettings(min_person=1.0, max_quarantined=ANY), shards, out)
    assert len(read_quarantined([out])) == 6


def test_too_many_stop_the_run_with_the_list(shards: list[str], tmp_path: Path) -> None:
    out = tmp_path / "quality.csv"
    with pytest.raises(DataError) as stopped:
        quality(QualitySettings(), shards, str(out))
    first, *listed = str(stopped.value).splitlines()
    assert first.startswith("1 of 7 samples are quarantined (14.3%), more than quality.max_quar")
    assert listed == [f"  {EMPTY}: a person in 0.0000 of the frames, min_person 0"]
    assert not out.exists()
