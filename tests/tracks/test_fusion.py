"""What a track is fitted on, and streams from before their fine-tuning."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.config.experiment import Split
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.errors import DataError
from slr_pipeline.io.logits import write_logits
from slr_pipeline.samples.table import Sample, SampleTable
from slr_pipeline.scoring.ensemble import Calibration, fit_calibration, join
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.tracks.fusion import (
    calibration_of_track,
    fitted_on,
    held_out_logits,
    read_streams,
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
