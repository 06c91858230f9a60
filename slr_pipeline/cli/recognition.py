"""Run a track of a finished run on new videos, a few at a time.

Each step writes its artifact into a temporary folder, as its rule does, and the next one reads it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from slr_pipeline.config.estimators import ImportedKeypointsSettings, MmposeSettings
from slr_pipeline.config.experiment import Config
from slr_pipeline.config.features import FeatureSettings
from slr_pipeline.config.streams import ImportedSettings, evaluation_settings, features_of
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.errors import ArtifactError, ConfigError
from slr_pipeline.io.documents import read_metrics
from slr_pipeline.io.examiner import Examiner
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.guarded import Guarded
from slr_pipeline.io.quality import read_quality
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.samples.segments import Segment
from slr_pipeline.samples.table import Sample
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES
from slr_pipeline.scoring.conditions import outside
from slr_pipeline.scoring.ensemble import Calibration, Fused, fuse, join
from slr_pipeline.steps.flow import flow
from slr_pipeline.steps.frames import frames
from slr_pipeline.steps.hand_crops import hand_crops
from slr_pipeline.steps.heatmaps import heatmaps
from slr_pipeline.steps.hha import hha
from slr_pipeline.steps.keypoints import write_both, write_keypoints
from slr_pipeline.steps.pose_flow import pose_flow
from slr_pipeline.steps.predict import Trained, load_trained, predict_split
from slr_pipeline.steps.quality import quality
from slr_pipeline.steps.verify import verify_sample
from slr_pipeline.tracks.fusion import read_streams, scale, untuned_name
from slr_pipeline.training.device import choose_device

PoseStep = Callable[[list[Verified], Mapping[str, str]], None]
"""Writes keypoints, and heat-maps if the pose network makes them, to their paths by feature."""

FEATURE_STEPS: dict[str, Callable[[Any, str, str, str], None]] = {
    "frames": frames,
    "hand_crops": lambda settings, *files: hand_crops(settings, "hand_crops", *files),
    "depth_hand_crops": lambda settings, *files: hand_crops(settings, "depth_hand_crops", *files),
    "pose_flow": pose_flow,
    "flow": lambda settings, *files: flow(settings, "flow", *files),
    "depth_flow": lambda settings, *files: flow(settings, "depth_flow", *files),
    "hha": hha,
    "heatmaps": heatmaps,
}
"""Step of each feature. Arguments: settings, paths of the verify table, keypoints and output."""

SHARD_SIZE = 8
"""Videos per temporary folder."""

REJECTION = {
    "accept_error": None,
    "threshold": None,
    "reason": "metrics.json is of an earlier version",
}
"""What predictions need of the key `rejection` of a track's metrics, by default."""


@dataclass(frozen=True)
class Video:
    """A colour video, with its depth video if the track needs one; `segment` of both, or all."""

    color: str
    depth: str | None = None
    segment: Segment | None = None


