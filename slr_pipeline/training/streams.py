"""Builds the model and the data set of a stream from its settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from statistics import median_low
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray
from torch import nn

from slr_pipeline.config.features import HeatmapsSettings
from slr_pipeline.config.recipes import SlgcnTraining, TrainingSettings
from slr_pipeline.config.streams import (
    LandmarkSettings,
    R2plus1dSettings,
    SlgcnSettings,
    SstcnSettings,
    TrainedStream,
    VtnSettings,
)
from slr_pipeline.data.clip_transform import CROP_PX, ClipTransform, Kind
from slr_pipeline.data.dataset import ItemFactory, Prepare, StreamDataset, moved
from slr_pipeline.data.hand_transform import HandTransform
from slr_pipeline.data.heatmap_transform import HeatmapTransform
from slr_pipeline.data.landmark_transform import LandmarkTransform
from slr_pipeline.data.skeleton_transform import SkeletonTransform
from slr_pipeline.errors import DataError
from slr_pipeline.features.frame_rate import at_ratio, keypoints_at_ratio, rate_ratio
from slr_pipeline.features.heatmaps import HEATMAP_KEYPOINTS, draw_heatmaps
from slr_pipeline.io.features import Clip, FeatureStore
from slr_pipeline.models import preparation
from slr_pipeline.models.dropgraph import keep_probability, set_keep
from slr_pipeline.models.landmark import LandmarkNet
from slr_pipeline.models.r2plus1d import R2Plus1D
from slr_pipeline.models.slgcn import SLGCN, learned_adjacencies
from slr_pipeline.models.sstcn import SSTCN
from slr_pipeline.models.vtn import VTN
from slr_pipeline.schema import LANDMARK_VALUES, SampleView
from slr_pipeline.skeleton import BONES_27, JOINTS_27

Stores = Mapping[str, FeatureStore]
"""Feature stores of a stream, by feature."""

Arrays = Sequence[NDArray[Any]]
Generator = np.random.Generator | None

PICTURE_KINDS: dict[str, Kind] = {
    "frames": "color",
    "flow": "flow",
    "depth_flow": "flow",
    "hha": "hha",
}

VTN_EPS = 1e-6
"""Added to the standard deviation of a frame's features in `corrected`."""


def build_model(settings: TrainedStream, classes: int) -> nn.Module:
    """Build the untrained model of a stream; torch's global generator draws its weights."""
    match settings:
        case SlgcnSettings():
            joints = len(JOINTS_27)
            return SLGCN(classes=classes, joints=joints, bones=BONES_27, width=settings.width)
        case LandmarkSettings():
            return LandmarkNet(
                classes=classes,
                channels=LANDMARK_VALUES[settings.representation],
                width=settings.width,
                blocks=settings.blocks,
                heads=settings.heads,
                dropout=settings.dropout,
                drop_path=settings.drop_path,
            )
        case SstcnSettings():
            return SSTCN(
                classes=classes,
                frames=settings.frames,
                joints=len(HEATMAP_KEYPOINTS),
                width=settings.width,
                dropout=settings.dropout,
            )
        case R2plus1dSettings():
            return R2Plus1D(
                classes=classes,
                channels=2 if is_flow(settings) else 3,
                width=settings.width,
                dropout=settings.dropout,
            )
        case VtnSettings():
            return VTN(
                classes=classes,
                frames=settings.frames,
                width=settings.width,
                heads=settings.heads,
                layers=settings.layers,
                depth=settings.depth,
                backbone=settings.backbone,
                backbone_width=settings.backbone_width,
                dropout=settings.dropout,
                classifier_dropout=settings.classifier_dropout,
                eps=0.0 if settings.fidelity == "published" else VTN_EPS,
            )
        case _:
            assert_never(settings)


def frame_rate(
    settings: TrainedStream, stores: Stores, samples: Sequence[tuple[str, int]]
) -> float | None:
    """The frame rate that a stream sees every clip at: the median of the clips it trains on.

    None: `published` streams see frames by their numbers, and no rate may be known.
    """
    store = next(iter(stores.values()))
    rates = [rate for name, _ in samples if (rate := store.fps(name))]
    return median_low(rates) if rates and settings.fidelity == "corrected" else None


