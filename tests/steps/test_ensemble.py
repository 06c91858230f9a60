"""What a track may be fitted on."""

import numpy as np
import pytest

from slr_pipeline.config import TrackSettings
from slr_pipeline.errors import DataError
from slr_pipeline.io.logits import Logits
from slr_pipeline.samples import Sample, SampleTable
from slr_pipeline.steps.ensemble import calibration_of_track

NAMES = ("a", "b", "c", "d")


def table(*labels: int | None) -> SampleTable:
    samples = tuple(
        Sample(name=name, split="val", label=label, signer=None, color="x", depth=None)
        for name, label in zip(NAMES, labels, strict=True)
    )
    return SampleTable(classes=("hello", "thanks"), samples=samples)


def logits(protocol: str = "strict", scale: float = 1.0) -> Logits:
    values = scale * np.float32([[2, 0], [1, 0], [0, 1], [1, 0]])
    answered = np.ones(4, dtype=bool)
    return Logits(NAMES, values, answered, ("hello", "thanks"), protocol)


VAL = {"joint": logits(), "bone": logits(scale=4)}
LABELLED = table(0, 0, 1, 1)


def test_weights_and_temperatures_are_fitted_on_val() -> None:
    found = calibration_of_track(
        LABELLED, TrackSettings(streams={"joint": None, "bone": None}), VAL
    )
    assert found.temperatures["bone"] == pytest.approx(4 * found.temperatures["joint"], rel=1e-3)
    assert sum(found.weights.values()) == pytest.approx(1)


def test_given_weights_stay_and_raw_logits_need_no_temperature() -> None:
    given = {"joint": 1.0, "bone": 0.5}
    found = calibration_of_track(LABELLED, TrackSettings(streams=given), VAL)
    assert found.weights == given
    assert found.temperatures.keys() == given.keys()
    raw = calibration_of_track(LABELLED, TrackSettings(streams=given, fusion="published"), VAL)
    assert (raw.weights, raw.temperatures) == (given, {})


def test_nothing_is_fitted_to_what_was_trained_on() -> None:
    track = TrackSettings(streams={"joint": None, "bone": None})
    with pytest.raises(DataError, match=r"^stream bone: its logits of val are of protocol chal"):
        calibration_of_track(LABELLED, track, {**VAL, "bone": logits("challenge")})
    with pytest.raises(DataError, match=r"^fusion calibrated is fitted on the labels of val, and"):
        calibration_of_track(table(None, None, None, None), track, VAL)