@dataclass(frozen=True)
class Track:
    """A track of a finished run with loaded models and an open pose estimator.

    `features` are keypoints and those that the streams read; `models` has first those of the
    track's `streams`, then those of `untuned`. `warnings` and `rejection` are those of the run's
    metrics, `rejection` with the keys of REJECTION.
    """

    config: Config
    name: str
    settings: TrackSettings
    features: tuple[str, ...]
    calibration: Calibration
    warnings: tuple[str, ...]
    rejection: dict[str, Any]
    models: dict[str, Trained]
    write_poses: PoseStep
    device: torch.device

    @property
    def classes(self) -> tuple[str, ...]:
        """Glosses in label order."""
        return tuple(next(iter(self.models.values())).sidecar["classes"])

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions of the training; empty for a model of an older version."""
        conditions: dict[str, Any] = next(iter(self.models.values())).sidecar.get("conditions", {})
        return conditions

    @property
    def threshold(self) -> float:
        """Lowest probability of an accepted answer; 0 if all are accepted."""
        return self.rejection["threshold"] or 0.0

    @property
    def stages(self) -> int:
        """Progress steps per video: verify, features, quality, models."""
        return 2 + len(self.features) + len(self.models)


@dataclass(frozen=True)
class Recognition:
    """Result for a video: `probabilities` (K,), or the `reason` why there is no answer.

    `outside` says what of the video lies outside the conditions of the training.

    `row` is from the verify table; its own `reason` is set for a video that cannot be read, whose
    `keypoints` (T, 133, 3) then have T = 0.
    """

    video: Video
    row: Verified
    reason: str
    probabilities: NDArray[np.float64] | None
    keypoints: NDArray[np.float32]
    outside: tuple[str, ...]


def choose_track(config: Config, requested: str | None, *, depth: bool) -> str:
    """Return the requested track, else `rgb`, else the only one.

    ConfigError if there is no such track, the choice is ambiguous, the track cannot process new
    videos, or its streams need depth and there is none, or the reverse.
    """
    tracks = list(config.tracks)
    if requested is not None and requested not in tracks:
        raise ConfigError(f"--track {requested}: no such track; choose from {', '.join(tracks)}")
    if requested is None and "rgb" not in tracks and len(tracks) > 1:
        raise ConfigError(f"--track: missing; choose from {', '.join(tracks)}")
    name = requested or ("rgb" if "rgb" in tracks else tracks[0])
    keypoints = config.features.keypoints
    if isinstance(keypoints, ImportedKeypointsSettings):
        raise ConfigError(
            f"features.keypoints: the run imports keypoints from {keypoints.path}, which has none "
            "of new videos; train with an estimator"
        )
    suitable = [
        f"--track {track}"
        for track in tracks
        if not _imported(config, track) and bool(_depth_features(config, track)) == depth
    ]
    advice = f"use {' or '.join(suitable)}" if suitable else "the run has no other track that fits"
    if imported := _imported(config, name):
        raise ConfigError(
            f"track {name}: stream {imported[0]} has imported logits and no model for new videos; "
            f"{advice}"
        )
    if (features := _depth_features(config, name)) and not depth:
        raise ConfigError(
            f"track {name}: its streams need depth videos for {', '.join(features)}; give --depth, "
            f"or {advice}"
        )
    if depth and not features:
        raise ConfigError(f"--depth: track {name} uses no depth; remove --depth, or {advice}")
    return name


def _members(config: Config, track: str) -> tuple[str, ...]:
    return *config.tracks[track].streams, *config.tracks[track].untuned


def _imported(config: Config, track: str) -> list[str]:
    """Streams of a track without a model."""
    members = _members(config, track)
    return [name for name in members if isinstance(config.streams[name], ImportedSettings)]


def _depth_features(config: Config, track: str) -> list[str]:
    """Features of a track that need depth videos."""
    read = {name for stream in _members(config, track) for name in config.stream_features(stream)}
    return [feature for feature in DEPTH_FEATURES if feature in read]


def open_track(results: Path, config: Config, name: str, device: str) -> Track:
    """Load the models of a track and open its pose estimator.

    Raises ArtifactError for missing files and for files of different runs.
    """
    settings = config.tracks[name]
    metrics, paths = files_of_track(results, config, name)
    scores = _scores_of(metrics, settings, list(paths))
    rejection = {key: scores.get("rejection", REJECTION)[key] for key in REJECTION}
    torch_device = choose_device(device)
    models = {
        key: load_trained(list(map(str, seeds)), evaluation_settings(config.streams[stream]))
        for (key, seeds), stream in zip(paths.items(), _members(config, name), strict=True)
    }
    read = {"keypoints"}
    for model in models.values():
        read.update(features_of(model.settings, config.features))
    features = tuple(feature for feature in FEATURES if feature in read)
    write_poses = _open_pose(config.features, features, device)
    return Track(
        config=config,
        name=name,
        settings=settings,
        features=features,
        calibration=Calibration(scores["temperatures"] or {}, scores["weights"]),
        warnings=tuple(scores.get("warnings", ())),
        rejection=rejection,
        models=models,
        write_poses=write_poses,
        device=torch_device,
    )


def files_of_track(results: Path, config: Config, name: str) -> tuple[Path, dict[str, list[Path]]]:
    """What a track needs to answer: its metrics, and weights per stream, one for each seed.

    Weights have their sidecars beside them. ArtifactError for a missing file.
    """
    settings = config.tracks[name]
    phases = {stream: (stream, config.phases(stream)[-1]) for stream in settings.streams}
    phases |= {untuned_name(stream): (stream, "train") for stream in settings.untuned}
    paths = {
        key: [results / folder / "model.safetensors" for folder in config.trainings(*phase)]
        for key, phase in phases.items()
    }
    metrics = results / "tracks" / name / "metrics.json"
    weights = [path for seeds in paths.values() for path in seeds]
    for path in (metrics, *(file for p in weights for file in (p, p.with_suffix(".json")))):
        if not path.is_file():
            raise ArtifactError(
                f"{path}: no such file, but track {name} needs it; finish the run, or copy the file"
            )
    return metrics, paths


def _scores_of(path: Path, settings: TrackSettings, streams: list[str]) -> dict[str, Any]:
    """The metrics of the track. ArtifactError if it differs from the one of config.yaml."""
    metrics = read_metrics(path)
    fusion, fused = metrics.get("fusion"), sorted(metrics.get("weights", ()))
    if (fusion, fused) != (settings.fusion, sorted(streams)):
        raise ArtifactError(
            f"{path}: fusion {fusion} of {', '.join(fused)}, but config.yaml has {settings.fusion} "
            f"of {', '.join(streams)}; finish the run, or copy both files from one run"
        )
    return metrics


def _open_pose(settings: FeatureSettings, features: Sequence[str], device: str) -> PoseStep:
    """Open the pose estimator once for all videos."""
    keypoints = settings.keypoints
    if "heatmaps" in features and settings.heatmaps.source == "network":
        assert isinstance(keypoints, MmposeSettings)
        from slr_pipeline.pose.network_heatmaps import NetworkHeatmaps

        source = NetworkHeatmaps(settings.heatmaps, keypoints, device)
        return lambda rows, paths: write_both(
            paths["keypoints"], paths["heatmaps"], rows, keypoints, settings.heatmaps, source
        )
    estimator = open_estimator(keypoints, device)
    return lambda rows, paths: write_keypoints(paths["keypoints"], rows, keypoints, estimator)


def recognise(
    track: Track, videos: Sequence[Video], advance: Callable[[int], None]
) -> Iterator[Recognition]:
    """Yield the result of each video in order; results do not depend on the other videos.

    `advance` receives the number of videos that completed one of the track's `stages`.
    """
    named = [(f"video{number}", video) for number, video in enumerate(videos, start=1)]
    with Guarded(Examiner(), track.config.verify.seconds_per_video) as guarded:
        for start in range(0, len(named), SHARD_SIZE):
            shard = dict(named[start : start + SHARD_SIZE])
            rows = []
            for name, video in shard.items():
                sample = Sample(name, "test", None, None, video.color, video.depth)
                sample = replace(sample, segment=video.segment)
                rows.append(verify_sample(sample, guarded, track.config.fidelity))
                advance(1)
            with TemporaryDirectory(prefix="slr-predict-") as folder:
                yield from _recognise_shard(track, shard, rows, folder, advance)


def _recognise_shard(
    track: Track,
    videos: Mapping[str, Video],
    rows: list[Verified],
    folder: str,
    advance: Callable[[int], None],
) -> Iterator[Recognition]:
    verified, quality_table = f"{folder}/verified.csv", f"{folder}/quality.csv"
    write_verified(verified, rows)
    paths = {feature: f"{folder}/{feature}.h5" for feature in track.features}
    for feature, out in paths.items():
        if feature == "keypoints":
            track.write_poses(rows, paths)
        elif not Path(out).exists():  # the pose step may have written heat-maps
            settings = getattr(track.config.features, feature)
            FEATURE_STEPS[feature](settings, verified, paths["keypoints"], out)
        advance(len(rows))
    # Answer the other videos however many fail.
    limits = track.config.quality.model_copy(update={"max_quarantined": 1.0})
    quality(limits, [paths["keypoints"]], quality_table)
    advance(len(rows))
    files = {feature: [path] for feature, path in paths.items()}
    scores = fused_scores(track, files, quality_table, list(videos), folder, advance).scores
    measured = {row["sample"]: row for row in read_quality(quality_table).to_dict("records")}
    store = FeatureStore("keypoints", [paths["keypoints"]])
    for row, probabilities in zip(rows, softmax(scores, axis=1), strict=True):
        reason = row.reason or _reason(measured[row.sample])
        yield Recognition(
            videos[row.sample],
            row,
            reason,
            None if reason else probabilities,
            np.asarray(store.read(row.sample).values, np.float32),
            tuple(outside(measured[row.sample], track.conditions)),
        )


def fused_scores(
    track: Track,
    files: Mapping[str, Sequence[str]],
    quality_table: str,
    samples: Sequence[str],
    folder: str,
    advance: Callable[[int], None],
) -> Fused:
    """Fused scores of all samples of feature files, computed as the rules do for test.

    `files` by feature; `quality_table` is that of their split. Logits are written into `folder`.
    """
    logits = [f"{folder}/logits{number}.h5" for number in range(len(track.models))]
    for model, out in zip(track.models.values(), logits, strict=True):
        read = features_of(model.settings, track.config.features)
        paths = [path for feature in read for path in files[feature]]
        predict_split(model, track.device, 0, paths, quality_table, out)
        advance(len(samples))
    joined = join(read_streams(track.settings, logits, track.config.protocol), samples)
    joined = scale(track.settings, track.calibration, joined)
    K = joined.values.shape[2]
    # A video that no stream answered gets the prior, but the result then has a reason instead.
    return fuse(joined, track.calibration.weights, np.full(K, 1 / K))


def _reason(quality_row: Mapping[str, Any]) -> str:
    """Why the keypoints of a clip fail the quality limits, or empty."""
    reason: str = quality_row["reason"]
    return "no person was found" if reason and not quality_row["person"] > 0 else reason
