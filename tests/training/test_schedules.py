from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slr_pipeline.models.dropgraph import keep_probability
from slr_pipeline.training.schedules import (
    best_epoch,
    learning_rate,
    out_of_patience,
    plateaus,
    weight_decay,
)


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


def test_constant_keep_probability() -> None:
    assert keep_probability(0, final=0.8, epochs=0) == 0.8
    assert keep_probability(5, final=1.0, epochs=100) == 1.0


def test_cosine_falls_from_the_end_of_the_warmup_to_the_end_of_training() -> None:
    """By hand, and torch's own schedule after the warm-up."""
    steps: dict[str, Any] = {"base": 2.0, "milestones": [], "decay": 0.1}
    rates = [learning_rate(n, warmup_epochs=2, cosine_epochs=6, **steps) for n in range(7)]
    assert rates == pytest.approx([1, 2, 2, 1 + 2**-0.5, 1, 1 - 2**-0.5, 0])
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9)
    for epoch in range(9):
        ours = learning_rate(epoch, warmup_epochs=0, cosine_epochs=9, **steps)
        assert ours == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


def test_cosine_with_no_epoch_after_the_warmup() -> None:
    rates = [
        learning_rate(epoch, base=1.0, warmup_epochs=4, milestones=[], decay=0.1, cosine_epochs=4)
        for epoch in range(4)
    ]
    assert rates == [0.25, 0.5, 0.75, 1.0]


def test_a_plateau_counts_as_a_milestone() -> None:
    rate = learning_rate(7, base=1.0, warmup_epochs=0, milestones=[5, 9], decay=0.1, plateaus=2)
    assert rate == pytest.approx(1e-3)


def test_plateaus_by_hand() -> None:
    losses = [1.0, 0.9, 0.95, 0.92, 0.91, 0.9, 0.9, 0.9, 0.5]
    assert [plateaus(losses[:n], 1) for n in range(10)] == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert plateaus(losses, None) == 0
    assert plateaus([1.0, 1.0 - 5e-5, 1.0 - 2e-4], 0) == 1  # not lower by a ten-thousandth


LOSSES = st.one_of(
    st.floats(0, 10), st.sampled_from([1.0, 0.9999, 0.99995, 0.5, 0.0]), st.just(float("inf"))
)


@given(losses=st.lists(LOSSES, max_size=60), patience=st.integers(0, 5))
def test_plateaus_equal_those_of_torch(losses: list[float], patience: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience, eps=0.0
    )
    for epoch, loss in enumerate(losses):
        theirs.step(loss)
        assert optimizer.param_groups[0]["lr"] == 0.5 ** plateaus(losses[: epoch + 1], patience)


def rows(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"val_accuracy": accuracy, "val_loss": loss} for accuracy, loss in pairs]


def test_the_best_epoch() -> None:
    history = rows((0.5, 1.0), (0.6, 1.2), (0.6, 1.1), (0.6, 1.1), (0.4, 0.9), (0.5, 0.9))
    assert best_epoch(history, "val_accuracy") == 2
    assert best_epoch(history, "val_loss") == 5
    assert best_epoch(history[:5], "val_loss") == 4


def test_patience_counts_from_the_best_epoch() -> None:
    history = rows((0.5, 1.0), (0.4, 0.9), (0.3, 1.0), (0.3, 1.0))
    ends = [
        [out_of_patience(history[:n], monitor=monitor, patience=2) for n in range(5)]
        for monitor in ("val_accuracy", "val_loss")
    ]
    assert ends == [[False, False, False, True, True], [False, False, False, False, True]]
    assert not out_of_patience(history * 50, monitor="val_loss", patience=None)


def test_weight_decay_ends() -> None:
    assert [weight_decay(epoch, base=0.1, epochs=2) for epoch in range(4)] == [0.1, 0.1, 0, 0]
    assert weight_decay(999, base=0.1, epochs=None) == 0.1
    assert weight_decay(0, base=0.1, epochs=0) == 0


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
