"""Models and data sets built from settings: every kind of stream on real feature files."""

import pickle
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from slr_pipeline.config.experiment import check_stream
from slr_pipeline.config.features import FeatureSettings, HeatmapsSettings
from slr_pipeline.config.memory import item_bytes
from slr_pipeline.config.streams import StreamSettings, features_of, recipe_of, test_views
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import Loader, batches
from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.features.heatmaps import draw_heatmaps
from slr_pipeline.io.container import seal
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FeatureStore, open_features
from slr_pipeline.models import preparation
from slr_pipeline.models.dropgraph import DropGraph
from slr_pipeline.models.slgcn import learned_adjacencies
from slr_pipeline.schema import FEATURES, SampleView
from slr_pipeline.skeleton import FLIP_133
from slr_pipeline.training.predict import predict
from slr_pipeline.training.streams import (
    Stores,
    build_dataset,
    build_model,
    build_val_dataset,
    epoch_starter,
    frame_rate,
)
from tests.feature_files import write_feature

test_views.__test__ = False  # type: ignore[attr-defined]

FRAMES = {"short": 5, "long": 40}
SAMPLES = [("short", 0), ("long", 1)]

SKELETON = {"model": "slgcn", "width": 16, "frames": 20, "window": 12}
VIDEO = {"model": "r2plus1d", "width": 4, "frames": 8, "size": 32, "feature": "frames"}
SIZES = {"width": 32, "heads": 2, "layers": 1, "frames": 6, "size": 32}
HANDS = {"model": "vtn", "backbone": "resnet18", "backbone_width": 4, **SIZES}
STREAMS: dict[str, dict[str, Any]] = {
    "joint": SKELETON,
    "bone": {**SKELETON, "representation": "bone"},
    "joint_motion": {**SKELETON, "representation": "joint_motion"},
    "bone_motion": {**SKELETON, "representation": "bone_motion"},
    "landmark": {"model": "landmark", "width": 16, "frames": 10},
    "landmark_motion": {"model": "landmark", "width": 16, "frames": 10, "representation": "motion"},
    "sstcn": {"model": "sstcn", "width": 8, "frames": 6},
    "rgb": {**VIDEO, "jitter": 0.0},
    "flow": {**VIDEO, "feature": "flow"},
    "hha": {**VIDEO, "feature": "hha"},
    "depth_flow": {**VIDEO, "feature": "depth_flow"},
    "vtn_hcpf": HANDS,
    "vtn_hcpf_d": {**HANDS, "depth": True},
}
FIDELITIES = [
    (name, fidelity)
    for name in STREAMS
    for fidelity in ("published", "corrected")
    if fidelity == "corrected" or not name.startswith("landmark")
]

SHAPES = {
    "slgcn": [(3, 20, 27)],
    "landmark": [(256, 10)],
    "landmark_motion": [(510, 10)],
    "sstcn": [(6, 33, 24, 24)],
    "rgb": [(3, 8, 32, 32)],
    "flow": [(2, 8, 32, 32)],
    "vtn_hcpf": [(6, 2, 3, 32, 32), (6, 106)],
    "vtn_hcpf_d": [(6, 4, 3, 32, 32), (6, 106)],
}


CPU = torch.device("cpu")
KEYPOINTS = ("slgcn", "landmark")


def item_of(data: StreamDataset, index: int) -> list[torch.Tensor]:
    """An item as the model sees it."""
    inputs = data.prepare([part[None] for part in data[index][0]], CPU)
    return [part[0] for part in inputs]


