import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from slr_pipeline.data.dataset import SkeletonDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.data.transforms import SkeletonTransform
from slr_pipeline.errors import DataError

SAMPLES = [(f"signer{i}_sample{i}", i % 3) for i in range(11)]


def read(name: str) -> tuple[NDArray[np.float32], int, int]:
    """Keypoints that depend on the name; names with `empty` or `nan` are bad samples."""
    rng = np.random.default_rng(sum(name.encode()))
    T = 0 if "empty" in name else int(rng.integers(1, 200))
    keypoints = rng.uniform(1, 500, (T, 133, 3)).astype(np.float32)
    if "nan" in name:
        keypoints[0, 0, 0] = np.nan
    return keypoints, 512, 512


class LazyReader:
    """Opens its file on first use, as the reader of a feature file does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keypoints: NDArray[np.float32] | None = None

    def read(self, name: str) -> tuple[NDArray[np.float32], int, int]:
        if self._keypoints is None:
            self._keypoints = np.load(self.path)
        return self._keypoints, 512, 512


def dataset(*, train: bool = True, seed: int = 1, samples: list[tuple[str, int]] = SAMPLES):
    transform = SkeletonTransform(frames=30, window=20)
    return SkeletonDataset(read, samples, transform=transform, train=train, seed=seed)


def test_items() -> None:
    skeleton, label, name = dataset()[4]
    assert skeleton.shape == (3, 20, 27)
    assert skeleton.dtype == torch.float32
    assert (label, name) == (1, "signer4_sample4")
    assert dataset(train=False)[4][0].shape == (3, 30, 27)
    assert len(dataset()) == 11


def test_items_depend_on_seed_epoch_and_name_only() -> None:
    first = dataset()
    item = first[4][0]
    assert (first[4][0] == item).all()
    assert (dataset(samples=[SAMPLES[4]])[0][0] == item).all()
    assert (dataset(seed=2)[4][0] != item).any()
    first.set_epoch(1)
    assert (first[4][0] != item).any()
    first.set_epoch(0)
    assert (first[4][0] == item).all()


def test_evaluation_items_do_not_depend_on_seed_or_epoch() -> None:
    still = dataset(train=False)
    item = still[4][0]
    still.set_epoch(3)
    assert (still[4][0] == item).all()
    assert (dataset(train=False, seed=9)[4][0] == item).all()


@pytest.mark.parametrize("workers", [2, 4])
def test_batches_are_the_same_for_any_number_of_workers(workers: int) -> None:
    order = [3, 1, 4, 10, 5, 9, 2, 6, 0, 7, 8]
    data = dataset()
    for epoch in (0, 1):
        data.set_epoch(epoch)
        alone = list(batches(data, batch_size=4, order=order, drop_last=True))
        shared = list(batches(data, batch_size=4, order=order, drop_last=True, workers=workers))
        assert len(alone) == len(shared) == 2
        for (x, labels, names), (other_x, other_labels, other_names) in zip(
            alone, shared, strict=True
        ):
            assert torch.equal(x, other_x)
            assert torch.equal(labels, other_labels)
            assert list(names) == list(other_names)
        assert list(alone[0][2]) == [SAMPLES[i][0] for i in order[:4]]


def test_batches_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    list(batches(dataset(), batch_size=4))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("name", "message"), [("empty_1", "empty_1: no frames"), ("nan_1", "nan_1: keypoints have NaN")]
)
def test_bad_samples_are_named_in_one_line(name: str, message: str, workers: int) -> None:
    data = dataset(samples=[*SAMPLES[:2], (name, 0)])
    with pytest.raises(DataError, match=f"^{message}") as caught:
        list(batches(data, batch_size=1, workers=workers))
    assert "\n" not in str(caught.value)


def test_datasets_survive_pickling_before_and_after_use(tmp_path: Path) -> None:
    path = tmp_path / "keypoints.npy"
    np.save(path, read("a")[0])
    data = SkeletonDataset(
        LazyReader(path).read, SAMPLES, transform=SkeletonTransform(), train=True, seed=1
    )
    copy = pickle.loads(pickle.dumps(data))
    item = data[0][0]
    assert torch.equal(copy[0][0], item)
    assert torch.equal(pickle.loads(pickle.dumps(data))[0][0], item)
