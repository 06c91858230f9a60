import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.errors import SlrError
from slr_pipeline.models.dropgraph import set_keep
from slr_pipeline.models.r2plus1d import R2Plus1D
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.models.sstcn import SSTCN
from slr_pipeline.models.vtn import VTN
from slr_pipeline.skeleton import BONES_27
from slr_pipeline.training.gate import check_above_chance, check_learns, spread

K = 6
RECIPE = TrainingSettings(batch_size=8)

Shapes = list[tuple[int, ...]]


def slgcn() -> nn.Module:
    model = SLGCN(classes=K, joints=27, bones=BONES_27, width=8, groups=8)
    set_keep(model, 0.5)
    return model


def vtn() -> nn.Module:
    sizes: dict[str, Any] = {"frames": 4, "width": 32, "heads": 4, "layers": 2, "eps": 1e-6}
    small: dict[str, Any] = {"backbone": "resnet18", "backbone_width": 4}
    return VTN(classes=K, **sizes, **small, dropout=0.5, classifier_dropout=0.5)


MODELS: dict[str, tuple[Callable[[], nn.Module], Shapes]] = {
    "slgcn": (slgcn, [(3, 24, 27)]),
    "sstcn": (lambda: SSTCN(classes=K, frames=4, joints=5, width=16), [(4, 5, 8, 8)]),
    "r2plus1d": (lambda: R2Plus1D(classes=K, width=4), [(3, 8, 32, 32)]),
    "vtn": (vtn, [(4, 2, 3, 32, 32), (4, 106)]),
}


def noise(shapes: Shapes, labels: list[int], *, same: bool = False) -> StreamDataset:
    """Random items; with `same` all are the same."""

    def make(name: str, view: object, rng: object) -> list[NDArray[np.float32]]:
        random = np.random.default_rng(0 if same else int(name))
        return [random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]

    samples = [(str(number), label) for number, label in enumerate(labels)]
    return StreamDataset(make, samples, train=True)


def random_labels(count: int = 10) -> list[int]:
    return np.random.default_rng(3).integers(0, K, count).tolist()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_overfits_noise(name: str) -> None:
    build, shapes = MODELS[name]
    torch.manual_seed(0)
    model = build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    check_learns(model, noise(shapes, random_labels()), RECIPE)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training


@pytest.mark.parametrize("name", MODELS)
def test_equal_items_of_different_classes_cannot_be_overfitted(name: str) -> None:
    build, shapes = MODELS[name]
    torch.manual_seed(0)
    data = noise(shapes, random_labels(), same=True)
    with pytest.raises(SlrError, match=r"does not overfit 4 training items.*after \d+ st"):
        check_learns(build(), data, RECIPE.model_copy(update={"overfit_steps": 20}))


class Constant(nn.Module):
    """Its logits do not depend on its input."""

    def __init__(self, *, constant: bool) -> None:
        super().__init__()
        self.constant = constant
        self.linear = nn.Linear(3, K)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x * 0)
        return logits.detach() if self.constant else logits


@pytest.mark.parametrize("constant", [False, True])
def test_a_model_that_cannot_learn_is_named_with_its_losses(constant: bool) -> None:
    with pytest.raises(SlrError) as error:
        check_learns(Constant(constant=constant), noise([(3,)], [0, 1, 2, 3]), RECIPE)
    numbers = re.search(r"loss was (\S+) and is (\S+) after (\d+) steps", str(error.value))
    assert numbers is not None
    assert float(numbers[2]) <= float(numbers[1])
    assert int(numbers[3]) == (1 if constant else 100)
    assert "features of 0, 1, 2, 3" in str(error.value)
    assert "\n" not in str(error.value)


def test_values_that_are_not_finite_are_refused() -> None:
    def make(name: str, view: object, rng: object) -> list[NDArray[np.float32]]:
        return [np.full(3, np.nan, np.float32)]

    data = StreamDataset(make, [("a", 0), ("b", 1)], train=True)
    with pytest.raises(SlrError, match="is nan after 1 steps"):
        check_learns(nn.Linear(3, K), data, RECIPE)


def test_zero_steps_disable_the_check() -> None:
    no_gate = RECIPE.model_copy(update={"overfit_steps": 0})
    check_learns(Constant(constant=True), noise([(3,)], [0, 1]), no_gate)


def test_the_batch_has_as_many_classes_as_possible() -> None:
    assert spread([0, 0, 0, 1, 1, 2, 0], 4) == [0, 3, 5, 1]
    assert spread([0, 0, 0, 1, 1, 2, 0], 5) == [0, 3, 5, 1, 4]
    assert sorted(spread([0, 0, 1], 8)) == [0, 1, 2]


class Greedy(nn.Module):
    """Linear; out of memory with more than `most` items."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.linear = most, nn.Linear(64, K)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise torch.OutOfMemoryError("no more")
        logits: Tensor = self.linear(x)
        return logits


def test_the_batch_is_no_larger_than_the_micro_batch(caplog: pytest.LogCaptureFixture) -> None:
    data = noise([(64,)], random_labels())
    check_learns(Greedy(3), data, TrainingSettings(batch_size=8, micro_batch=3))
    assert caplog.text == ""
    check_learns(Greedy(3), data, TrainingSettings(batch_size=8))
    assert "out of memory" in caplog.text


# --- above chance --------------------------------------------------------------------------------


def rows(*accuracies: float) -> list[dict[str, float]]:
    return [{"val_accuracy": accuracy} for accuracy in accuracies]


def test_accuracy_must_be_above_chance() -> None:
    """15 of 100 with 10 classes: P(X >= 15) = 0.073; 16 of 100: 0.040."""
    with pytest.raises(
        SlrError, match=r"at best 0\.1500 of 100 samples, chance 0\.1000 \(p = 0\.0"
    ):
        check_above_chance(rows(0.1, 0.15, 0.12), samples=100, chance=0.1, epochs=3)
    check_above_chance(rows(0.1, 0.16, 0.1), samples=100, chance=0.1, epochs=3)


def test_no_check_before_its_epoch_or_with_null() -> None:
    check_above_chance(rows(0.0, 0.0), samples=100, chance=0.1, epochs=3)
    check_above_chance(rows(0.0, 0.0), samples=100, chance=0.1, epochs=None)


def test_no_check_where_val_is_too_small_to_be_significant() -> None:
    check_above_chance(rows(0.0), samples=4, chance=0.5, epochs=1)  # 0.5 ** 4 = 0.0625
    with pytest.raises(SlrError, match="not above chance"):
        check_above_chance(rows(0.0), samples=5, chance=0.5, epochs=1)
    check_above_chance(rows(1.0), samples=5, chance=0.5, epochs=1)
