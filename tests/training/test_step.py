"""One optimiser step: gradients in parts, memory, precision, clipping, means of weights."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.errors import ConfigError, SlrError
from slr_pipeline.training.fit import Fitted, fit
from slr_pipeline.training.state import TrainingState
from slr_pipeline.training.step import INTERVAL
from tests.machines import gpu_memory
from tests.training.small_task import K, Net, net, point, points, recipe


def trained(model: nn.Module, train: StreamDataset | None = None, **changes: Any) -> Fitted:
    return fit(model, train or points(12, train=True), None, recipe=recipe(**changes), seed=1)


def equal(one: Fitted, other: Fitted) -> bool:
    return all(torch.equal(one.state[name], other.state[name]) for name in one.state)


def close(one: Fitted, other: Fitted) -> None:
    for name, weight in one.state.items():
        torch.testing.assert_close(other.state[name], weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("micro_batch", [1, 2, 4, 6, 100])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_parts_give_the_gradients_of_the_whole(micro_batch: int, label_smoothing: float) -> None:
    """SGD without momentum: the weights move along the gradients."""
    plain = {"optimizer": "sgd", "momentum": 0.0, "label_smoothing": label_smoothing}
    whole = trained(net(), epochs=1, **plain)
    parts = trained(net(), epochs=1, micro_batch=micro_batch, **plain)
    close(whole, parts)
    assert parts.history[0]["train_loss"] == pytest.approx(whole.history[0]["train_loss"])
    assert parts.history[0]["train_accuracy"] == whole.history[0]["train_accuracy"]


def test_batch_norm_sees_parts_of_even_size() -> None:
    seen: list[int] = []
    model = net(norm=True)
    model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    trained(model, points(10), epochs=1, batch_size=10, micro_batch=4)
    assert seen == [4, 3, 3]


# --- memory --------------------------------------------------------------------------------------


NO_MORE = torch.OutOfMemoryError("no more")


class Greedy(Net):
    """Short of memory, forward or backward, with more than `most` items in training."""

    def __init__(self, most: int, *, backward: bool = False, error: RuntimeError = NO_MORE) -> None:
        super().__init__(dropout=0.3, norm=most > 1)
        self.most, self.backward, self.error = most, backward, error

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits = super().forward(x, y)  # has changed the statistics and drawn random numbers
        if self.training and len(x) > self.most:
            if not self.backward:
                raise self.error
            logits.register_hook(self.no_more)
        return logits

    def no_more(self, gradient: Tensor) -> Tensor:
        raise self.error


def greedy(most: int, *, backward: bool = False, error: RuntimeError = NO_MORE) -> Greedy:
    torch.manual_seed(0)
    return Greedy(most, backward=backward, error=error)


@pytest.mark.parametrize("mixup", [None, 0.5])
@pytest.mark.parametrize("backward", [False, True])
def test_out_of_memory_halves_the_micro_batch_and_leaves_no_trace(
    backward: bool, mixup: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    short = trained(greedy(2, backward=backward), batch_size=6, mixup=mixup)
    assert caplog.text.count("out of memory") == 2  # 6, then 3, then 2, which is kept
    assert "continuing with 2 samples at a time (micro_batch)" in caplog.text
    planned = trained(greedy(2), batch_size=6, micro_batch=2, mixup=mixup)
    assert equal(short, planned)
    assert [row["train_loss"] for row in short.history] == [
        row["train_loss"] for row in planned.history
    ]


@pytest.mark.parametrize(
    "message",
    [
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "Unable to find a valid cuDNN algorithm to run convolution",
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 96 bytes. Error code 12 (Cannot allocate memory)",
    ],
)
def test_failed_allocations_of_libraries_are_shortage_of_memory(message: str) -> None:
    for backward in (False, True):
        short = trained(greedy(3, backward=backward, error=RuntimeError(message)), batch_size=6)
        assert equal(short, trained(greedy(3), batch_size=6, micro_batch=3))


def test_other_errors_of_torch_are_raised_as_they_are() -> None:
    wrong = RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM")
    with pytest.raises(RuntimeError, match="BAD_PARAM"):
        trained(greedy(2, error=wrong), batch_size=6)


def test_one_sample_that_does_not_fit_is_named() -> None:
    with pytest.raises(
        SlrError, match=r"epoch 0: out of memory on cpu with one sample at a time \("
    ):
        trained(greedy(0), batch_size=4)


class Hungry(Net):
    """Takes a quarter of a GB of the GPU for every item, forward or backward."""

    def __init__(self, *, backward: bool) -> None:
        super().__init__(dropout=0.3, norm=True)
        self.backward = backward

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits = super().forward(x, y)
        if self.backward:
            logits.register_hook(_take)
        else:
            _take(x)
        return logits


def _take(items: Tensor) -> None:
    torch.empty(len(items), 2**28, dtype=torch.uint8, device=items.device)


@pytest.mark.gpu
@pytest.mark.parametrize("backward", [False, True])
def test_the_memory_of_a_gpu_limits_the_micro_batch(
    backward: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def hungry(**changes: Any) -> Fitted:
        torch.manual_seed(0)
        model, settings = Hungry(backward=backward), recipe(**changes)
        return fit(model, points(12, train=True), None, recipe=settings, seed=1, device="cuda")

    planned = hungry(micro_batch=3)
    with gpu_memory(1200):  # for four items
        short = hungry()
    assert caplog.text.count("out of memory on cuda:0; continuing with 3 samples at a time") == 1
    assert equal(short, planned)


# --- values that are not finite ------------------------------------------------------------------


class Cliff(torch.autograd.Function):
    """Identity whose gradient is infinite."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient * math.inf


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change() -> None:
    class Steep(Net):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            logits: Tensor = Cliff.apply(super().forward(x, y))
            return logits

    model = Steep()
    before = model.classifier.weight.detach().clone()
    with pytest.raises(SlrError, match=r"epoch 0: the norm of the gradients is (inf|nan) for the"):
        trained(model)
    assert torch.equal(model.classifier.weight, before)


