"""Speed of loading training items at published sizes, and the memory of batches on their way.

Items per second of processor time of one process, for streams of config/autsl.yaml: 60 frames a
clip, pictures of 256 x 256. The clips are those of a run's features, played to and fro until they
have 60 frames. `--against` names another checkout, whose code reads the same files in turn.
`--memory` loads with 7 workers and prints the most bytes in /dev/shm beside those of the formula.

What was tried and did not pay:

- the fast DCT of libjpeg-turbo: 159 instead of 165 us a colour picture, 45 instead of 51 dB;
- decoding at 5/8 of the size, for which libjpeg-turbo has no vector code: 235 instead of 165 us;
- JPEG with Huffman tables of its own: 6 % smaller, decoded as fast, written at half the speed;
- PyAV's MJPEG decoder: 124 us where OpenCV takes 170, but it gives other colours (YCbCr, own
  rounding), and converting them takes up the gain; rotating its three planes and then converting
  takes longer than decoding and rotating colours;
- Pillow: 166 us where OpenCV takes 170;
- decoding at half size for R(2+1)D at 128 px: crops of 112 px become clips of 128, and colour
  changes by 1.2 levels (37 dB) and loses a quarter of its gradients (where pictures shrink to a
  half, it pays: `clip_transform.shrinks_to_half`);
- LZF instead of gzip for heat-maps: 3.1 ms a clip, zlib 1.7, zlib-ng 0.4 (libdeflate, whose package
  is less known, 0.2);
- a slight blur before rotating and shrinking in one step: 52 us for 46 instead of 40 dB;
- OpenCV's exact linear interpolation of hand crops: three times as long;
- rotation by `remap` with tables shared by the frames of a clip: 10 % faster than `warpAffine`
  where the picture is in the cache, slower after decoding one;
- resizing hand crops with torchvision (antialiased): 50 to 110 us a picture, OpenCV 45 to 55;
- reading each frame of a clip on its own: a frame is less than a chunk of the file.

python -m benchmarks.loading --config config.yaml --against ../before
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch

from slr_pipeline.config.experiment import read_config
from slr_pipeline.config.streams import features_of
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.io.feature_writer import NewClip, create_feature_file
from slr_pipeline.io.features import FeatureStore, open_features
from slr_pipeline.io.jpeg import JPEG
from slr_pipeline.schema import FEATURES
from slr_pipeline.training.streams import build_dataset

AUTSL = Path(__file__).parents[1] / "config/autsl.yaml"
CLIPS, FRAMES = 12, 60
STREAMS = ("vtn_hcpf", "vtn_hcpf_d", "rgb", "flow", "sstcn")
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config.yaml", help="config of a run with features")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--memory", action="store_true", help="measure memory, not speed")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.measure:
        print(*[seconds(dataset(name, Path(flags.measure))) for name in STREAMS])
        return
    with TemporaryDirectory() as folder:
        write_long_clips(Path(read_config(flags.config).results), Path(folder))
        if flags.memory:
            print_memory(Path(folder))
        else:
            print_speed(Path(folder), flags.against)


def write_long_clips(results: Path, folder: Path) -> None:
    """Feature files with clips of 60 frames."""
    config = read_config(AUTSL)
    streams = [config.streams[name] for name in STREAMS]
    for feature in {name for stream in streams for name in features_of(stream, config.features)}:
        shards = (results / "features" / feature / "train").glob("*.h5")
        store = FeatureStore(feature, sorted(shards))
        if not store.samples:
            sys.exit(f"{results}/features/{feature}/train: no files; run the features first")
        path = folder / f"{feature}.h5"
        with create_feature_file(path, feature, {}, {}, JPEG["corrected"]) as writer:
            for name in store.samples[:CLIPS]:
                clip = store.read(name)
                T = len(clip.values)
                index = np.arange(FRAMES) % (2 * T - 2)
                index = np.where(index < T, index, 2 * T - 2 - index)
                counts = dict.fromkeys(FEATURES[feature].counts, 0)
                shown = clip.values[index], clip.width, clip.height, clip.fps, clip.boxes[index]
                writer.add(NewClip(name, *shown, counts))


def dataset(name: str, folder: Path) -> StreamDataset:
    """The training items of a stream."""
    config = read_config(AUTSL)
    stream = config.streams[name]
    stores = open_features(folder / f"{f}.h5" for f in features_of(stream, config.features))
    samples = [(sample, 0) for sample in next(iter(stores.values())).samples]
    return build_dataset(stream, stores, samples, train=True, seed=1)


def seconds(data: StreamDataset) -> float:
    """Processor time of an item; the first round, which opens files, does not count."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)  # as `Loader` does
    for epoch in range(ROUNDS + 1):
        if epoch == 1:
            started = time.process_time()
        data.set_epoch(epoch)
        for index in range(len(data)):
            data[index]
    return (time.process_time() - started) / (ROUNDS * len(data))


def print_speed(folder: Path, against: Path | None) -> None:
    """The median of seven turns of each checkout."""
    checkouts = [Path(__file__).parents[1], *([against.resolve()] if against else [])]
    turns: list[list[list[float]]] = [[] for _ in checkouts]
    for _ in range(7):
        for number, checkout in enumerate(checkouts):
            done = subprocess.run(
                [sys.executable, "-P", __file__, "--measure", str(folder)],
                env={**os.environ, "PYTHONPATH": str(checkout)},
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            turns[number].append([float(word) for word in done.stdout.split()])
    now, *before = (np.median(turn, axis=0) for turn in turns)
    print("| stream | items/s | before | ratio |")
    print("|---|---:|---:|---:|")
    for number, name in enumerate(STREAMS):
        older = before[0][number] if before else np.nan
        print(f"| `{name}` | {1 / now[number]:.0f} | {1 / older:.0f} | {older / now[number]:.1f} |")


def print_memory(folder: Path) -> None:
    """The most bytes of batches in /dev/shm while 7 workers load two batches each."""
    # Late: an older checkout lacks them.
    from slr_pipeline.config.memory import (  # noqa: PLC0415
        MB,
        MOST_IN_FLIGHT,
        affordable,
        in_flight,
        item_bytes,
    )
    from slr_pipeline.data.loading import Loader, shared_bytes  # noqa: PLC0415

    print("| stream | MB per batch | ahead of each | MB by formula | MB measured |")
    print("|---|---:|---:|---:|---:|")
    for name in STREAMS:
        stream = read_config(AUTSL).streams[name]
        batch = stream.training.batch_size
        batch_bytes = batch * item_bytes(stream)
        workers, ahead = affordable(batch_bytes, 7, MOST_IN_FLIGHT)
        data = dataset(name, folder)
        order = [index % len(data) for index in range(2 * workers * batch)]
        before, most = shared_bytes(), 0
        with Loader(data, workers=workers, prefetch=ahead) as loader:
            for _ in loader.batches(data, batch_size=batch, order=order):
                time.sleep(0.5)  # a model that is slower than the workers
                most = max(most, before - shared_bytes())
        columns = (batch_bytes, in_flight(batch_bytes, workers, ahead), most)
        large, formula, measured = (round(count / MB) for count in columns)
        print(f"| `{name}` | {large} | {ahead} | {formula} | {measured} |")


if __name__ == "__main__":
    main()