def build_dataset(
    settings: TrainedStream,
    stores: Stores,
    samples: Sequence[tuple[str, int]],
    *,
    train: bool,
    seed: int,
    rate: float | None = None,
    views: Sequence[SampleView] = (SampleView(),),
    heatmaps: HeatmapsSettings | None = None,
) -> StreamDataset:
    """Build the data set of a stream from the (name, label) pairs of samples that have frames.

    With `train` items are augmented by `seed`. For `rate` see `frame_rate`, for `views`
    `config.streams.test_views`. `heatmaps` are the settings for drawing heat-maps from keypoints;
    None: heat-maps are stored.
    """
    return StreamDataset(
        _item_factory(settings, stores, rate, heatmaps),
        samples,
        train=train,
        seed=seed,
        views=views,
        prepare=prepare_of(settings),
    )


def prepare_of(settings: TrainedStream) -> Prepare:
    """The function that makes a model's inputs from batches of a stream's data set."""
    match settings:
        case SlgcnSettings() | LandmarkSettings():
            return moved
        case SstcnSettings():
            return preparation.heatmaps
        case R2plus1dSettings():
            return partial(preparation.clips, flow=is_flow(settings), fidelity=settings.fidelity)
        case VtnSettings():
            return partial(preparation.hands, fidelity=settings.fidelity)
        case _:
            assert_never(settings)


def build_val_dataset(
    settings: TrainedStream,
    stores: Stores,
    samples: Sequence[tuple[str, int]],
    *,
    seed: int,
    rate: float | None = None,
    heatmaps: HeatmapsSettings | None = None,
) -> StreamDataset:
    """Build the data set that chooses the epoch: one view of each sample, the clip in the middle.

    It does not depend on the settings of evaluation.
    """
    return build_dataset(
        settings,
        stores,
        samples,
        train=False,
        seed=seed,
        rate=rate,
        views=(SampleView(clip=1, clips=3),),
        heatmaps=heatmaps,
    )


def epoch_starter(
    settings: TrainedStream, recipe: TrainingSettings, model: nn.Module
) -> Callable[[int], None]:
    """Return a function that prepares the model for an epoch (from 0): DropGraph, frozen graphs."""
    if isinstance(settings, SlgcnSettings):
        return partial(_start_slgcn_epoch, recipe, model)
    return lambda epoch: None


def _start_slgcn_epoch(recipe: TrainingSettings, model: nn.Module, epoch: int) -> None:
    assert isinstance(recipe, SlgcnTraining)
    keep = keep_probability(epoch, final=recipe.keep_final, epochs=recipe.keep_epochs)
    set_keep(model, keep)
    for adjacency in learned_adjacencies(model):
        # Without a gradient, weight decay and momentum do not apply either.
        adjacency.requires_grad_(epoch >= recipe.freeze_graph_epochs)


def _item_factory(
    settings: TrainedStream,
    stores: Stores,
    rate: float | None,
    heatmaps: HeatmapsSettings | None,
) -> ItemFactory:
    match settings:
        case SlgcnSettings():
            skeletons = SkeletonTransform(**_common_fields(SkeletonTransform, settings))
            return partial(_skeleton, stores["keypoints"], rate, skeletons)
        case LandmarkSettings():
            landmarks = LandmarkTransform(**_common_fields(LandmarkTransform, settings))
            return partial(_landmarks, stores["keypoints"], landmarks)
        case SstcnSettings():
            transform = HeatmapTransform(settings.frames, settings.flip_probability)
            if heatmaps is None:
                return partial(_stored_heatmaps, stores["heatmaps"], transform)
            return partial(_drawn_heatmaps, stores["keypoints"], transform, heatmaps)
        case R2plus1dSettings():
            clips = ClipTransform(
                kind=PICTURE_KINDS[settings.feature],
                crop=CROP_PX,
                **_common_fields(ClipTransform, settings),
            )
            return partial(_clip, stores[settings.feature], rate, clips)
        case VtnSettings():
            hands = HandTransform(**_common_fields(HandTransform, settings))
            return partial(_hands, stores, rate, hands)
        case _:
            assert_never(settings)


def _common_fields(transform: type[Any], settings: TrainedStream) -> dict[str, Any]:
    """The settings that a transform has under the same name."""
    names = {field.name for field in fields(transform)} & type(settings).model_fields.keys()
    return {name: getattr(settings, name) for name in names}


