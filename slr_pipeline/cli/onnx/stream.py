"""A trained stream of a run as an ONNX file with its page, not written until it is checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slr_pipeline.cli.onnx.graph import TOLERANCE, largest_difference, to_onnx, versions
from slr_pipeline.cli.onnx.inputs import inputs_of, random_batch
from slr_pipeline.cli.onnx.preprocessing import preprocessing
from slr_pipeline.cli.onnx.readme import readme
from slr_pipeline.config.experiment import Config
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.errors import ArtifactError, ConfigError, DataError
from slr_pipeline.io.atomic import atomic_write, write_text
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.steps.predict import Trained, load_trained
from slr_pipeline.training.streams import Stores, build_dataset, test_views

RANDOM_BATCHES = (1, 2, 5)
REAL_BATCHES = (1, 3)


@dataclass(frozen=True)
class Export:
    """A checked ONNX file and its page.

    `made_up` and `real` are the largest differences of a logit from torch's, on inputs made up and
    on as many `clips` of the run; the former in units of the largest logit, where that is above 1.
    """

    stream: str
    content: bytes
    page: str
    made_up: float
    real: float
    clips: int

    def write(self, folder: Path) -> None:
        """Write `<stream>.onnx` and `<stream>.md`."""
        with atomic_write(folder / f"{self.stream}.onnx") as partial:
            partial.write_bytes(self.content)
        write_text(folder / f"{self.stream}.md", self.page)


def export_stream(config: Config, results: Path, stream: str) -> Export:
    """The export of a stream of a run, which `config` describes, in the folder `results`.

    Raises:
        ConfigError: no such stream, or one without a model.
        DataError: it is not trained.
        ArtifactError: damaged files; ONNX Runtime's logits are not those of torch.
        SlrError: onnx or onnxruntime is not installed.
    """
    made_with = versions()
    trained = load_trained(str(_weights(config, results, stream)))
    settings, sidecar = trained.settings, trained.sidecar
    generator = torch.Generator().manual_seed(0)
    batches = [random_batch(settings, size, generator) for size in RANDOM_BATCHES]
    real = list(_real_batches(config, results, stream, trained))
    facts = {
        "weights": f"streams/{stream}/{sidecar['phase']}/model.safetensors",
        "weights_sha256": trained.sha256,
        "keypoints": _estimator(sidecar),
        **made_with,
    }
    inputs = inputs_of(settings)
    about = {"stream": stream, "classes": sidecar["classes"], **facts}
    content = to_onnx(trained.network, batches[1], [given.name for given in inputs], about)
    made_up = largest_difference(content, trained.network, batches, relative=True)
    on_clips = largest_difference(content, trained.network, real)
    if not (made_up <= TOLERANCE and on_clips <= TOLERANCE):
        raise ArtifactError(
            f"{stream}: logits of ONNX Runtime differ from torch's by {on_clips:.2g} on clips and "
            f"{made_up:.2g} on made-up inputs, more than {TOLERANCE:g}, so nothing is written; if "
            "they are nan or huge train the stream again, else install the versions of "
            "requirements/constraints.txt"
        )
    heatmaps = trained.heatmaps or config.features.heatmaps
    steps = preprocessing(settings, config.features, _estimator(sidecar), heatmaps)
    page = readme(stream, inputs, steps, sidecar, len(test_views(settings)), facts)
    clips = sum(len(batch[0]) for batch in real)
    return Export(stream, content, page, made_up, on_clips, clips)


def _weights(config: Config, results: Path, stream: str) -> Path:
    """The weights that answer test."""
    if stream not in config.streams:
        known = ", ".join(config.streams)
        raise ConfigError(f"--onnx {stream}: no stream of {results}/config.yaml (known: {known})")
    if isinstance(config.streams[stream], ImportedSettings):
        raise ConfigError(
            f"--onnx {stream}: its logits are imported and it has no model; export it where it was "
            "trained"
        )
    path = results / "streams" / stream / config.phases[-1] / "model.safetensors"
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; train the stream first: snakemake {path}")
    return path


def _real_batches(
    config: Config, results: Path, stream: str, trained: Trained
) -> Iterator[list[Tensor]]:
    """Batches of a shard of the run, as far as its features are there and have frames."""
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
        views=views,
        heatmaps=trained.heatmaps,
    )
    # Of each next sample another view.
    items = iter([n * len(views) + n % len(views) for n in range(len(samples))])
    for size in REAL_BATCHES:
        chosen = [dataset[index][0] for index in islice(items, size)]
        if chosen:
            yield [torch.stack(parts) for parts in zip(*chosen, strict=True)]


def _stores(results: Path, features: tuple[str, ...]) -> Stores:
    """A shard's features; empty where no shard has them all."""
    for split in ("test", "val", "train"):
        for first in sorted((results / "features" / features[0] / split).glob("*.h5")):
            paths = {
                feature: results / "features" / feature / split / first.name for feature in features
            }
            if all(path.is_file() for path in paths.values()):
                return {feature: FeatureStore(feature, [path]) for feature, path in paths.items()}
    return {}


def _estimator(sidecar: dict[str, Any]) -> str:
    found = sidecar["estimator"]
    return f"{found['estimator']} (weights {found['weights_sha256']})"
