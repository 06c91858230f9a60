import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from slr_pipeline.config.recipes import SlgcnTraining
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.models.dropgraph import set_keep
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.scoring.accuracy import evaluate
from slr_pipeline.training.fit import Fitted, fit
from slr_pipeline.training.predict import predict
from tests.terminal import terminal
from tests.training.small_task import net, point, points, recipe

Clips = Callable[..., StreamDataset]
Models = Callable[[], SLGCN]


def trained(
    model: nn.Module,
    train: StreamDataset,
    val: StreamDataset | None,
    *,
    seed: int = 1,
    device: str = "cpu",
    workers: int = 0,
    **more: Any,
) -> Fitted:
    """A short recipe: two epochs of small batches of SGD, no warm-up, no steps of the rate."""
    short: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 0.05}
    plain = {"warmup_epochs": 0, "milestones": [], "overfit_steps": 0}
    settings = SlgcnTraining(**{**short, **plain, **more})
    return fit(model, train, val, recipe=settings, seed=seed, device=device, workers=workers)


def without_seconds(result: Fitted) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]


def test_movements_are_learned(clips: Clips, slgcn: Models) -> None:
    model, train, val = slgcn(), clips(range(64), train=True), clips(range(1000, 1032))
    result = trained(model, train, val, epochs=8, batch_size=8, warmup_epochs=2, milestones=[5])
    best = result.history[result.epoch]
    assert best["val_accuracy"] == max(row["val_accuracy"] for row in result.history)
    assert best["val_accuracy"] >= 0.7
    model.load_state_dict(result.state)
    scores = evaluate(predict(model, val, batch_size=8), val.labels)
    assert scores["top1"] == best["val_accuracy"]
    assert scores["loss"] == pytest.approx(best["val_loss"], rel=1e-4)


def test_one_batch_is_overfitted(clips: Clips, slgcn: Models) -> None:
    data = clips(range(4))
    result = trained(slgcn(), data, data, epochs=25)
    assert result.history[-1]["train_loss"] < 0.05
    assert result.history[-1]["train_accuracy"] == 1


