"""What of a video lies outside the conditions of the training."""

import json

import pytest

from slr_pipeline.scoring.conditions import conditions_of, outside

CLIP = {"fps": 25.0, "width": 640, "height": 480, "shoulders_px": 128.0, "missing_hands": 0.1}
CLIPS = [CLIP | {"shoulders_px": 128.0 + i} for i in range(40)] + [CLIP | {"missing_hands": 1.0}]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"width": 480, "height": 640, "missing_hands": 0.0, "fps": 24.0}, []),
        ({"fps": 0.0, "shoulders_px": float("nan")}, []),
        ({"fps": 100.0}, ["100 frames per second (training: 25)"]),
        ({"fps": 29.97}, ["29.97 frames per second (training: 25)"]),
        (
            {"width": 128, "height": 96, "shoulders_px": 26.0},
            ["pictures of 128 px (training: 640 px)"],
        ),
        ({"shoulders_px": 40.0}, ["shoulders of 6 % of the picture (training: 20 to 26 %)"]),
        ({"missing_hands": 1.0}, ["a hand in 0 % of the frames (training: 90 %)"]),
    ],
)
def test_each_difference_has_its_text(change: dict[str, float], expected: list[str]) -> None:
    conditions = json.loads(json.dumps(conditions_of(CLIPS)))  # as model.json holds them
    assert outside(CLIP | change, conditions) == expected


def test_a_model_without_conditions_says_nothing() -> None:
    assert conditions_of([{"reason": ""}]) == {}
    assert outside(CLIP, {}) == []
    # A quarantined video has no measures.
    assert outside(dict.fromkeys(CLIP, 0.0), conditions_of(CLIPS)) == []
