from collections.abc import Callable

import numpy as np
import pytest
import torch

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.models.dropgraph import set_keep
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.training.predict import predict


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
    logits = predict(model, data, batch_size=batch_size, workers=workers)
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