def test_no_more_than_32_samples_are_named() -> None:
    def make(name: str, view: object, rng: Any) -> list[np.ndarray]:
        return [part * np.float32(np.nan) for part in point(name, view, None)]

    data = StreamDataset(make, [(f"0_{number}", 0) for number in range(40)], train=False)
    with pytest.raises(SlrError, match=r"loss is nan for the batch of .* and 8 more; ") as error:
        trained(net(), data, batch_size=40)
    assert str(error.value).count("0_") == 32


@pytest.mark.parametrize("interval", [1, 10])
def test_a_bad_batch_is_named_and_never_saved(
    interval: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU looks at its steps ten at a time; here a CPU does."""
    monkeypatch.setitem(INTERVAL, "cpu", interval)
    made: list[str] = []

    def make(name: str, view: object, rng: Any) -> list[np.ndarray]:
        made.append(name)
        return [
            part * np.float32(np.nan if name == "1_7" else 1) for part in point(name, view, rng)
        ]

    data = StreamDataset(make, [(f"{i % K}_{i}", i % K) for i in range(60)], train=True)
    state = TrainingState(tmp_path, "this", save_every_s=0)
    with pytest.raises(SlrError, match=r"epoch 0: the loss is nan for the batch of .*1_7"):
        fit(net(), data, None, recipe=recipe(batch_size=2), seed=1, state=state)
    saved, bad = state.load(), made.index("1_7") // 2
    assert saved is not None
    assert saved["progress"]["step"] == bad - bad % interval > 0
    assert all(bool(weight.isfinite().all()) for weight in saved["model"].values())


def test_the_interval_of_checks_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for interval in (1, 3):  # of 4 steps an epoch
        monkeypatch.setitem(INTERVAL, "cpu", interval)
        results.append(trained(net(), points(24, train=True)))
    one, other = ([row | {"seconds": 0} for row in result.history] for result in results)
    assert equal(*results)
    assert one == other


# --- optimisers ----------------------------------------------------------------------------------


def test_gradients_are_clipped_to_their_norm_together() -> None:
    plain: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 1.0}
    start = {name: value.clone() for name, value in net().state_dict().items()}

    def moved(**changes: Any) -> float:
        result = trained(net(), points(6), epochs=1, **plain, **changes)
        return math.sqrt(sum(float((result.state[k] - v).square().sum()) for k, v in start.items()))

    free = moved()
    assert moved(clip_norm=free / 2) == pytest.approx(free / 2, rel=1e-4)
    assert moved(clip_norm=free * 2) == pytest.approx(free, rel=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_optimiser_is_torchs(optimizer: str) -> None:
    """One batch, so that the order of samples does not matter; norms and biases decay, too."""
    # A bias before batch norm has no gradient but rounding, which adamw makes a whole step of.
    norm = optimizer != "adamw"
    data, model = points(6), net(norm=norm)
    result = trained(net(norm=norm), data, epochs=3, optimizer=optimizer, weight_decay=0.1)
    theirs: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)
    if optimizer == "sgd":
        theirs = torch.optim.SGD(
            model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1
        )
    if optimizer == "adamw":
        theirs = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    x, y = (torch.stack([data[index][0][part] for index in range(6)]) for part in range(2))
    for row in result.history:
        theirs.zero_grad()
        loss = cross_entropy(model(x, y), torch.tensor(data.labels))
        loss.backward()
        theirs.step()
        assert row["train_loss"] == pytest.approx(loss.item(), rel=1e-4)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(result.state[name], weight, rtol=1e-4, atol=1e-6)


def test_decoupled_weight_decay_does_not_pass_through_the_moments() -> None:
    """Without a gradient a weight shrinks by rate times decay in every step, and no more."""

    def make(name: str, view: object, rng: Any) -> list[np.ndarray]:
        return [np.zeros(6, np.float32)]

    torch.manual_seed(0)
    model, data = nn.Linear(6, K), StreamDataset(make, [("0_1", 0), ("1_2", 1)], train=True)
    start = model.weight.detach().clone()
    plain = {"learning_rate": 0.1, "weight_decay": 0.5, "epochs": 2}
    result = trained(model, data, optimizer="adamw", **plain)
    torch.testing.assert_close(result.state["weight"], start * (1 - 0.1 * 0.5) ** 2)


# --- mixup ---------------------------------------------------------------------------------------


def one_hot(name: str, view: object, rng: Any) -> list[np.ndarray]:
    """Tells its sample, so that a mixed item tells both of its samples and their shares."""
    return [np.eye(12, dtype=np.float32)[int(name[2:])]]


@pytest.mark.parametrize("micro_batch", [None, 3])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_items_and_labels_are_mixed_alike(micro_batch: int | None, label_smoothing: float) -> None:
    """The loss is the cross-entropy with labels mixed in the shares that the items show."""
    torch.manual_seed(0)
    model, parts = nn.Linear(12, K), []
    labels = torch.arange(12) % K
    samples = [(f"{label}_{i}", label) for i, label in enumerate(labels.tolist())]
    model.register_forward_hook(
        lambda module, inputs, logits: parts.append((inputs[0], logits.detach()))
    )
    options: dict[str, Any] = {"mixup": 0.8, "label_smoothing": label_smoothing, "epochs": 3}
    data = StreamDataset(one_hot, samples, train=True)
    result = trained(model, data, micro_batch=micro_batch, **options)
    assert len(parts) == 3 * (2 if micro_batch is None else 4)
    per_step, per_epoch = len(parts) // 6, len(parts) // 3
    steps = [parts[n : n + per_step] for n in range(0, len(parts), per_step)]
    shares = []
    for step in steps:
        mixed = torch.cat([items for items, _ in step])
        largest = mixed.max(dim=1).values
        (share,) = {round(value, 5) for value in largest.tolist() if value < 1}
        assert 0.5 <= share < 1
        shares.append(share)
        for items, _ in step:  # partners are a permutation of the part
            torch.testing.assert_close(items.sum(0), items.sum(0).round())
    assert len(set(shares)) == 6
    for epoch, row in enumerate(result.history):
        seen = parts[epoch * per_epoch : (epoch + 1) * per_epoch]
        mixed, logits = (torch.cat(values) for values in zip(*seen, strict=True))
        soft = mixed @ nn.functional.one_hot(labels, K).float()
        loss = cross_entropy(logits, soft, label_smoothing=label_smoothing)
        assert row["train_loss"] == pytest.approx(loss.item(), rel=1e-4)
        right = logits.argmax(1) == labels[mixed.argmax(1)]
        assert row["train_accuracy"] == pytest.approx(right.float().mean().item())


def test_weight_decay_ends_after_its_epochs() -> None:
    ended = trained(net(), epochs=3, weight_decay=1.0, weight_decay_epochs=0)
    assert equal(ended, trained(net(), epochs=3))
    two = trained(net(), epochs=2, weight_decay=1.0)
    assert equal(two, trained(net(), epochs=2, weight_decay=1.0, weight_decay_epochs=2))
    three = trained(net(), epochs=3, weight_decay=1.0)
    assert not equal(three, trained(net(), epochs=3, weight_decay=1.0, weight_decay_epochs=2))


@pytest.mark.parametrize("forgets", [False, True])
def test_reset_epochs_are_steps_without_a_past(forgets: bool) -> None:
    """The first step of Adam moves every weight by the learning rate, one way or the other."""

    def make(name: str, view: object, rng: Any) -> list[np.ndarray]:
        return [np.concatenate(point(name, view, None))]

    torch.manual_seed(0)
    model, data = (
        nn.Linear(6, K),
        StreamDataset(make, [(f"0_{i}", 0) for i in range(24)], train=True),
    )
    start = model.weight.detach().clone()
    result = trained(model, data, epochs=1, learning_rate=0.1, reset_epochs=[0] * forgets)
    steps = (result.state["weight"] - start) / 0.1  # the sum of 4
    assert torch.allclose(steps, steps.round(), atol=1e-3) == forgets


def test_the_mean_of_the_weights_is_what_val_sees_and_what_is_returned() -> None:
    steps: list[Tensor] = []
    model = net(norm=True)
    data, val = points(24, train=True), points(9)

    def note(module: nn.Module, inputs: Any) -> None:
        if module.training:
            steps.append(model.classifier.weight.detach().clone())

    model.register_forward_pre_hook(note)
    result = fit(model, data, None, recipe=recipe(epochs=2, ema_decay=0.7), seed=1)
    steps.append(model.classifier.weight.detach())
    mean = steps[1]  # after the first step
    for weight in steps[2:]:
        mean = 0.7 * mean + 0.3 * weight
    torch.testing.assert_close(result.state["classifier.weight"], mean)

    chosen = fit(net(norm=True), data, val, recipe=recipe(epochs=2, ema_decay=0.7), seed=1)
    plain = fit(net(norm=True), data, val, recipe=recipe(epochs=2), seed=1)
    assert chosen.history[1]["train_loss"] == plain.history[1]["train_loss"]
    assert chosen.history[1]["val_loss"] != plain.history[1]["val_loss"]


# --- precision -----------------------------------------------------------------------------------


def test_bf16_trains_about_as_fp32_does() -> None:
    full, half = (trained(net(), precision=name, epochs=3) for name in ("fp32", "bf16"))
    assert equal(full, trained(net(), precision="auto", epochs=3))  # on a CPU
    assert not equal(full, half)
    for name, weight in full.state.items():
        torch.testing.assert_close(half.state[name], weight, rtol=0, atol=0.02)
        assert half.state[name].dtype == torch.float32


def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(ConfigError, match="precision fp16 needs a GPU, found cpu"):
        trained(net(), precision="fp16")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_learns_on_a_gpu(precision: str) -> None:
    settings = recipe(epochs=20, precision=precision, clip_norm=1.0)
    result = fit(net(), points(48, train=True), None, recipe=settings, seed=1, device="cuda")
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < 0.7 * losses[0]
    assert result.history[-1]["train_accuracy"] > 0.7


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_callers_choice_of_algorithms_is_left_alone(deterministic: bool, device: str) -> None:
    """A CPU trains alike whatever the choice."""

    def choice() -> tuple[bool | str, ...]:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.allow_tf32,
            torch.get_float32_matmul_precision(),
        )

    before = choice()
    inside: list[tuple[bool | str, ...]] = []
    model = net()
    model.register_forward_pre_hook(lambda module, inputs: inside.append(choice()))
    settings = recipe(deterministic=deterministic, matmul_precision="medium")
    fit(model, points(6, train=True), None, recipe=settings, seed=1, device=device)
    chosen = (deterministic, not deterministic, deterministic, True, "medium")
    assert set(inside) == {chosen if device == "cuda" else (True, False, True, False, "highest")}
    assert choice() == before


def test_a_model_that_cannot_be_compiled_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("/no/compiler",))
    monkeypatch.setattr(config, "force_disable_caches", True)
    with pytest.raises(
        SlrError, match=r"^torch cannot compile the model \(.*compiler.*\); set"
    ) as e:
        trained(net(), compile=True)
    assert "\n" not in str(e.value)


@pytest.mark.gpu  # a CPU compiles for half a minute
def test_a_compiled_model_learns_the_same() -> None:
    def learnt(**changes: Any) -> Fitted:
        settings = recipe(optimizer="sgd", precision="fp32", matmul_precision="highest", **changes)
        return fit(net(norm=True), points(12), points(6), recipe=settings, seed=1, device="cuda")

    plain, compiled = learnt(), learnt(compile=True)
    assert list(plain.state) == list(compiled.state)
    close(plain, compiled)
