"""The conditions that a model was trained under, and what of a new video lies outside them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Conditions = dict[str, tuple[float, float]]
"""Lowest and highest value of each measure among nine tenths of the training clips."""

SLACK = {"fps": 1.1, "side_px": 1.5, "shoulders": 1.5, "hands": 2.0}
"""Measures of a clip, and by which factor a new one may differ: frames per second, longer side of
the picture, width of the shoulders as a share of it, share of the frames with a hand."""


def measures(clip: Mapping[str, Any]) -> dict[str, float]:
    """The known measures of a clip, from its row of the quality table."""
    side = max(clip.get("width", 0), clip.get("height", 0))
    values = {
        "fps": clip.get("fps", 0),
        "side_px": side,
        "shoulders": clip.get("shoulders_px", 0) / side if side else 0,
        "hands": 1 - clip.get("missing_hands", np.nan),
    }
    known = values.items() if side else ()
    return {name: float(x) for name, x in known if np.isfinite(x) and (x > 0 or name == "hands")}


def conditions_of(clips: Iterable[Mapping[str, Any]]) -> Conditions:
    """The conditions of a training on these clips, rows of the quality table."""
    measured = [measures(clip) for clip in clips]
    conditions: Conditions = {}
    for name in SLACK:
        values = [clip[name] for clip in measured if name in clip]
        if values:
            low = np.quantile(values, 0.05, method="lower")
            high = np.quantile(values, 0.95, method="higher")
            conditions[name] = (round(float(low), 4), round(float(high), 4))
    return conditions


def outside(clip: Mapping[str, Any], conditions: Mapping[str, Any]) -> list[str]:
    """What of a clip, a row of the quality table, lies outside the conditions, a text each."""
    found = []
    for name, value in measures(clip).items():
        low, high = conditions.get(name, (value, value))
        # More hands than in training are no problem.
        if value < low / SLACK[name] or (value > high * SLACK[name] and name != "hands"):
            found.append(_TEXTS[name].format(_range(name, value, value), _range(name, low, high)))
    return found


_TEXTS = {
    "fps": "{} frames per second (training: {})",
    "side_px": "pictures of {} px (training: {} px)",
    "shoulders": "shoulders of {} % of the picture (training: {} %)",
    "hands": "a hand in {} % of the frames (training: {} %)",
}


def _range(name: str, low: float, high: float) -> str:
    scale = 100 if name in ("shoulders", "hands") else 1
    ends = [f"{round(scale * end, 2 if name == 'fps' else None):g}" for end in (low, high)]
    return " to ".join(dict.fromkeys(ends))
