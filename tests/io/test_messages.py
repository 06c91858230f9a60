"""Values as short texts."""

import pytest

from slr_pipeline.io.messages import frequent


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([(25.0,)] * 3, "25"),
        ([(256, 256)] * 59 + [(1080, 1920)], "256 x 256 (59), 1080 x 1920 (1)"),
        ([(29.97,), (30.0,), (30.0,)], "30 (2), 29.97 (1)"),
        (
            [(n, n) for n in range(10, 20) for _ in range(30 - n)],
            "10 x 10 (20), 11 x 11 (19), 12 x 12 (18), 13 x 13 (17), 6 more, 14 x 14 to 19 x 19",
        ),
        (
            [(n,) for n in range(1, 6) for _ in range(9 - n)],
            "1 (8), 2 (7), 3 (6), 4 (5), 1 more, 5",
        ),
    ],
)
def test_no_value_hides_behind_the_most_frequent(
    values: list[tuple[float, ...]], text: str
) -> None:
    assert frequent(values) == text
