"""Logits of a trained stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from slr_pipeline.config.experiment import check_stream
from slr_pipeline.config.features import HeatmapsSettings
from slr_pipeline.config.streams import TrainedStream, test_views, weights_settings
from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.features import check_estimator, open_features
from slr_pipeline.io.logits import write_logits
from slr_pipeline.io.models import load_model
from slr_pipeline.io.progress import progress
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.quality import read_quarantined
from slr_pipeline.models.published import refuse, unusable
from slr_pipeline.models.seeds import MeanOfSeeds, Seeds
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.training.device import choose_device, loading_workers
from slr_pipeline.training.memory import open_loader
from slr_pipeline.training.numerics import prediction_numerics
from slr_pipeline.training.predict import predict as predict_logits
from slr_pipeline.training.streams import build_dataset, build_model

ALIKE = ("classes", "protocol", "phase", "held_out", "frame_rate", "estimator", "heatmaps")
"""What the sidecars of a stream's seeds must agree in, beside the settings of its weights."""


def predict(
    model: list[str],
    features: list[list[str]],
    quality: list[str],
    out: list[str],
    device: str = "auto",
    threads: int = 1,
    evaluation: dict[str, Any] | None = None,
) -> None:
    """Predict several splits with the models of all seeds.

    Of each split, `features` are files, `quality` is the table with the samples to leave out, and
    `out` is the file of logits. `evaluation` are the `evaluation_settings` of the stream.
    """
    chosen = choose_device(device)
    workers = loading_workers(chosen, threads)
    trained = load_trained(model, evaluation)
    for files, table, path in zip(features, quality, out, strict=True):
        predict_split(trained, chosen, workers, files, table, path)


@dataclass(frozen=True)
class Trained:
    """A trained stream: the networks of its seeds, its settings and the sidecar of the first seed.

    `path` is that of the first seed; `sha256` has those of all, with blanks between them.
    `heatmaps` are the settings for drawing heat-maps from keypoints; None: heat-maps are stored.
    """

    path: str
    sha256: str
    seeds: Seeds
    settings: TrainedStream
    heatmaps: HeatmapsSettings | None
    sidecar: dict[str, Any]

    @property
    def network(self) -> nn.Module:
        """The network, or the mean of several."""
        return MeanOfSeeds(self.seeds) if len(self.seeds) > 1 else self.seeds.networks[0]


def load_trained(paths: Sequence[str], evaluation: Mapping[str, Any] | None = None) -> Trained:
    """Load the stream of some model.safetensors, one for each seed, and their sidecars.

    `evaluation` replaces these settings of the training: a run may change them afterwards.
    ArtifactError for damaged files, and for models that are not seeds of one training.
    """
    states, sidecars = zip(*map(load_model, paths), strict=True)
    sidecar = sidecars[0]
    settings = check_stream({**sidecar["stream"], **(evaluation or {})})
    for path, other in zip(paths, sidecars, strict=True):
        differing = [key for key in ALIKE if other.get(key) != sidecar.get(key)]
        if _weights_settings(other) != _weights_settings(sidecar):
            differing.append("stream")
        if differing:
            raise ArtifactError(
                f"{path}: not the same {', '.join(differing)} as {paths[0]}, another seed of the "
                "stream; train the stream again, or copy all its models from one run"
            )
    drawn = sidecar["heatmaps"]
    heatmaps = None if drawn is None else HeatmapsSettings.model_validate(drawn)
    networks = []
    for path, state in zip(paths, states, strict=True):
        refuse(f"{path}: its weights give no answers; train the stream again", unusable(state))
        networks.append(build_model(settings, len(sidecar["classes"])))
        networks[-1].load_state_dict(state)
    sha256 = " ".join(one["sha256"] for one in sidecars)
    return Trained(paths[0], sha256, Seeds(networks), settings, heatmaps, sidecar)


def _weights_settings(sidecar: dict[str, Any]) -> dict[str, Any]:
    return weights_settings(check_stream(sidecar["stream"]), sidecar["phase"])


def predict_split(
    model: Trained, device: torch.device, workers: int, features: list[str], quality: str, out: str
) -> None:
    """Write the logits of every sample of the files; quarantined samples get no answer.

    The logits are the mean over the seeds. A model of a fold answers only the samples that it was
    not trained on. On a CPU the logits of a sample do not depend on the others, to the bit: each
    item goes through the model alone. On a GPU they are in the precision of the training.
    """
    stores = open_features(features, read_quarantined([quality]))
    store = next(iter(stores.values()))
    settings, sidecar = model.settings, model.sidecar
    check_estimator(model.path, sidecar["estimator"], store)
    names = tuple(sidecar["held_out"]) or store.samples
    answered = np.asarray([store.frames(name) > 0 for name in names], dtype=np.bool_)
    S, K = len(model.seeds), len(sidecar["classes"])
    seeds = np.zeros((len(names), S, K), np.float32)
    if answered.any():
        seen = [(name, -1) for name, there in zip(names, answered, strict=True) if there]
        views = test_views(settings)
        dataset = build_dataset(
            settings,
            stores,
            seen,
            train=False,
            seed=0,
            rate=sidecar.get("frame_rate"),
            views=views,
            heatmaps=model.heatmaps,
        )
        # The order of float additions depends on the size of a batch.
        batch_size = 1 if device.type == "cpu" else settings.training.batch_size
        with (
            prediction_numerics(device, settings.training),
            progress(len(dataset), "clip") as done,
            open_loader(
                model.seeds, [dataset], batch_size=batch_size, workers=workers, device=device
            ) as loader,
        ):
            seeds[answered] = predict_logits(
                model.seeds,
                dataset,
                batch_size=batch_size,
                device=device,
                loader=loader,
                advance=lambda clips: done(clips, 0),
            )
    logits = Logits(
        samples=names,
        values=seeds.mean(axis=1, dtype=np.float64).astype(np.float32),
        answered=answered,
        classes=tuple(sidecar["classes"]),
        protocol=sidecar["protocol"],
        seeds=seeds if S > 1 else None,
    )
    write_logits(out, logits, provenance(weights_sha256=model.sha256))
