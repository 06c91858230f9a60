"""Speed of loading training items, and its share of a training step on this CPU.

For every stream of a config whose features exist: items per second of the main process, of one and
of two workers; and the share of loading in a training step without workers. Items are augmented, at
the stream's own sizes (`--published`: at the sizes of AUTSL's recipes, on the same features). The
first batch, which opens files, does not count.

python -m benchmarks.loading --config config.yaml
"""

import argparse
import time
from pathlib import Path

import torch

from slr_pipeline.config.experiment import Config, read_config
from slr_pipeline.config.streams import StreamSettings, features_of
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.io.features import open_features
from slr_pipeline.samples.table import load_samples
from slr_pipeline.training.streams import build_dataset, build_model

BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config.yaml")
    parser.add_argument(
        "--published", action="store_true", help="use the sizes of config/autsl.yaml"
    )
    parser.add_argument("--items", type=int, default=80, help="at least 40")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(flags.config)
    streams = read_config("config/autsl.yaml").streams if flags.published else config.streams
    print("| stream | items/s, main process | 1 worker | 2 workers | loading, share of a step |")
    print("|---|---:|---:|---:|---:|")
    for name, stream in streams.items():
        data = dataset(config, stream, flags.items)
        if data is None:
            continue
        rates = [f"{rate(data, workers):.0f}" for workers in (0, 1, 2)]
        waiting = "" if flags.published else f"{share(stream, data):.0%}"
        print(f"| `{name}` | {' | '.join(rates)} | {waiting} |")


def dataset(config: Config, stream: StreamSettings, items: int) -> StreamDataset | None:
    """The training items of a stream, or None if a feature is missing."""
    files = [
        sorted(Path(config.results).glob(f"features/{feature}/train/*.h5"))
        for feature in features_of(stream, config.features)
    ]
    if not all(files):
        return None
    stores = open_features(path for paths in files for path in paths)
    samples = [(s.name, s.label or 0) for s in load_samples(config.data).split("train")]
    return build_dataset(stream, stores, samples[:items], train=True, seed=1)


def rate(data: StreamDataset, workers: int) -> float:
    """Items per second."""
    loader = batches(data, batch_size=BATCH, workers=workers)
    next(loader)
    started = time.perf_counter()
    count = sum(len(names) for _, _, names in loader)
    return count / (time.perf_counter() - started)


def share(stream: StreamSettings, data: StreamDataset) -> float:
    """Share of loading in the time of training steps."""
    model = build_model(stream, classes=8)
    loader = batches(data, batch_size=BATCH)
    next(loader)
    loading = computing = 0.0
    for _ in range(4):
        started = time.perf_counter()
        inputs, labels, _ = next(loader)
        loaded = time.perf_counter()
        torch.nn.functional.cross_entropy(model(*inputs), labels).backward()
        loading += loaded - started
        computing += time.perf_counter() - loaded
    return loading / (loading + computing)


if __name__ == "__main__":
    main()
