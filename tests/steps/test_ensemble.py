"""What a track is fitted on, and streams from before their fine-tuning."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slr_pipeline.config.experiment import Split
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.errors import DataError
from slr_pipeline.io.duplicates import write_duplicates
from slr_pipeline.io.logits import write_logits
from slr_pipeline.io.predictions import read_answers, write_answers
from slr_pipeline.samples.duplicates import Twins, duplicates_of
from slr_pipeline.samples.table import Sample, SampleTable
from slr_pipeline.scoring.ensemble import (
    Calibration,
    Fused,
    calibrated,
    fit_calibration,
    fuse,
    join,
)
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.steps.ensemble import (
    answer_rows,
    calibration_of_track,
    fitted_on,
    held_out_logits,
    read_streams,
    reject,
    score_without_twins,
)

NAMES = ("a", "b", "c", "d")


def table(*labels: int | None, split: Split = "val") -> SampleTable:
    samples = tuple(
        Sample(name=name, split=split, label=label, signer=None, color="x", depth=None)
        for name, label in zip(NAMES, labels, strict=True)
    )
    return SampleTable(classes=("hello", "thanks"), samples=samples)


def logits(protocol: str = "strict", scale: float = 1.0) -> Logits:
    values = scale * np.float32([[2, 0], [1, 0], [0, 1], [1, 0]])
    answered = np.ones(4, dtype=bool)
    return Logits(NAMES, values, answered, ("hello", "thanks"), protocol)


def fitted(labels: SampleTable, track: TrackSettings, protocol: str = "strict") -> Calibration:
    val = join({"joint": logits(protocol), "bone": logits(protocol, scale=4)}, NAMES)
    return calibration_of_track(labels, track, *held_out_logits(labels, track, val, None))


LABELLED = table(0, 0, 1, 1)
FREE = TrackSettings(streams={"joint": None, "bone": None})


def test_weights_and_temperatures_are_fitted_on_val() -> None:
    found = fitted(LABELLED, FREE)
    val = join({"joint": logits(), "bone": logits(scale=4)}, NAMES)
    assert found == fit_calibration(val, [0, 0, 1, 1])
    assert sum(found.weights.values()) == pytest.approx(1)


def test_given_weights_stay_and_raw_logits_need_no_temperature() -> None:
    given = {"joint": 1.0, "bone": 0.5}
    found = fitted(LABELLED, TrackSettings(streams=given))
    assert found.weights == given
    assert found.temperatures.keys() == given.keys()
    raw = TrackSettings(streams=given, fusion="published", untuned={"bone": 0.25})
    assert fitted(LABELLED, raw) == Calibration({}, {**given, "bone/train": 0.25})
    assert fitted_on(raw, None) is None


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


def test_nothing_is_fitted_to_training_samples() -> None:
    with pytest.raises(DataError, match=r"^the logits of val have protocol challenge, trained"):
        fitted(LABELLED, FREE, "challenge")
    with pytest.raises(DataError, match=r"^fusion calibrated is fitted on the labels of val, but"):
        fitted(table(None, None, None, None), FREE)


def test_out_of_fold_logits_replace_val(tmp_path: Path) -> None:
    """Two folds of two samples each cover the four of train, in any order."""
    files = []
    for stream, scale in (("joint", 1.0), ("bone", 4.0)):
        whole = logits(scale=scale)
        parts = []
        for fold, rows in enumerate(([3, 1], [0, 2])):
            path = tmp_path / f"{stream}{fold}.h5"
            names = tuple(NAMES[row] for row in rows)
            part = replace(
                whole, samples=names, values=whole.values[rows], answered=whole.answered[rows]
            )
            write_logits(path, part, {})
            parts.append(str(path))
        files.append(parts)
    val = join({"joint": logits(), "bone": logits(scale=0.1)}, NAMES)
    train = table(0, 0, 1, 1, split="train")
    split, held_out = held_out_logits(train, FREE, val, files)
    assert split == "train"
    assert calibration_of_track(train, FREE, split, held_out) == fitted(LABELLED, FREE)
    assert fitted_on(FREE, files) == "train, out of fold"
    with pytest.raises(DataError, match=r"joint.*2 repeated \['d', 'b'\]"):
        held_out_logits(train, FREE, val, [[*files[0], files[0][0]], files[1]])
    with pytest.raises(DataError, match=r"^stream joint: .* 2 missing \['b', 'd'\]"):
        held_out_logits(train, FREE, val, [files[0][1:], files[1]])


def test_untuned_streams_join_finetuned_ones(tmp_path: Path) -> None:
    paths = {kind: str(tmp_path / f"{kind}.h5") for kind in ("strict", "challenge")}
    for kind, path in paths.items():
        write_logits(path, logits(kind), {})
    track = TrackSettings(streams={"joint": 1.2}, untuned={"joint": 1.5}, fusion="published")
    for tuned in paths.values():  # a model that was trained on train alone needs no fine-tuning
        found = read_streams(track, [tuned, paths["strict"]], "challenge")
        assert list(found) == ["joint", "joint/train"]
        assert join(found, NAMES).protocol == "challenge"
    line = r"^stream joint/train: .*challenge\.h5 has protocol challenge, expected strict; "
    with pytest.raises(DataError, match=line):
        read_streams(track, [paths["challenge"], paths["challenge"]], "challenge")
    with pytest.raises(DataError, match=r"^stream joint: .* has protocol challenge, expected stri"):
        read_streams(track, [paths["challenge"], paths["strict"]], "strict")


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
