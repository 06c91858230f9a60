"""A step's flags follow from its signature."""

from pathlib import Path
from typing import Any, Literal

import pytest

from slr_pipeline.config.estimators import KeypointsSettings, MediapipeSettings
from slr_pipeline.config.features import FlowSettings
from slr_pipeline.config.flags import step_flags
from slr_pipeline.errors import ConfigError


def step(
    settings: FlowSettings,
    phase: Literal["train", "finetune"],
    features: list[str],
    state: Path,
    keypoints: KeypointsSettings | None = None,
    out_of_fold: list[list[str]] | None = None,
    seed: int = 1,
) -> None:
    """Compute nothing."""


REQUIRED = ["--settings", "{}", "--phase", "train", "--features", "a.h5", "b.h5", "--state", "s"]


def flags(*words: str) -> dict[str, Any]:
    return step_flags(step, [*REQUIRED, *words])


def test_each_parameter_has_a_flag_of_its_type() -> None:
    assert flags() == {
        "settings": FlowSettings(),
        "phase": "train",
        "features": ["a.h5", "b.h5"],
        "state": Path("s"),
        "keypoints": None,
        "out_of_fold": None,
        "seed": 1,
    }
    given = flags(
        *("--keypoints", '{"estimator": "mediapipe"}', "--seed", "7"),
        *("--out-of-fold", "a", "b", "--out-of-fold", "c"),
    )
    assert given["keypoints"] == MediapipeSettings(estimator="mediapipe")
    assert given["out_of_fold"] == [["a", "b"], ["c"]]
    assert given["seed"] == 7


def test_a_wrong_setting_names_the_flag() -> None:
    with pytest.raises(ConfigError, match=r"^settings: sigma: unknown key"):
        flags("--settings", '{"sigma": 3}')


@pytest.mark.parametrize("words", [["--phase", "test"], ["--seed", "one"], ["--unknown", "1"]])
def test_a_wrong_flag_ends_with_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        flags(*words)
    with pytest.raises(SystemExit):
        step_flags(step, REQUIRED[2:])