def settings(name: str, **changes: Any) -> StreamSettings:
    return check_stream({**STREAMS[name], **changes})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of every feature with a short, a long and a quarantined clip."""
    folder = tmp_path_factory.mktemp("features")
    return {feature: write(folder / f"{feature}.h5", feature) for feature in FEATURES}


def write(path: Path, feature: str) -> Path:
    schema = FEATURES[feature]
    rng = np.random.default_rng(1)
    clips = [NewClip("quarantined")]
    for name, T in FRAMES.items():
        frames = schema.frames or T
        values = rng.uniform(0, 255, (frames, *schema.shape)).astype(schema.dtype)
        if feature == "keypoints":
            values[..., 2] = 0.9
        boxes = np.tile(np.int32([0, 0, 99, 99]), (frames, schema.boxes, 1))
        counts = dict.fromkeys(schema.counts, 0)
        clips.append(NewClip(name, values, 320, 240, 25.0, boxes=boxes, counts=counts))
    write_feature(path, feature, clips, {}, {"settings": {}})
    return path


def stores_of(stream: StreamSettings, files: dict[str, Path]) -> Stores:
    return open_features(files[feature] for feature in features_of(stream, FeatureSettings()))


@pytest.mark.parametrize("name", STREAMS)
def test_the_model_trains_on_the_items(name: str, files: dict[str, Path]) -> None:
    stream = settings(name)
    stores = stores_of(stream, files)
    torch.manual_seed(0)
    model = build_model(stream, classes=3)
    train = build_dataset(stream, stores, SAMPLES, train=True, seed=1)
    inputs, labels, names = next(batches(train, batch_size=2))
    assert list(names) == ["short", "long"]
    assert labels.tolist() == [0, 1]
    inputs = train.prepare(inputs, CPU)
    assert all(part.dtype == torch.float32 and part.isfinite().all() for part in inputs)
    logits = model(*inputs)
    assert logits.shape == (2, 3)
    logits.sum().backward()
    evaluation = build_dataset(stream, stores, SAMPLES, train=False, seed=1)
    expected = SHAPES.get(name) or SHAPES.get(stream.model) or SHAPES["rgb"]
    if name == "depth_flow":
        expected = SHAPES["flow"]
    assert [tuple(part.shape) for part in item_of(evaluation, 0)] == expected
    assert [tuple(part.shape) for part in item_of(evaluation, 1)] == expected


@pytest.mark.parametrize(("name", "fidelity"), FIDELITIES)
def test_items_are_as_large_as_planned(name: str, fidelity: str, files: dict[str, Path]) -> None:
    """Bytes of pictures and heat-maps, which the memory of a job follows from."""
    stream = settings(name, fidelity=fidelity)
    data = build_dataset(stream, stores_of(stream, files), SAMPLES, train=True, seed=1)
    inputs, _, _ = data[1]
    assert sum(part.nbytes for part in inputs) == item_bytes(stream)
    assert inputs[0].dtype == (
        torch.float32 if stream.model in ("slgcn", "landmark") else torch.uint8
    )


@pytest.mark.parametrize("name", ["joint", "sstcn", "flow", "hha", "vtn_hcpf_d"])
def test_published_items_fit_the_model(name: str, files: dict[str, Path]) -> None:
    stream = settings(name, fidelity="published")
    stores = stores_of(stream, files)
    model = build_model(stream, classes=3).eval()
    for train in (True, False):
        data = build_dataset(stream, stores, SAMPLES, train=train, seed=1)
        inputs, _, _ = next(batches(data, batch_size=2))
        assert model(*data.prepare(inputs, CPU)).isfinite().all()


@pytest.mark.parametrize("name", ["joint", "sstcn", "rgb", "vtn_hcpf_d"])
def test_logits_are_independent_of_batch_size_and_workers(
    name: str, files: dict[str, Path]
) -> None:
    stream = settings(name)
    torch.manual_seed(0)
    model = build_model(stream, classes=3)
    data = build_dataset(
        stream, stores_of(stream, files), SAMPLES, train=False, seed=1, views=test_views(stream)
    )
    one = predict(model, data, batch_size=1)
    assert one.shape == (2, 3)
    for batch_size, workers in ((2, 0), (3, 2)):
        with Loader(data, workers=workers) as loader:
            other = predict(model, data, batch_size=batch_size, loader=loader)
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "fidelity"), FIDELITIES)
def test_a_gpu_prepares_the_same_inputs(name: str, fidelity: str, files: dict[str, Path]) -> None:
    stream = settings(name, fidelity=fidelity)
    data = build_dataset(stream, stores_of(stream, files), SAMPLES, train=True, seed=1)
    for epoch in range(4):  # mirrored and not
        data.set_epoch(epoch)
        inputs, _, _ = next(batches(data, batch_size=2))
        prepared = data.prepare(inputs, torch.device("cuda"))
        for on_gpu, on_cpu in zip(prepared, data.prepare(inputs, CPU), strict=True):
            assert on_gpu.device.type == "cuda"
            torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("name", STREAMS)
def test_a_gpu_predicts_about_the_same(name: str, files: dict[str, Path]) -> None:
    stream = settings(name)
    torch.manual_seed(0)
    model = build_model(stream, classes=3)
    data = build_dataset(stream, stores_of(stream, files), SAMPLES, train=False, seed=1)
    expected, found = (predict(model, data, batch_size=2, device=at) for at in ("cpu", "cuda"))
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_views_are_clips_mirrored_and_at_speeds() -> None:
    assert test_views(settings("joint")) == (SampleView(),)
    assert test_views(settings("rgb")) == tuple(SampleView(clip, 5) for clip in range(5))
    views = test_views(settings("rgb", test_clips=2, test_mirror=True, test_speeds=[1.2, 1]))
    assert views[:4] == tuple(SampleView(n % 2, 2, n >= 2, 1.2) for n in range(4))
    assert views[4:] == tuple(view._replace(speed=1.0) for view in views[:4])


@pytest.mark.parametrize(
    "name", ["joint", "bone_motion", "landmark", "landmark_motion", "sstcn", "rgb", "vtn_hcpf_d"]
)
def test_the_views_of_a_sample_are_averaged(name: str, files: dict[str, Path]) -> None:
    stream = settings(name, test_mirror=True, test_speeds=[0.6, 1.0])
    torch.manual_seed(0)
    model = build_model(stream, classes=3)
    stores = stores_of(stream, files)

    def logits(views: Sequence[SampleView]) -> np.ndarray:
        data = build_dataset(stream, stores, [("long", 1)], train=False, seed=1, views=views)
        return predict(model, data, batch_size=4)

    views = test_views(stream)
    each = np.concatenate([logits([view]) for view in views])
    np.testing.assert_allclose(
        logits(views), each.mean(0, keepdims=True), rtol=1e-5, atol=1e-6 * np.abs(each).max()
    )
    pairs = [np.abs(one - other).max() for one, other in combinations(each, 2)]
    assert min(pairs) > 0  # no two views are equal


def reflected(stream: StreamSettings, parts: list[torch.Tensor]) -> list[torch.Tensor]:
    """Inputs of the model, mirrored by hand."""
    if stream.model == "sstcn":
        return [parts[0][:, preparation.FLIP_33].flip(-1)]
    if stream.model == "r2plus1d":
        clip = parts[0].flip(-1)
        if "flow" in stream.feature:
            clip[0] *= -1
        return [clip]
    pictures, pose = parts
    if stream.fidelity == "published":
        return [pictures.flip(-1), pose]
    exchanged = [1, 0, 3, 2][: pictures.shape[1]]
    return [pictures[:, exchanged].flip(-1), preparation.mirrored_pose_flow(pose)]


@pytest.mark.parametrize("fidelity", ["published", "corrected"])
@pytest.mark.parametrize("name", ["sstcn", "rgb", "flow", "hha", "vtn_hcpf", "vtn_hcpf_d"])
def test_a_mirrored_view_is_the_view_reflected(
    name: str, fidelity: str, files: dict[str, Path]
) -> None:
    stream = settings(name, fidelity=fidelity)
    stores = stores_of(stream, files)
    views = [SampleView(), SampleView(mirrored=True)]
    data = build_dataset(stream, stores, SAMPLES[1:], train=False, seed=1, views=views)
    plain, mirrored = (item_of(data, index) for index in range(2))
    for part, expected in zip(mirrored, reflected(stream, plain), strict=True):
        torch.testing.assert_close(part, expected, atol=0.01, rtol=0)  # one level is 0.008
    assert not torch.allclose(plain[0], mirrored[0], atol=0.1)


@pytest.mark.parametrize("name", [name for name in STREAMS if settings(name).model in KEYPOINTS])
def test_a_mirrored_view_is_that_of_the_mirrored_person(
    name: str, files: dict[str, Path], tmp_path: Path
) -> None:
    stream = settings(name)
    clip = FeatureStore("keypoints", [files["keypoints"]]).read("long")
    keypoints = clip.values[:, FLIP_133]
    keypoints[..., 0] = clip.width - keypoints[..., 0]
    path = tmp_path / "keypoints.h5"
    write_feature(path, "keypoints", [NewClip("long", keypoints, 320, 240, 25.0)], {}, {})
    stores = stores_of(stream, files), open_features([path])
    (one, plain), (other, _) = (
        (
            item_of(build_dataset(stream, store, SAMPLES[1:], train=False, seed=1, views=views), 0),
            item_of(build_dataset(stream, store, SAMPLES[1:], train=False, seed=1), 0),
        )
        for store, views in zip(stores, ([SampleView(mirrored=True)], [SampleView()]), strict=True)
    )
    torch.testing.assert_close(one[0], other[0], rtol=1e-4, atol=1e-3)
    assert not torch.allclose(one[0], plain[0], atol=0.1)


@pytest.mark.parametrize("name", ["joint", "bone_motion", "rgb", "flow", "vtn_hcpf_d"])
def test_a_slow_clip_at_twice_its_speed_is_the_fast_one(name: str, tmp_path: Path) -> None:
    stream = settings(name)
    fast, slow = (at_rate(tmp_path / str(times), stream, times) for times in (1, 2))
    item = item_of(build_dataset(stream, fast, [("a", 0)], train=False, seed=1), 0)
    views = [SampleView(speed=2.0)]
    other = item_of(build_dataset(stream, slow, [("a", 0)], train=False, seed=1, views=views), 0)
    atol = 0.1 if name == "flow" else 1e-4  # JPEG, twice as large
    for part, expected in zip(other, item, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=atol)


def test_a_stretched_clip_shows_its_middle_at_a_lower_speed(files: dict[str, Path]) -> None:
    stream = settings("joint_motion", stretch=True)
    stores = stores_of(stream, files)
    views = [SampleView(), SampleView(speed=0.5)]
    data = build_dataset(stream, stores, SAMPLES[1:], train=False, seed=1, views=views)
    whole, middle = (item_of(data, index)[0] for index in range(2))
    whole, middle = whole[:2], middle[:2]
    # The 40 frames of the clip became 20; half the speed shows the middle ten twice each.
    assert torch.equal(middle, whole[:, 5:15].repeat_interleave(2, dim=1))


@pytest.mark.parametrize("test_clips", [1, 3, 5])
def test_val_sees_the_middle_clip_for_any_evaluation(
    files: dict[str, Path], test_clips: int
) -> None:
    stream = settings("rgb", test_clips=5)
    stores = stores_of(stream, files)
    views = [SampleView(2, 5)]
    middle = build_dataset(stream, stores, SAMPLES, train=False, seed=1, views=views)
    evaluation = {"test_clips": test_clips, "test_mirror": True, "test_speeds": [0.9]}
    stream = stream.model_copy(update=evaluation)
    val = build_val_dataset(stream, stores, SAMPLES, seed=1)
    assert val.names == middle.names
    for index in range(len(val)):
        assert all(map(np.array_equal, val[index][0], middle[index][0]))


def test_drawn_heatmaps_equal_stored_ones(files: dict[str, Path], tmp_path: Path) -> None:
    stream, drawing = settings("sstcn"), HeatmapsSettings(stored=False, sigma=2.5)
    keypoints = FeatureStore("keypoints", [files["keypoints"]])
    clips = []
    for name in FRAMES:
        clip = keypoints.read(name)
        maps = draw_heatmaps(clip.values, width=320, height=240, sigma=2.5, fidelity="corrected")
        clips.append(NewClip(name, maps, 320, 240, 25.0))
    write_feature(tmp_path / "maps.h5", "heatmaps", clips, {}, {})
    stored = open_features([tmp_path / "maps.h5"])
    drawn = {"keypoints": keypoints}
    for train in (True, False):
        a = build_dataset(stream, stored, SAMPLES, train=train, seed=1)
        b = build_dataset(stream, drawn, SAMPLES, train=train, seed=1, heatmaps=drawing)
        for index in range(2):
            assert torch.equal(a[index][0][0], b[index][0][0])
    features = FeatureSettings(heatmaps=drawing)
    assert features_of(stream, features) == ("keypoints",)


def at_rate(folder: Path, stream: StreamSettings, times: int) -> Stores:
    """Features of a clip with every frame several times, and its movement in as small steps."""
    folder.mkdir()
    paths = []
    for feature in features_of(stream, FeatureSettings()):
        schema = FEATURES[feature]
        values = np.random.default_rng(1).integers(0, 9, (12, *schema.shape)).astype(schema.dtype)
        values = np.repeat(values, times, axis=0)
        if feature == "keypoints":
            values[..., 2] = 0.9
        elif feature == "flow":
            values = np.uint8(128) + 12 // times * values
        elif feature == "pose_flow":
            values[:, 1::2] /= times
        boxes = np.tile(np.int32([0, 0, 99, 99]), (len(values), schema.boxes, 1))
        clip = NewClip("a", values, 320, 240, 12.5 * times, boxes, dict.fromkeys(schema.counts, 0))
        paths.append(folder / f"{feature}.h5")
        write_feature(paths[-1], feature, [clip], {}, {})
    return open_features(paths)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", ["joint", "bone_motion", "rgb", "flow", "vtn_hcpf_d"])
def test_a_clip_at_another_rate_gives_the_same_item(name: str, train: bool, tmp_path: Path) -> None:
    stream = settings(name)
    close = partial(
        torch.allclose, atol=0.1 if name == "flow" else 1e-4
    )  # JPEG, four times as large
    items = []
    for times in (1, 2, 4):
        stores = at_rate(tmp_path / str(times), stream, times)
        assert frame_rate(stream, stores, [("a", 0)]) == 12.5 * times
        data = build_dataset(stream, stores, [("a", 0)], train=train, seed=1, rate=12.5)
        items.append(item_of(data, 0))
    for other in items[1:]:
        assert all(map(close, items[0], other))
    plain = build_dataset(stream, stores, [("a", 0)], train=train, seed=1)
    assert not all(map(close, items[0], item_of(plain, 0)))


def test_published_streams_go_by_frame_numbers(files: dict[str, Path]) -> None:
    stream = settings("joint", fidelity="published")
    assert frame_rate(stream, stores_of(stream, files), SAMPLES) is None


def test_nan_in_a_feature_names_file_and_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "keypoints.h5", "keypoints")
    with h5py.File(path, "r+") as file:
        file["values"][int(file["offset"][2]), 0, 0] = np.nan  # the first frame of `long`
    seal(path)
    stream = settings("joint")
    data = build_dataset(stream, open_features([path]), SAMPLES, train=True, seed=1)
    with pytest.raises(DataError, match=r"keypoints\.h5: sample long: keypoints have NaN or inf"):
        list(batches(data, batch_size=1))


def test_a_sample_missing_from_a_feature_is_named(files: dict[str, Path]) -> None:
    stream = settings("rgb")
    data = build_dataset(stream, stores_of(stream, files), [("other", 0)], train=True, seed=1)
    with pytest.raises(ArtifactError, match="sample other is in none of the frames files"):
        list(batches(data, batch_size=1))


def test_files_are_sorted_by_their_feature(files: dict[str, Path], tmp_path: Path) -> None:
    stores = open_features([files["hha"], files["keypoints"]])
    assert list(stores) == ["hha", "keypoints"]
    assert stores["hha"].digest() != stores["keypoints"].digest()
    (tmp_path / "text.h5").write_text("text")
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    seal(tmp_path / "other.h5")
    for name in ("text", "other", "none"):
        with pytest.raises(ArtifactError, match=f"{name}.h5: not a feature file"):
            open_features([tmp_path / f"{name}.h5"])


def test_datasets_survive_pickling(files: dict[str, Path]) -> None:
    stream = settings("vtn_hcpf")
    data = build_dataset(stream, stores_of(stream, files), SAMPLES, train=True, seed=1)
    item = data[1][0]
    assert all(map(torch.equal, pickle.loads(pickle.dumps(data))[1][0], item))


def test_epochs_of_slgcn_set_dropgraph_and_unfreeze_the_graph() -> None:
    training = {"epochs": 4, "freeze_graph_epochs": 2, "keep_final": 0.8, "keep_epochs": 4}
    stream = settings("joint", training=training)
    model = build_model(stream, classes=3)
    start = epoch_starter(stream, recipe_of(stream, "train"), model)
    for epoch in range(4):
        start(epoch)
        keeps = {module.keep for module in model.modules() if isinstance(module, DropGraph)}
        assert list(keeps) == [pytest.approx(1 - 0.2 * epoch / 4)]
        assert {a.requires_grad for a in learned_adjacencies(model)} == {epoch >= 2}
    other = settings("rgb")
    epoch_starter(other, other.training, build_model(other, classes=3))(0)


@pytest.mark.parametrize("name", STREAMS)
def test_finetuning_has_a_fixed_schedule(name: str) -> None:
    stream = settings(name)
    recipe = recipe_of(stream, "finetune")
    assert recipe.epochs == stream.finetune.epochs
    assert recipe.learning_rate == stream.finetune.learning_rate < stream.training.learning_rate
    assert recipe.plateau_patience is recipe.patience is None
    cosine = settings(name, training={"schedule": "cosine", "mixup": 0.2})
    assert cosine.training.milestones == []
    assert cosine.training.plateau_patience is None
    assert check_stream(cosine.model_dump()) == cosine
    tuned = recipe_of(cosine, "finetune")
    assert (tuned.schedule, tuned.milestones) == ("steps", cosine.finetune.milestones)
    assert recipe_of(stream, "train") is stream.training