def _skeleton(
    store: FeatureStore,
    rate: float | None,
    transform: SkeletonTransform,
    name: str,
    view: SampleView,
    rng: Generator,
) -> Arrays:
    """Skeleton (3, T, 27)."""
    clip = _finite(store, name)
    ratio = rate_ratio(clip.fps, rate)
    if not transform.stretch:
        ratio *= view.speed
    keypoints = keypoints_at_ratio(clip.values, ratio)
    return [transform(keypoints, rng, mirror=view.mirrored, speed=view.speed)]


def _landmarks(
    store: FeatureStore, transform: LandmarkTransform, name: str, view: SampleView, rng: Generator
) -> Arrays:
    """Values (C, T); a clip has the same number of frames at any rate."""
    keypoints = _finite(store, name).values
    return [transform(keypoints, rng, mirror=view.mirrored, speed=view.speed)]


def _stored_heatmaps(
    store: FeatureStore, transform: HeatmapTransform, name: str, view: SampleView, rng: Generator
) -> Arrays:
    """Bytes of heat-maps (T, 33, 24, 24), change."""
    stored = store.read(name).values
    maps, change = transform(stored, rng, mirror=view.mirrored, speed=view.speed)
    return [maps, np.array(change)]


def _drawn_heatmaps(
    store: FeatureStore,
    transform: HeatmapTransform,
    settings: HeatmapsSettings,
    name: str,
    view: SampleView,
    rng: Generator,
) -> Arrays:
    """Bytes of heat-maps (T, 33, 24, 24), drawn from keypoints, change."""
    clip = _finite(store, name)
    maps = draw_heatmaps(
        clip.values,
        width=clip.width,
        height=clip.height,
        sigma=settings.sigma,
        fidelity=settings.fidelity,
    )
    maps, change = transform(maps, rng, mirror=view.mirrored, speed=view.speed)
    return [maps, np.array(change)]


def _clip(
    store: FeatureStore,
    rate: float | None,
    transform: ClipTransform,
    name: str,
    view: SampleView,
    rng: Generator,
) -> Arrays:
    """Pictures (T, H, W, 3), of flow (T, 2, H, W), change."""
    ratio = rate_ratio(store.fps(name), rate) * view.speed
    shown = at_ratio(store.frames(name), ratio)
    # A short clip shows its frames several times.
    once, again = np.unique(
        shown[transform.index(len(shown), rng, view.clip, view.clips)], return_inverse=True
    )
    stored = store.read(name, once, decode=False, boxes=False).values
    if transform.halves:
        stored = stored.halved()
    elif transform.repeats_chroma:
        stored = stored.without_chroma_interpolation()
    pictures, change = transform(stored, rng, mirror=view.mirrored, speed=ratio)
    if len(once) < len(again):
        pictures = pictures[again]
    return [pictures, np.array(change)]


def _hands(
    stores: Stores,
    rate: float | None,
    transform: HandTransform,
    name: str,
    view: SampleView,
    rng: Generator,
) -> Arrays:
    """Hand crops (T, S, H, W, 3), depth hand crops (T, 2, H, W), pose flow (T, 106), change."""
    ratio = rate_ratio(stores["hand_crops"].fps(name), rate) * view.speed
    shown = at_ratio(stores["hand_crops"].frames(name), ratio)
    index = shown[transform.index(len(shown))]
    crops = stores["hand_crops"].read(name, index, decode=False)
    missing = (crops.boxes == (0, 0, crops.width, crops.height)).all(axis=-1)  # (T, 2)
    color, depth = crops.values, None
    if transform.depth:
        depth = stores["depth_hand_crops"].read(name, index, decode=False, boxes=False).values
    if transform.halves:
        color, depth = color.halved(), depth if depth is None else depth.halved()
    pictures, change = transform(color, depth, missing, rng, mirror=view.mirrored)
    pose = _finite(stores["pose_flow"], name, index).values
    pose[:, 1::2] *= ratio  # the lengths of the steps
    return [*pictures, pose, np.array(change)]


def _finite(store: FeatureStore, name: str, frames: NDArray[np.int64] | None = None) -> Clip:
    """Read the clip of a sample; DataError for NaN or infinite values."""
    clip = store.read(name, frames)
    if not np.isfinite(clip.values).all():
        raise DataError(
            f"{store.path_of(name)}: sample {name}: {store.feature} have NaN or infinite values; "
            "delete the file and run again"
        )
    return clip


def is_flow(settings: R2plus1dSettings) -> bool:
    """Whether the pictures of a stream have the two channels of flow."""
    return PICTURE_KINDS[settings.feature] == "flow"
