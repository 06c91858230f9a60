"""Training of the demo's streams against an earlier state: processor time of an epoch, one thread.

    git worktree add --detach ../before 787ee6d
    python -m benchmarks.training_step --before ../before   # after make submission

Each state runs in a process of its own, on the demo's features; the processes train one epoch in
turn, so that other load on the machine affects both. An epoch is 10 steps, with their items; val
and the check that the model can learn are left out. "times faster" is the median over the pairs.

What made it faster:

- R(2+1)D's factorised convolutions in two dimensions, channels last: model alone 1.9 times;
- VTN's trunk with channels last (convolutions as before, pooling and batch norm vectorised): 1.2;
- SSTCN's grouped convolutions with channels last: 1.2, the convolutions themselves 1.7;
- no fill of new tensors in deterministic mode, and fused optimisers.

Tried, did not pay:

- R(2+1)D with channels_last_3d and Conv3d: a fifth slower than contiguous;
- R(2+1)D's convolutions in two dimensions without channels last: 1.1 to 1.2 instead of 1.7 to 1.9;
- glibc without mmap for large tensors, huge pages (MALLOC_MMAP_THRESHOLD_, THP_MEM_ALLOC_ENABLE):
  system time of the former R(2+1)D falls from 14 to 1 %, nothing with channels last;
- SSTCN's groups one by one, or as matrix products of unfolded pictures: 1.4 and 4 times slower.
- no copy of buffers and random state before a step, for a restart out of memory: 0.08 to 0.28 ms.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from slr_pipeline.config.experiment import read_config
from slr_pipeline.io.features import open_features
from slr_pipeline.samples.table import load_samples
from slr_pipeline.steps.train import labelled
from slr_pipeline.training.fit import fit
from slr_pipeline.training.streams import build_dataset, build_model, frame_rate

STREAMS = ("joint", "sstcn", "rgb", "flow", "vtn_hcpf", "vtn_hcpf_d")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="checkout to compare with")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the demo")
    parser.add_argument("--streams", nargs="+", default=STREAMS)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.worker:
        run_worker(flags.results, flags.worker)
        return
    print("| stream | before, s per epoch | now | times faster | pairs |")
    print("|---|---:|---:|---:|---:|")
    for stream in flags.streams:
        workers = [
            start_worker(tree, flags.results, stream)
            for tree in (flags.before, Path(__file__).parents[1])
        ]
        times = [[epoch_s(worker) for worker in workers] for _ in range(flags.pairs + 1)][1:]
        for worker in workers:
            worker.communicate()
        before, now = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(first / second for first, second in times)
        print(f"| {stream} | {before:.2f} | {now:.2f} | {ratio:.2f} | {flags.pairs} |", flush=True)


def start_worker(tree: Path, results: Path, stream: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", __file__, "--worker", stream, "--results", str(results.resolve())],
        cwd=tree,  # for its config.yaml
        env={**os.environ, "PYTHONPATH": str(tree.resolve()), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def epoch_s(worker: "subprocess.Popen[str]") -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print("epoch", file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


def run_worker(results: Path, stream: str) -> None:
    """Train an epoch for each line of the input; prints its processor time."""
    config = read_config("config.yaml")
    settings = config.streams[stream]
    files = [
        str(path)
        for feature in config.stream_features(stream)
        for path in sorted((results / "features" / feature / "train").glob("*.h5"))
    ]
    stores, table = open_features(files), load_samples(config.data)
    samples = labelled(table, stores, ("train",))
    rate = frame_rate(settings, stores, samples)
    data = build_dataset(settings, stores, samples, train=True, seed=1, rate=rate)
    model = build_model(settings, len(table.classes))
    recipe = settings.training.model_copy(update={"epochs": 1, "overfit_steps": 0})
    torch.manual_seed(1)
    for _ in sys.stdin:
        start = time.process_time()
        fit(model, data, None, recipe=recipe, seed=1)
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main()
