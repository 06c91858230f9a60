"""A trained stream of a run as an ONNX file with its page, checked before it is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slr_pipeline.cli.onnx.graph import FACTOR, MOST, Differences, differences, to_onnx, versions
from slr_pipeline.cli.onnx.inputs import input_shapes, random_batch
from slr_pipeline.cli.onnx.readme import readme
from slr_pipeline.config.experiment import Config
from slr_pipeline.config.streams import ImportedSettings, evaluation_settings, test_views
from slr_pipeline.errors import ArtifactError, ConfigError, DataError
from slr_pipeline.io.atomic import atomic_write, write_text
from slr_pipeline.io.documents import read_metrics
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.steps.predict import Trained, load_trained
from slr_pipeline.training.streams import Stores, build_dataset

RANDOM_BATCHES = (1, 2, 5)
REAL_BATCHES = (1, 3)


@dataclass(frozen=True)
class Export:
    """A checked ONNX file (`content`) and its page in Markdown.

    Differences from PyTorch's logits on random inputs and on this number of `clips` of the run.
    """

    stream: str
    content: bytes
    page: str
    on_random: Differences
    on_clips: Differences
    clips: int

    def write(self, folder: Path) -> None:
        """Write `<stream>.onnx` and `<stream>.md`."""
        with atomic_write(folder / f"{self.stream}.onnx") as partial:
            partial.write_bytes(self.content)
        write_text(folder / f"{self.stream}.md", self.page)


def export_stream(config: Config, results: Path, stream: str) -> Export:
    """Export a stream of the run with this config in the folder `results`.

    ConfigError for a stream that does not exist or has no model, DataError if it is not trained,
    ArtifactError if a file is damaged or ONNX Runtime's logits differ from PyTorch's, SlrError if
    onnx or onnxruntime is not installed.
    """
    package_versions = versions()
    weights = _weights(config, results, stream)
    trained = load_trained(
        [str(results / path) for path in weights],
        evaluation_settings(config.streams[stream]),
    )
    settings, sidecar = trained.settings, trained.sidecar
    generator = torch.Generator().manual_seed(0)
    batches = [random_batch(settings, size, generator) for size in RANDOM_BATCHES]
    real = list(_real_batches(config, results, stream, trained))
    facts = {
        "weights": " ".join(weights),
        "weights_sha256": trained.sha256,
        "keypoints": _estimator(sidecar),
        **package_versions,
    }
    metadata = {"stream": stream, "classes": sidecar["classes"], **facts}
    content = to_onnx(trained.network, batches[1], list(input_shapes(settings)), metadata)
    on_random = differences(content, trained.network, batches)
    on_clips = differences(content, trained.network, real)
    for inputs, found in (("random inputs", on_random), ("clips", on_clips)):
        if not found.acceptable():
            raise ArtifactError(
                f"{stream}: on {inputs}, logits of ONNX Runtime differ from PyTorch's float64 by "
                f"{found.logits:.2g} of their spread and probabilities by {found.probabilities:.2g}"
                f", PyTorch's own float32 by {found.own_logits:.2g} and "
                f"{found.own_probabilities:.2g}; nothing is written. If PyTorch's own are above "
                f"{MOST / FACTOR:g} or nan, train the stream again; else install the versions of "
                "requirements/constraints.txt"
            )
    page = readme(
        stream,
        settings,
        config.features,
        trained.heatmaps or config.features.heatmaps,
        sidecar=sidecar,
        estimator=facts["keypoints"],
        tracks=_tracks(config, results, stream),
        facts=facts,
    )
    clips = sum(len(batch[0]) for batch in real)
    return Export(stream, content, page, on_random, on_clips, clips)


def _tracks(config: Config, results: Path, stream: str) -> dict[str, dict[str, Any]]:
    """Fusion, weights, temperatures and threshold of the finished tracks that use a stream."""
    tracks = {}
    for name, track in config.tracks.items():
        path = results / "tracks" / name / "metrics.json"
        if stream in (*track.streams, *track.untuned) and path.is_file():
            metrics = read_metrics(path)
            tracks[name] = {key: metrics[key] for key in ("fusion", "weights", "temperatures")}
            tracks[name]["threshold"] = metrics.get("rejection", {}).get("threshold")
    return tracks


def _weights(config: Config, results: Path, stream: str) -> list[str]:
    """The weights that answer test, one file for each seed, relative to the results."""
    if stream not in config.streams:
        streams = ", ".join(config.streams)
        raise ConfigError(
            f"--onnx {stream}: {results}/config.yaml has no such stream; its streams are {streams}"
        )
    if isinstance(config.streams[stream], ImportedSettings):
        raise ConfigError(
            f"--onnx {stream}: the stream has imported logits and no model; export it from the run "
            "that trained it"
        )
    folders = config.trainings(stream, config.phases(stream)[-1])
    weights = [f"{folder}/model.safetensors" for folder in folders]
    for name in weights:
        path = results / name
        if not path.is_file():
            raise DataError(f"{path}: no such file; train the stream first: snakemake {path}")
    return weights


def _real_batches(
    config: Config, results: Path, stream: str, trained: Trained
) -> Iterator[list[Tensor]]:
    """Batches of clips from one shard of the run, if it has all features."""
    stores = _stores(results, config.stream_features(stream))
    if not stores:
        return
    samples = [
        (name, -1)
        for name in next(iter(stores.values())).samples
        if all(store.frames(name) for store in stores.values())
    ]
    views = test_views(trained.settings)
    dataset = build_dataset(
        trained.settings,
        stores,
        samples,
        train=False,
        seed=0,
        rate=trained.sidecar.get("frame_rate"),
        views=views,
        heatmaps=trained.heatmaps,
    )
    # Each sample contributes another view.
    items = iter([n * len(views) + n % len(views) for n in range(len(samples))])
    for size in REAL_BATCHES:
        chosen = [dataset[index][0] for index in islice(items, size)]
        if chosen:
            inputs = [torch.stack(parts) for parts in zip(*chosen, strict=True)]
            yield dataset.prepare(inputs, torch.device("cpu"))


def _stores(results: Path, features: tuple[str, ...]) -> Stores:
    """Feature stores of one shard; empty if no shard has all features."""
    for split in ("test", "val", "train"):
        for first in sorted((results / "features" / features[0] / split).glob("*.h5")):
            paths = {
                feature: results / "features" / feature / split / first.name for feature in features
            }
            if all(path.is_file() for path in paths.values()):
                return {feature: FeatureStore(feature, [path]) for feature, path in paths.items()}
    return {}


def _estimator(sidecar: dict[str, Any]) -> str:
    estimator = sidecar["estimator"]
    if not estimator:
        return "unknown"
    return f"{estimator['estimator']} (weights {estimator['weights_sha256']})"