def test_history_has_a_row_and_a_log_line_for_every_epoch(
    clips: Clips, slgcn: Models, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        result = trained(
            slgcn(), clips(range(8), train=True), clips(range(4)), epochs=3, warmup_epochs=2
        )
    assert [row["epoch"] for row in result.history] == [0, 1, 2]
    assert [row["learning_rate"] for row in result.history] == [0.025, 0.05, 0.05]
    assert set(result.history[0]) == {
        *("epoch", "learning_rate", "train_loss", "train_accuracy"),
        *("val_loss", "val_accuracy", "seconds"),
    }
    lines = [record.message for record in caplog.records if "slr_pipeline" in record.name]
    assert [line.split(":")[0] for line in lines] == ["epoch 0", "epoch 1", "epoch 2"]


def test_runs_are_equal_bit_for_bit_for_any_number_of_workers(clips: Clips, slgcn: Models) -> None:
    results = []
    for workers in (0, 0, 2, 4):
        torch.manual_seed(workers)  # what the caller drew before must not matter
        model = slgcn()
        set_keep(model, 0.9)
        torch.manual_seed(workers)
        train = clips(range(9), train=True)
        results.append(trained(model, train, clips(range(4)), workers=workers))
    for other in results[1:]:
        assert without_seconds(other) == without_seconds(results[0])
        for name, weight in results[0].state.items():
            assert torch.equal(other.state[name], weight), name


def test_seeds_differ(clips: Clips, slgcn: Models) -> None:
    rows = [
        without_seconds(trained(slgcn(), clips(range(8), train=True), clips(range(4)), seed=seed))
        for seed in (1, 2)
    ]
    assert rows[0] != rows[1]


def test_the_callers_generators_are_left_alone(clips: Clips, slgcn: Models) -> None:
    model = slgcn()
    before = torch.random.get_rng_state()
    trained(model, clips(range(4), train=True), clips(range(4)))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_incomplete_last_batch_is_left_out(clips: Clips, slgcn: Models) -> None:
    seen: list[int] = []
    model = slgcn()
    model.register_forward_pre_hook(
        lambda module, inputs: seen.append(len(inputs[0])) if module.training else None
    )
    trained(model, clips(range(11), train=True), clips(range(2)), epochs=2)
    assert seen == [4, 4, 4, 4]


def test_fewer_samples_than_a_batch_are_one_batch(
    clips: Clips, slgcn: Models, caplog: pytest.LogCaptureFixture
) -> None:
    result = trained(slgcn(), clips(range(3), train=True), clips(range(2)), batch_size=64)
    assert len(result.history) == 2
    assert "3 train samples make one batch (batch_size 64)" in caplog.text


def test_a_loss_that_is_not_finite_names_the_batch(clips: Clips, slgcn: Models) -> None:
    def endless(name: str, view: object, rng: object) -> list[NDArray[np.float32]]:
        size = np.inf if name == "2_6" else 1.0
        return [np.full((3, 24, 27), size, np.float32)]

    message = r"epoch 0: the loss is nan for the batch of .*2_6"
    with np.errstate(all="ignore"), pytest.raises(SlrError, match=message) as error:
        trained(slgcn(), clips([1, 6], train=True, make=endless), clips(range(2)), batch_size=2)
    assert "lower learning_rate" in str(error.value)


def test_logits_of_val_that_are_not_finite_stop_the_run() -> None:
    """Train is finite, val is not: the loss of training cannot notice it."""

    def infinite(name: str, view: object, rng: object) -> list[NDArray[np.float32]]:
        return [part * np.float32(np.inf) for part in point(name, view, None)]

    val = StreamDataset(infinite, [("0_0", 0), ("1_1", 1)], train=False)
    with pytest.raises(SlrError, match=r"^epoch 0: the logits of val are not finite"):
        fit(net(), points(12, train=True), val, recipe=recipe(), seed=1)


def test_without_val_the_last_weights_are_returned(clips: Clips, slgcn: Models) -> None:
    model, train = slgcn(), clips(range(8), train=True)
    result = trained(model, train, None, plateau_patience=0, patience=1, epochs=3)
    assert result.epoch == 2
    assert set(result.history[0]) == {
        *("epoch", "learning_rate", "train_loss", "train_accuracy", "seconds"),
    }
    assert [row["learning_rate"] for row in result.history] == [0.05] * 3
    for name, weight in model.state_dict().items():
        assert torch.equal(result.state[name], weight), name


def test_no_epochs_give_the_weights_of_the_start(clips: Clips, slgcn: Models) -> None:
    start = {name: weight.clone() for name, weight in slgcn().state_dict().items()}
    result = trained(slgcn(), clips(range(4)), clips(range(4)), epochs=0)
    assert (result.epoch, result.history) == (-1, [])
    assert all(torch.equal(result.state[name], weight) for name, weight in start.items())


# --- what val decides ----------------------------------------------------------------------------


def points_fit(**changes: Any) -> Fitted:
    data, val = points(24, train=True), points(12)
    return fit(net(dropout=0.2), data, val, recipe=recipe(**changes), seed=1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_parameter_that_is_frozen_at_first_learns_later(optimizer: str) -> None:
    model, data = net(), points(12, train=True)

    def start_epoch(epoch: int) -> None:
        model.hidden.weight.requires_grad_(epoch >= 2)

    before = model.hidden.weight.detach().clone()
    ends = [
        fit(
            model,
            data,
            None,
            recipe=recipe(epochs=epochs, optimizer=optimizer),
            seed=1,
            start_epoch=start_epoch,
        ).state["hidden.weight"]
        for epochs in (2, 3)
    ]
    assert torch.equal(ends[0], before)
    assert not torch.equal(ends[1], before)


def test_the_monitor_chooses_the_epoch() -> None:
    """A run in which the best accuracy and the lowest loss are in different epochs."""
    options = {"epochs": 12, "learning_rate": 0.3}
    by_accuracy, by_loss = (points_fit(**options, monitor=m) for m in ("val_accuracy", "val_loss"))
    rows = by_loss.history
    assert without_seconds(by_accuracy) == without_seconds(by_loss)
    lowest = min(row["val_loss"] for row in rows)
    assert rows[by_loss.epoch]["val_loss"] == lowest < rows[by_accuracy.epoch]["val_loss"]
    highest = max(row["val_accuracy"] for row in rows)
    assert rows[by_accuracy.epoch]["val_accuracy"] == highest > rows[by_loss.epoch]["val_accuracy"]
    for result in (by_accuracy, by_loss):
        model = net()
        model.load_state_dict(result.state)
        scores = evaluate(predict(model, points(12), batch_size=6), points(12).labels)
        assert scores["loss"] == pytest.approx(rows[result.epoch]["val_loss"])


def test_training_ends_when_patience_does() -> None:
    ended = points_fit(epochs=60, learning_rate=0.3, monitor="val_loss", patience=3)
    assert len(ended.history) == ended.epoch + 4 < 60
    whole = points_fit(epochs=len(ended.history) + 1, learning_rate=0.3, monitor="val_loss")
    assert without_seconds(whole)[:-1] == without_seconds(ended)


def test_the_rate_falls_on_plateaus_of_val_loss() -> None:
    """The same rates as torch's scheduler sets from the same losses."""
    rows = points_fit(epochs=20, learning_rate=0.3, plateau_patience=1, decay=0.5).history
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    expected = []
    for row in rows:
        expected.append(optimizer.param_groups[0]["lr"])
        scheduler.step(row["val_loss"])
    assert [row["learning_rate"] for row in rows] == expected
    assert len(set(expected)) > 1


def test_a_model_that_does_not_learn_is_not_trained() -> None:
    model = net()
    with pytest.raises(SlrError, match="does not overfit 4 training items"):
        fit(model, points(24, train=True), None, recipe=recipe(overfit_steps=1), seed=1)
    assert all(map(torch.equal, model.state_dict().values(), net().state_dict().values()))


def test_the_check_that_it_learns_changes_nothing() -> None:
    checked = fit(net(), points(24, train=True), None, recipe=recipe(overfit_steps=400), seed=1)
    plain = fit(net(), points(24, train=True), None, recipe=recipe(), seed=1)
    assert all(torch.equal(checked.state[name], plain.state[name]) for name in plain.state)


def test_guessing_ends_a_run() -> None:
    """Val has the wrong labels, so that nothing learned helps."""
    wrong = StreamDataset(point, [(f"{i % 3}_{i}", (i + 1) % 3) for i in range(90)], train=False)
    train, settings = points(24, train=True), recipe(epochs=30, chance_epochs=4)
    with pytest.raises(SlrError, match=r"after 4 epochs val accuracy is not above chance"):
        fit(net(), train, wrong, recipe=settings, seed=1)
    fit(net(), train, points(90), recipe=settings, seed=1)


@pytest.mark.parametrize("split", ["train", "val"])
def test_missing_samples_and_labels_are_named(clips: Clips, slgcn: Models, split: str) -> None:
    sets = {"train": clips(range(4)), "val": clips(range(4))}
    with pytest.raises(DataError, match=f"no {split} samples"):
        trained(slgcn(), **{**sets, split: clips([])})
    unlabelled = clips([], samples=[("0_0", 0), ("0_4", -1)])
    with pytest.raises(DataError, match=f"^0_4: no label, but a {split} sample needs one"):
        trained(slgcn(), **{**sets, split: unlabelled})


def test_errors_of_workers_are_one_line(clips: Clips, slgcn: Models) -> None:
    def no_frames(name: str, view: object, rng: object) -> list[NDArray[np.float32]]:
        raise DataError(f"{name}: no frames")

    with pytest.raises(DataError, match=r"^\d_\d: no frames$") as error:
        trained(slgcn(), clips(range(4), make=no_frames), clips(range(2)), workers=2)
    assert "\n" not in str(error.value)


def test_a_terminal_shows_batches_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown:
        fit(net(), points(12, train=True), None, recipe=recipe(epochs=3), seed=1)
    text = shown()
    for part in ("epoch 0", "epoch 2", "run", "2/2", "6/6", "batches/s, left"):
        assert part in text


def test_a_log_file_shows_no_bars(capfd: pytest.CaptureFixture[str]) -> None:
    fit(net(), points(12, train=True), None, recipe=recipe(), seed=1)
    assert "batches/s" not in "".join(capfd.readouterr())


@pytest.mark.gpu
def test_runs_on_a_gpu_are_equal_for_any_number_of_workers(clips: Clips, slgcn: Models) -> None:
    train, val = clips(range(8), train=True), clips(range(4))
    same: dict[str, Any] = {"device": "cuda", "deterministic": True}
    one, other = (trained(slgcn(), train, val, **same, workers=n) for n in (0, 2))
    assert without_seconds(one) == without_seconds(other)
    assert all(torch.equal(one.state[name], weight) for name, weight in other.state.items())
    assert all(weight.device.type == "cpu" for weight in one.state.values())
