"""Accuracy of a track without copies of training clips, and on new signers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.io.duplicates import write_duplicates
from slr_pipeline.samples.duplicates import Twins, duplicates_of
from slr_pipeline.samples.table import SampleTable
from slr_pipeline.scoring.ensemble import Fused, fuse, join
from slr_pipeline.tracks.metrics import score_left_out_signers, score_without_twins
from tests.tracks.test_fusion import FREE, NAMES, logits, table


def test_copies_of_training_clips_do_not_count(tmp_path: Path) -> None:
    test = table(0, 1, 1, None, split="test")  # b is answered wrongly
    copied = replace(test.samples[0], name="copied", split="train")
    seen = replace(test.samples[0], name="seen", split="val")
    samples = SampleTable(test.classes, (*test.samples, copied, seen))
    fused = fuse(join({"joint": logits()}, NAMES), {"joint": 1.0}, np.full(2, 0.5))
    path = tmp_path / "duplicates.csv"
    twins = [Twins("a", "copied", "near", 0.1), Twins("c", "seen", "equal", 0.0)]
    write_duplicates(path, duplicates_of(samples, twins))

    def scored(protocol: str) -> dict[str, float]:
        found = score_without_twins(samples, fused, protocol, str(path))
        assert found is not None
        return {name: found[name] for name in ("samples", "correct", "top1", "twins")}

    assert scored("strict") == {"samples": 2, "correct": 1, "top1": 0.5, "twins": 1}
    assert scored("challenge") == {"samples": 1, "correct": 0, "top1": 0.0, "twins": 2}
    assert score_without_twins(samples, fused, "strict", None) is None


def test_answers_to_new_signers_are_compared_with_those_of_the_track() -> None:
    val = table(0, 0, 1, None)
    signers = ("s0", "s0", "s1", "s1")
    samples = [replace(x, signer=s) for x, s in zip(val.samples, signers, strict=True)]
    val = replace(val, samples=tuple(samples))
    joined = {"val": join({"joint": logits(), "bone": logits(scale=4)}, NAMES)}
    fused = {"val": Fused(np.eye(2)[[1, 0, 1, 0]], np.full(4, 2))}  # a is answered wrongly
    found = score_left_out_signers(val, FREE, joined, fused, None)
    assert found is not None
    assert sorted(found.pop("weights")) == ["s0", "s1"]
    assert found == {"samples": 3, "in_sample": pytest.approx(2 / 3), "held_out": 1.0}

    assert score_left_out_signers(val, FREE, joined, fused, [["fold.h5"]]) is None
    given = TrackSettings(streams={"joint": 1.0, "bone": 1.0})
    assert score_left_out_signers(val, given, joined, fused, None) is None
    assert score_left_out_signers(val, FREE, {}, {}, None) is None
