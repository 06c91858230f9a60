import pytest
from hypothesis import given
from hypothesis import strategies as st

from slr_pipeline.training.schedules import keep_probability, learning_rate


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 0.005),
        (9, 0.05),
        (18, 0.095),
        (19, 0.1),
        (149, 0.1),
        (150, 0.01),
        (199, 0.01),
        (200, 0.001),
        (249, 0.001),
    ],
)
def test_published_learning_rate(epoch: int, expected: float) -> None:
    rate = learning_rate(epoch, base=0.1, warmup_epochs=20, milestones=[150, 200], decay=0.1)
    assert rate == pytest.approx(expected)


def test_published_fine_tuning_has_no_warmup() -> None:
    rates = [
        learning_rate(epoch, base=0.01, warmup_epochs=0, milestones=[50], decay=0.1)
        for epoch in (0, 49, 50, 99)
    ]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 1.0), (1, 0.999), (50, 0.95), (99, 0.901), (100, 0.9), (249, 0.9)]
)
def test_published_keep_probability(epoch: int, expected: float) -> None:
    assert keep_probability(epoch, final=0.9, epochs=100) == pytest.approx(expected)


def test_keep_probability_without_a_fall() -> None:
    assert keep_probability(0, final=0.8, epochs=0) == 0.8
    assert keep_probability(5, final=1.0, epochs=100) == 1.0


@given(
    epoch=st.integers(0, 500),
    final=st.floats(0.01, 1),
    epochs=st.integers(0, 300),
    warmup=st.integers(0, 50),
    milestones=st.lists(st.integers(0, 400)),
)
def test_schedules_stay_within_bounds(
    epoch: int, final: float, epochs: int, warmup: int, milestones: list[int]
) -> None:
    keep = keep_probability(epoch, final=final, epochs=epochs)
    assert final - 1e-12 <= keep <= 1
    assert keep_probability(epoch + 1, final=final, epochs=epochs) <= keep + 1e-12
    rate = learning_rate(epoch, base=0.1, warmup_epochs=warmup, milestones=milestones, decay=0.5)
    assert 0 < rate <= 0.1
