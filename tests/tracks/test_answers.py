"""The answers of a track, and which of them are unsure."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slr_pipeline.config.experiment import Split
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.io.predictions import read_answers, write_answers
from slr_pipeline.samples.table import Sample, SampleTable
from slr_pipeline.scoring.ensemble import Calibration, Fused, calibrated, fuse, join
from slr_pipeline.tracks.answers import answer_rows, reject
from tests.tracks.test_fusion import FREE, NAMES, logits, table


def test_answers_are_glosses_with_probability_and_streams(tmp_path: Path) -> None:
    """Also glosses that pandas takes for empty cells, and clips without label or answer."""
    glosses = ("null", "NA")
    labels = replace(table(0, 1, 1, None, split="test"), classes=glosses)
    streams = {name: replace(logits(), classes=glosses) for name in ("joint", "bone")}
    streams["bone"] = replace(streams["bone"], answered=np.asarray([True, False, False, True]))
    streams["joint"] = replace(streams["joint"], answered=np.asarray([True, True, False, True]))
    joined = join(streams, NAMES)
    prior = np.asarray([0.25, 0.75])
    given = Calibration({"joint": 1.0, "bone": 1.0}, {"joint": 1.0, "bone": 1.0})
    fused = fuse(calibrated(joined, given), given.weights, prior)
    path = tmp_path / "predictions.csv"
    write_answers(path, answer_rows(labels, "test", joined, fused, 0.74))
    found = read_answers(path)
    assert found["sample"].tolist() == list(NAMES)
    assert found["gloss"].tolist() == ["null", "NA", "NA", ""]
    assert found["answer"].tolist() == ["null", "null", "NA", "null"]
    assert found["second"].tolist() == ["NA", "NA", "null", "NA"]
    assert found["correct"].tolist() == [True, False, True, ""]
    assert found["answered_by"].tolist() == ["joint bone", "joint", "class prior", "joint bone"]
    assert found["probability"].tolist() == [0.8808, 0.7311, 0.75, 0.7311]
    assert found["second_probability"].tolist() == [0.1192, 0.2689, 0.25, 0.2689]
    assert found["accepted"].tolist() == [True, False, False, False]  # never the class prior
    write_answers(path, answer_rows(labels, "test", joined, fused, None))
    assert read_answers(path)["accepted"].all()
    assert pd.read_csv(path)["correct"].mean() == pytest.approx(2 / 3)


def many(split: Split, clips: int, wrong: int) -> tuple[SampleTable, Fused]:
    """Clips of a split with falling confidence; the last ones are answered wrongly."""
    samples = tuple(
        Sample(f"{split}{n}", split, int(n >= clips - wrong), None, "x", None) for n in range(clips)
    )
    margins = np.linspace(3, 1, clips)
    scores = np.stack([margins, np.zeros(clips)], axis=1)
    return SampleTable(("hello", "thanks"), samples), Fused(scores, np.ones(clips, np.int64))


@pytest.mark.parametrize("split", ["val", "train"])
def test_answers_below_the_threshold_are_unsure(split: Split) -> None:
    """Two of 42 clips would be wrong, and with the added error three."""
    (held_out, scores), (test, test_scores) = many(split, 45, 5), many("test", 10, 2)
    table = replace(held_out, samples=(*held_out.samples, *test.samples))
    found = reject(table, FREE, split, {split: scores, "test": test_scores})
    confidence = 1 / (1 + np.exp(-np.linspace(3, 1, 45)))
    assert found["threshold"] == pytest.approx(confidence[40])
    assert (found["chosen_on"], found["reason"], found["accept_error"]) == (split, None, 0.05)
    assert (found[split]["accepted"], found[split]["errors"]) == (41, 1)
    assert (found["test"]["accepted"], found["test"]["errors"]) == (9, 1)


@pytest.mark.parametrize(
    ("clips", "wrong", "accept_error", "reason"),
    [
        (45, 45, 0.05, "at no confidence are at most 5 % errors to be expected on val"),
        (19, 0, 0.05, "20 labelled and answered clips of val are needed to expect at most 5 % err"),
        (0, 0, 0.025, "40 labelled and answered clips of val are needed .*, and there are 0"),
        (45, 0, None, "accept_error is null"),
    ],
)
def test_without_a_threshold_every_answer_is_accepted(
    clips: int, wrong: int, accept_error: float | None, reason: str
) -> None:
    table, scores = many("val", clips, wrong)
    track = TrackSettings(streams={"joint": None}, accept_error=accept_error)
    found = reject(table, track, "val", {"val": scores})
    assert (found["threshold"], found["chosen_on"]) == (None, None)
    assert re.match(reason, found["reason"])
    if clips:
        assert (found["val"]["accepted"], found["val"]["errors"]) == (clips, wrong)
        alone = replace(table, classes=("hello",))
        assert reject(alone, FREE, "val", {"val": scores})["reason"].endswith("with one class")


def test_no_threshold_without_labels_or_logits_of_val() -> None:
    table, scores = many("val", 45, 0)
    unlabelled = tuple(replace(sample, label=None) for sample in table.samples)
    for given in ({"val": scores}, {}):
        found = reject(replace(table, samples=unlabelled), FREE, "val", given)
        assert (found["threshold"], found["val"]) == (None, None)
        assert found["reason"].endswith("and there are 0")
