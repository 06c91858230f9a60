from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import Loader
from slr_pipeline.errors import SlrError
from slr_pipeline.models.dropgraph import set_keep
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.training.predict import predict
from tests.machines import gpu_memory


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (3, 0), (7, 2), (64, 0)])
def test_logits_do_not_depend_on_batches_or_workers(
    clips: Callable[..., StreamDataset],
    slgcn: Callable[[], SLGCN],
    batch_size: int,
    workers: int,
) -> None:
    model, data = slgcn(), clips(range(7))
    set_keep(model, 0.5)
    expected = predict(model, data, batch_size=7)
    model.train()
    with Loader(data, workers=workers) as loader:
        logits = predict(model, data, batch_size=batch_size, loader=loader)
    assert logits.shape == (7, 4)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert not model.training


def test_rows_are_in_the_order_of_the_names(
    clips: Callable[..., StreamDataset], slgcn: Callable[[], SLGCN]
) -> None:
    model = slgcn()
    there = predict(model, clips([0, 1, 2, 3]), batch_size=4)
    back = predict(model, clips([3, 2, 1, 0]), batch_size=4)
    np.testing.assert_allclose(there, back[::-1], rtol=1e-4, atol=1e-5)


def test_the_global_generator_is_left_alone(
    clips: Callable[..., StreamDataset], slgcn: Callable[[], SLGCN]
) -> None:
    model = slgcn()
    before = torch.random.get_rng_state()
    predict(model, clips(range(3)), batch_size=2)
    assert torch.equal(torch.random.get_rng_state(), before)


def limit_memory(model: nn.Module, most: int) -> list[int]:
    """Let the model run out of memory with more than `most` items; returns the sizes it accepts."""
    accepted: list[int] = []

    def check(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > most:
            raise torch.OutOfMemoryError("no more")
        accepted.append(len(inputs[0]))

    model.register_forward_pre_hook(check)
    return accepted


def test_out_of_memory_halves_the_batch(
    clips: Callable[..., StreamDataset],
    slgcn: Callable[[], SLGCN],
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, advanced = clips(range(9)), []
    expected = predict(slgcn(), data, batch_size=9)
    model = slgcn()
    accepted = limit_memory(model, most=3)
    logits = predict(model, data, batch_size=7, advance=advanced.append)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert (accepted, advanced) == ([2, 2, 2, 1, 2], [7, 2])
    assert [record.message for record in caplog.records] == [
        "out of memory on cpu; continuing with 4 clips at a time",
        "out of memory on cpu; continuing with 2 clips at a time",
    ]
    limit_memory(model, most=0)
    with pytest.raises(SlrError, match=r"^0_0: out of memory on cpu with one clip at a time; "):
        predict(model, data, batch_size=2)


@pytest.mark.gpu
def test_the_memory_of_a_gpu_limits_the_batch(
    clips: Callable[..., StreamDataset], slgcn: Callable[[], SLGCN]
) -> None:
    sizes: list[int] = []

    def take(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """A quarter of a GB for every clip."""
        torch.empty(len(inputs[0]), 2**28, dtype=torch.uint8, device=inputs[0].device)
        sizes.append(len(inputs[0]))

    data, model = clips(range(9)), slgcn()
    expected = predict(model, data, batch_size=9, device="cuda")
    model.register_forward_pre_hook(take)
    with gpu_memory(1200):  # for four clips
        logits = predict(model, data, batch_size=7, device="cuda")
    assert sizes == [4, 3, 2]
    np.testing.assert_allclose(logits, expected, rtol=0.02, atol=0.02)
