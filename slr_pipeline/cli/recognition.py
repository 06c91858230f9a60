"""A track of a finished run on new videos: the steps of the pipeline, a few videos at a time.

Each step writes its artifact into a temporary folder, as its rule would, and the next one reads it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from slr_pipeline.config.streams import ImportedSettings, features_of
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.errors import ArtifactError, ConfigError
from slr_pipeline.io.documents import read_metrics
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.guarded import Guarded
from slr_pipeline.io.quality import read_quality
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.samples.table import Sample
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES
from slr_pipeline.scoring.ensemble import Calibration, calibrated, fuse, join
from slr_pipeline.steps.ensemble import read_streams, untuned_name
from slr_pipeline.steps.flow import flow
from slr_pipeline.steps.frames import frames
from slr_pipeline.steps.hand_crops import hand_crops
from slr_pipeline.steps.heatmaps import heatmaps
from slr_pipeline.steps.hha import hha
from slr_pipeline.steps.keypoints import write_both, write_keypoints
from slr_pipeline.steps.pose_flow import pose_flow
from slr_pipeline.steps.predict import Trained, load_trained, predict
from slr_pipeline.steps.quality import quality
from slr_pipeline.steps.verify import examine, verify_sample
from slr_pipeline.training.device import choose_device

FindKeypoints = Callable[[list[Verified], Mapping[str, str]], None]
"""Writes the keypoints of some rows, and heat-maps if the network makes them, to their places."""

MAKERS: dict[str, Callable[[Any, str, str, str], None]] = {
    "frames": frames,
    "hand_crops": lambda settings, *files: hand_crops(settings, "hand_crops", *files),
    "depth_hand_crops": lambda settings, *files: hand_crops(settings, "depth_hand_crops", *files),
    "pose_flow": pose_flow,
    "flow": lambda settings, *files: flow(settings, "flow", *files),
    "depth_flow": lambda settings, *files: flow(settings, "depth_flow", *files),
    "hha": hha,
    "heatmaps": heatmaps,
}
"""The step of each feature that is made of keypoints and videos: settings, verify table, keypoints,
place."""

SHARD_SIZE = 8
"""Videos whose features lie on the disk at once."""


@dataclass(frozen=True)
class Video:
    """A video to be recognised, with its depth video where the track needs one."""

    color: str
    depth: str | None = None


@dataclass(frozen=True)
class Track:
    """A track of a finished run, ready to answer: its models and its pose estimator are loaded.

    `features` are those that its streams read and the keypoints these are made of; `models` those
    of `streams`, then those of `untuned`.
    """

    config: Config
    name: str
    settings: TrackSettings
    features: tuple[str, ...]
    calibration: Calibration
    models: dict[str, Trained]
    find_keypoints: FindKeypoints
    device: torch.device

    @property
    def classes(self) -> tuple[str, ...]:
        """The glosses, in label order."""
        return tuple(next(iter(self.models.values())).sidecar["classes"])

    @property
    def stages(self) -> int:
        """How often `recognise` tells that a video is further: steps, features, models."""
        return 2 + len(self.features) + len(self.models)


@dataclass(frozen=True)
class Recognised:
    """What became of a video.

    Attributes:
        video: the video.
        row: what `verify` found; its `reason` is empty unless the video could not be read.
        reason: why there is no answer; empty where there is one.
        probabilities: (K,) of the classes; None without an answer.
        keypoints: (T, 133, 3), T = 0 for a video that could not be read.
    """

    video: Video
    row: Verified
    reason: str
    probabilities: NDArray[np.float64] | None
    keypoints: NDArray[np.float32]


def choose_track(config: Config, asked: str | None, *, depth: bool) -> str:
    """The track that is asked for, else `rgb`, else the only one.

    ConfigError where there is no such track, none can be chosen, it cannot see new videos, or
    whether there is `depth` does not suit it.
    """
    tracks = list(config.tracks)
    if asked is not None and asked not in tracks:
        raise ConfigError(f"--track {asked}: there is none (known: {', '.join(tracks)})")
    if asked is None and "rgb" not in tracks and len(tracks) > 1:
        raise ConfigError(f"--track: missing; choose one of {', '.join(tracks)}")
    name = asked or ("rgb" if "rgb" in tracks else tracks[0])
    keypoints = config.features.keypoints
    if isinstance(keypoints, ImportedKeypointsSettings):
        raise ConfigError(
            f"features.keypoints: the run took those of {keypoints.path}, made elsewhere, so that "
            "there are none of a new video; train with an estimator"
        )
    imported, deep = _imported(config, name), _deep(config, name)
    fitting = [
        f"--track {track}"
        for track in tracks
        if not _imported(config, track) and bool(_deep(config, track)) == depth
    ]
    advice = " or ".join(fitting) or "a track that does without, which this run has not"
    if imported:
        raise ConfigError(
            f"track {name}: the logits of its stream {imported[0]} were made elsewhere, and it has "
            f"no model for a new video; take {advice}"
        )
    if deep and not depth:
        raise ConfigError(
            f"track {name}: it reads {', '.join(deep)}, made from depth videos; give --depth, or "
            f"take {advice}"
        )
    if depth and not deep:
        raise ConfigError(
            f"--depth: track {name} reads nothing made from depth; leave it out"
            + (f", or take {advice}" if fitting else "")
        )
    return name


def _members(config: Config, track: str) -> tuple[str, ...]:
    return *config.tracks[track].streams, *config.tracks[track].untuned


def _imported(config: Config, track: str) -> list[str]:
    """The streams of a track that have no model."""
    members = _members(config, track)
    return [name for name in members if isinstance(config.streams[name], ImportedSettings)]


def _deep(config: Config, track: str) -> list[str]:
    """The features made from depth that a track reads."""
    read = {name for stream in _members(config, track) for name in config.stream_features(stream)}
    return [feature for feature in DEPTH_FEATURES if feature in read]


def open_track(results: Path, config: Config, name: str, device: str) -> Track:
    """Load the models of a track and its pose estimator.

    Raises ArtifactError for files that are not there or do not belong together; errors of the
    device and of the estimator as the pipeline's.
    """
    settings = config.tracks[name]
    files = {stream: f"streams/{stream}/{config.phases[-1]}" for stream in settings.streams}
    files |= {untuned_name(stream): f"streams/{stream}/train" for stream in settings.untuned}
    paths = {stream: results / folder / "model.safetensors" for stream, folder in files.items()}
    metrics = results / "tracks" / name / "metrics.json"
    for path in (metrics, *(file for p in paths.values() for file in (p, p.with_suffix(".json")))):
        if not path.is_file():
            raise ArtifactError(
                f"{path} is not there, and track {name} needs it; finish the run, or copy the file "
                "with the others"
            )
    calibration = _calibration(metrics, settings, list(paths))
    chosen = choose_device(device)
    models = {stream: load_trained(str(path)) for stream, path in paths.items()}
    read = {"keypoints"}
    for model in models.values():
        read.update(features_of(model.settings, config.features))
    features = tuple(feature for feature in FEATURES if feature in read)
    find_keypoints = _open_pose(config.features, features, device)
    return Track(config, name, settings, features, calibration, models, find_keypoints, chosen)


def _calibration(path: Path, settings: TrackSettings, streams: list[str]) -> Calibration:
    """What the run fitted or was given; ArtifactError where it is of another configuration."""
    metrics = read_metrics(path)
    found = metrics.get("fusion"), sorted(metrics.get("weights", ()))
    if found != (settings.fusion, sorted(streams)):
        raise ArtifactError(
            f"{path}: fusion {found[0]} of {', '.join(found[1])}, and config.yaml has "
            f"{settings.fusion} of {', '.join(streams)}; finish the run, or take both files of one"
        )
    return Calibration(metrics["temperatures"] or {}, metrics["weights"])


def _open_pose(settings: FeatureSettings, features: Sequence[str], device: str) -> FindKeypoints:
    """Open the pose estimator of the run once for all videos."""
    keypoints = settings.keypoints
    if "heatmaps" in features and settings.heatmaps.source == "network":
        assert isinstance(keypoints, MmposeSettings)
        # Late: it imports MMPose.
        from slr_pipeline.pose.network_heatmaps import NetworkHeatmaps  # noqa: PLC0415

        source = NetworkHeatmaps(settings.heatmaps, keypoints, device)
        return lambda rows, made: write_both(
            made["keypoints"], made["heatmaps"], rows, keypoints, settings.heatmaps, source
        )
    estimator = open_estimator(keypoints, device)
    return lambda rows, made: write_keypoints(made["keypoints"], rows, keypoints, estimator)


def recognise(
    track: Track, videos: Sequence[Video], advance: Callable[[int], None]
) -> Iterator[Recognised]:
    """What becomes of each video, in order; an answer does not depend on the other videos.

    `advance` is told how many videos went through one of the track's `stages`.
    """
    named = [(f"video{number}", video) for number, video in enumerate(videos, start=1)]
    with Guarded(examine, track.config.verify.seconds_per_video) as guarded:
        for start in range(0, len(named), SHARD_SIZE):
            shard = dict(named[start : start + SHARD_SIZE])
            rows = []
            for name, video in shard.items():
                sample = Sample(name, "test", None, None, video.color, video.depth)
                rows.append(verify_sample(sample, guarded))
                advance(1)
            with TemporaryDirectory(prefix="slr-predict-") as folder:
                yield from _recognise_shard(track, shard, rows, folder, advance)


def _recognise_shard(
    track: Track,
    videos: Mapping[str, Video],
    rows: list[Verified],
    folder: str,
    advance: Callable[[int], None],
) -> Iterator[Recognised]:
    verified, judged = f"{folder}/verified.csv", f"{folder}/quality.csv"
    write_verified(verified, rows)
    made = {feature: f"{folder}/{feature}.h5" for feature in track.features}
    for feature, out in made.items():
        if feature == "keypoints":
            track.find_keypoints(rows, made)
        elif not Path(out).exists():  # heat-maps of a network come with the keypoints
            settings = getattr(track.config.features, feature)
            MAKERS[feature](settings, verified, made["keypoints"], out)
        advance(len(rows))
    # However many fail, the others are answered.
    limits = track.config.quality.model_copy(update={"max_quarantined": 1.0})
    quality(limits, [made["keypoints"]], judged)
    advance(len(rows))
    logits = [f"{folder}/logits{number}.h5" for number in range(len(track.models))]
    for model, out in zip(track.models.values(), logits, strict=True):
        read = [made[feature] for feature in features_of(model.settings, track.config.features)]
        predict(model, track.device, 0, read, judged, out)
        advance(len(rows))
    scores = fused_scores(track, logits, list(videos))
    reasons = {row["sample"]: _reason(row) for row in read_quality(judged).to_dict("records")}
    store = FeatureStore("keypoints", [made["keypoints"]])
    for row, probabilities in zip(rows, softmax(scores, axis=1), strict=True):
        reason = row.reason or reasons[row.sample]
        yield Recognised(
            videos[row.sample],
            row,
            reason,
            None if reason else probabilities,
            np.asarray(store.read(row.sample).values, np.float32),
        )


def fused_scores(
    track: Track, logits: Sequence[str], samples: Sequence[str]
) -> NDArray[np.float64]:
    """Scores (N, K) of the samples, as rule `ensemble` finds those of test."""
    joined = join(read_streams(track.settings, logits), samples)
    if track.settings.fusion == "calibrated":
        joined = calibrated(joined, track.calibration)
    K = joined.values.shape[2]
    # The prior stands where no stream answered, and that is no answer here.
    return fuse(joined, track.calibration.weights, np.full(K, 1 / K)).scores


def _reason(quality_row: Mapping[str, Any]) -> str:
    """Why the keypoints of a clip are not good enough; empty where they are."""
    reason: str = quality_row["reason"]
    return "no person was found" if reason and not quality_row["person"] > 0 else reason
