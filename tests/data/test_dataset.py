import os
import traceback
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import Loader, batches
from slr_pipeline.errors import DataError
from slr_pipeline.schema import SampleView

SAMPLES = [(f"signer{i}_sample{i}", i % 3) for i in range(11)]

Generator = np.random.Generator | None


def make(name: str, view: SampleView, rng: Generator) -> list[NDArray[Any]]:
    """Two arrays that depend on name, view and generator; DataError for `bad` names."""
    if "bad" in name:
        raise DataError(f"{name}: keypoints have NaN")
    base = np.random.default_rng(sum(name.encode())).uniform(size=(3, 4)).astype(np.float32)
    noise = 0 if rng is None else rng.uniform()
    return [base + np.float32(noise), np.full(2, view.clip, np.float32)]


def dataset(*, train: bool = True, seed: int = 1, samples: list[tuple[str, int]] = SAMPLES):
    return StreamDataset(make, samples, train=train, seed=seed)


def test_items() -> None:
    (values, views), label, name = dataset()[4]
    assert values.shape == (3, 4)
    assert values.dtype == views.dtype == torch.float32
    assert (label, name) == (1, "signer4_sample4")
    assert len(dataset()) == 11


def test_items_depend_on_seed_epoch_and_name_only() -> None:
    def values(data: StreamDataset, index: int = 4) -> torch.Tensor:
        return data[index][0][0]

    first = dataset()
    item = values(first)
    assert (values(first) == item).all()
    assert (values(dataset(samples=[SAMPLES[4]]), 0) == item).all()
    assert (values(dataset(seed=2)) != item).any()
    first.set_epoch(1)
    assert (values(first) != item).any()
    first.set_epoch(0)
    assert (values(first) == item).all()
    still = dataset(train=False)
    before = values(still)
    still.set_epoch(3)
    assert (values(still) == before).all()
    assert (values(dataset(train=False, seed=9)) == before).all()


def test_views_of_a_sample_are_items_one_after_another() -> None:
    data = StreamDataset(
        make, SAMPLES[:2], train=False, views=[SampleView(clip) for clip in (0, 2, 4)]
    )
    assert len(data) == 6
    items = [data[i] for i in range(6)]
    assert [name for _, _, name in items] == [SAMPLES[0][0]] * 3 + [SAMPLES[1][0]] * 3
    assert [label for _, label, _ in items] == [0, 0, 0, 1, 1, 1]
    assert [int(inputs[1][0]) for inputs, _, _ in items] == [0, 2, 4, 0, 2, 4]


@pytest.mark.parametrize("workers", [2, 4])
def test_batches_are_the_same_for_any_number_of_workers(workers: int) -> None:
    """In one loader for two data sets and several epochs, also after an iteration that stops."""
    order = [3, 1, 4, 10, 5, 9, 2, 6, 0, 7, 8]
    data, still = dataset(), dataset(train=False)
    with Loader(data, still, workers=workers) as loader:
        for epoch, chosen in ((0, data), (0, still), (1, data), (2, data)):
            chosen.set_epoch(epoch)
            shared = list(loader.batches(chosen, batch_size=4, order=order))
            alone = list(batches(chosen, batch_size=4, order=order))
            assert len(alone) == len(shared) == 3
            for (x, labels, names), (other_x, other_labels, other_names) in zip(
                alone, shared, strict=True
            ):
                assert all(map(torch.equal, x, other_x))
                assert torch.equal(labels, other_labels)
                assert list(names) == list(other_names)
            assert list(alone[0][2]) == [SAMPLES[i][0] for i in order[:4]]
            next(loader.batches(data, batch_size=2))


def test_workers_live_until_the_loader_is_closed() -> None:
    def process(name: str, view: SampleView, rng: Generator) -> list[NDArray[Any]]:
        return [np.array([os.getpid()])]

    data = StreamDataset(process, SAMPLES, train=True)
    with Loader(data, workers=2) as loader:
        first, second = (
            {int(pid) for (pids,), _, _ in loader.batches(data, batch_size=1) for pid in pids}
            for _ in range(2)
        )
    assert first == second
    assert len(first) == 2
    assert not any(map(psutil.pid_exists, first))


def test_batches_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    list(batches(dataset(), batch_size=4))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_samples_are_named_in_one_line(workers: int) -> None:
    data = dataset(samples=[*SAMPLES[:2], ("bad_1", 0)])
    with pytest.raises(DataError, match=r"^bad_1: keypoints have NaN") as caught:
        list(batches(data, batch_size=1, workers=workers))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bug_in_an_item_names_the_sample(workers: int) -> None:
    def make(name: str, view: SampleView, rng: Generator) -> list[NDArray[Any]]:
        return [np.ones(1), {"fine": np.ones(1)}[name]]

    data = StreamDataset(make, [("fine", 0), ("bad_1", 0)], train=False)
    with pytest.raises(KeyError) as caught:
        list(batches(data, batch_size=1, workers=workers))
    assert "sample bad_1" in "".join(traceback.format_exception(caught.value))
