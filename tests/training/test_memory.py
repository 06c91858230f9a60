"""Loading at published sizes within the memory of a job."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slr_pipeline.config.memory import MOST_IN_FLIGHT, PREFETCH, affordable, in_flight
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.schema import FEATURES
from tests.feature_files import write_feature
from tests.machines import NEEDS_OWN_MOUNTS, limited

ROOT = Path(__file__).parents[2]
CLIPS, FRAMES = 8, 34

LOAD = """
import logging, sys, threading
from pathlib import Path
import psutil, torch
from slr_pipeline.config.experiment import read_config
from slr_pipeline.config.streams import features_of
from slr_pipeline.io.features import open_features
from slr_pipeline.training.memory import open_loader
from slr_pipeline.training.streams import build_dataset

def held():
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            pass
    return total

def watch():
    while not done.wait(0.2):
        peaks.append(held())

logging.basicConfig(stream=sys.stderr, format="%(message)s")
config, peaks, done = read_config("config/autsl.yaml"), [], threading.Event()
watching = threading.Thread(target=watch)
watching.start()
for name in ("joint", "sstcn", "rgb", "flow", "vtn_hcpf", "vtn_hcpf_d"):
    stream = config.streams[name]
    features = features_of(stream, config.features)
    stores = open_features(Path(sys.argv[1]) / f"{name}.h5" for name in features)
    samples = [(sample, 0) for sample in next(iter(stores.values())).samples]
    data = build_dataset(stream, stores, samples, train=True, seed=1)
    size = stream.training.batch_size
    order = [index % len(samples) for index in range(size + 2)]
    loader = open_loader(
        torch.nn.Linear(2, 2), [data], batch_size=size, workers=7, device=torch.device("cpu")
    )
    with loader:
        count = 0
        for inputs, labels, names in loader.batches(data, batch_size=size, order=order):
            count += len(names)
            row = len(names) - 1
            assert all(map(torch.equal, [part[row] for part in inputs], data[order[row]][0]))
    print(count == len(order))
done.set()
watching.join()
print(max(peaks))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of every feature, with pictures of the stored size."""
    path = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    for feature, schema in FEATURES.items():
        T = schema.frames or FRAMES
        values = np.empty((T, *schema.shape), schema.dtype)
        values[:] = rng.uniform(0, 255, (T, *(1 for _ in schema.shape)))
        boxes = np.zeros((T, schema.boxes, 4), np.int32)
        counts = dict.fromkeys(schema.counts, 0)
        clips = [
            NewClip(f"s{n}", values, 512, 512, 25.0, boxes=boxes, counts=counts)
            for n in range(CLIPS)
        ]
        write_feature(path / f"{feature}.h5", feature, clips, {}, {})
    return path


@NEEDS_OWN_MOUNTS
def test_every_stream_loads_within_its_memory(folder: Path) -> None:
    """With 64 MB of shared memory and a limit below what seven workers ask for."""
    limit_mb = 3500
    done = subprocess.run(
        [*limited(64, limit_mb), sys.executable, "-c", LOAD, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *streams, peak = done.stdout.splitlines()
    assert streams == ["True"] * 6
    assert int(peak) < limit_mb * 10**6
    assert "the cgroup has no room for 7 workers and " in done.stderr


@given(batch=st.integers(1, 10**9), workers=st.integers(0, 16), room=st.integers(-(10**9), 10**10))
def test_what_is_planned_fits(batch: int, workers: int, room: int) -> None:
    planned, prefetch = affordable(batch, workers, room)
    assert planned == 0 or in_flight(batch, planned, prefetch) <= room
    assert 0 <= planned <= workers
    if planned and prefetch < PREFETCH:
        assert in_flight(batch, planned, prefetch + 1) > room
    if planned < workers:  # fewer batches ahead come first
        assert prefetch == 1
        assert in_flight(batch, planned + 1, 1) > room


def test_plenty_is_the_published_size() -> None:
    assert affordable(10**6, 7, MOST_IN_FLIGHT) == (7, PREFETCH)
