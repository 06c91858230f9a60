"""The time left of a run: the forecast at first, then the speed of the run itself."""

import pytest

from slr_pipeline.planning.remaining import seconds_left


@pytest.mark.parametrize(
    ("left", "taken", "expected"),
    [
        (600, 0, 600),  # nothing is done: the forecast
        (300, 300, 300),  # as fast as forecast
        (300, 1140, 1000),  # 300 s took 1140 s: (1140 + 60) / (300 + 60) as long
        (600, 60, 1200),  # nothing is finished after a minute
        (0, 60, 0),
        (700, 60, 1400),  # more than at first: jobs were added
    ],
)
def test_the_forecast_is_corrected_by_the_time_taken(
    left: float, taken: float, expected: float
) -> None:
    assert seconds_left(600, left, taken) == pytest.approx(expected)
