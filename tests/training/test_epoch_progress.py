import pytest

from slr_pipeline.training.fit import fit
from tests.terminal import terminal
from tests.training.small_task import net, points, recipe


def test_a_terminal_is_shown_batches_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown:
        fit(net(), points(12, train=True), None, recipe=recipe(epochs=3), seed=1)
    text = shown()
    for part in ("epoch 0", "epoch 2", "run", "2/2", "6/6", "batches/s, left"):
        assert part in text


def test_a_log_file_is_shown_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    fit(net(), points(12, train=True), None, recipe=recipe(), seed=1)
    assert "batches/s" not in "".join(capfd.readouterr())
