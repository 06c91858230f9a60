"""A finished run with trained models, small: the steps of its rules on eight demo clips."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from slr_pipeline.cli.main import main
from slr_pipeline.cli.recognition import FEATURE_STEPS
from slr_pipeline.config.experiment import SPLITS, Config, check_config
from slr_pipeline.config.recipes import Phase
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.io.verified import write_verified
from slr_pipeline.samples.table import load_samples
from slr_pipeline.steps.config import config as write_config
from slr_pipeline.steps.ensemble import ensemble
from slr_pipeline.steps.keypoints import keypoints
from slr_pipeline.steps.predict import load_trained, predict_split
from slr_pipeline.steps.quality import quality
from slr_pipeline.steps.train import train
from slr_pipeline.steps.verify import verify_sample
from tests.shared_run import copy_of_run

DEMO = Path(__file__).parents[2] / "demo"
SIGNS = ("ağaç", "[red] sign")
FEATURES = ("frames", "hand_crops", "depth_hand_crops", "pose_flow")
CPU = torch.device("cpu")

SHORT = {"epochs": 1, "batch_size": 2, "overfit_steps": 0}
FINETUNE = {"finetune": {"epochs": 1, "batch_size": 2}}
STREAMS: dict[str, dict[str, Any]] = {
    "joint": {"model": "slgcn", "width": 16, "frames": 20, "window": 16, "test_mirror": True},
    "sstcn": {"model": "sstcn", "width": 16, "frames": 6, "test_speeds": [0.8, 1.0]},
    "rgb": {
        "model": "r2plus1d",
        "feature": "frames",
        "width": 4,
        "frames": 4,
        "size": 32,
        "seeds": 2,
    },
    "hands": {
        "model": "vtn",
        "depth": True,
        "backbone": "resnet18",
        "backbone_width": 4,
        "width": 32,
        "heads": 2,
        "layers": 2,
        "frames": 4,
        "size": 32,
    },
}
VALUES: dict[str, Any] = {
    "name": "small",
    "device": "cpu",
    "protocol": "challenge",
    "data": {"layout": "table", "table": "samples.csv", "root": str(DEMO), "classes": "signs.txt"},
    "features": {"heatmaps": {"stored": False}},
    "streams": {
        # With fewer steps the running statistics of SL-GCN are no use, and its logits are huge.
        name: {**stream, "training": SHORT | {"epochs": 12 if name == "joint" else 1}, **FINETUNE}
        for name, stream in STREAMS.items()
    },
    "tracks": {
        "rgb": {"streams": dict.fromkeys(("joint", "sstcn", "rgb"))},
        "rgbd": {
            "fusion": "published",
            "streams": {"rgb": 1.0, "hands": 0.5},
            "untuned": {"hands": 0.3},
        },
    },
}


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with `results`, whose config names the data relative to it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            _make_run(check_config(VALUES))
        torch.set_num_threads(threads)

    return copy_of_run("small run", make, tmp_path_factory)


def _make_run(config: Config) -> None:
    _write_table()
    results = Path("results")
    results.mkdir()
    write_config(config, "results/config.yaml")
    for split in SPLITS:
        _make_features(config, split)
    phases: tuple[Phase, Phase] = ("train", "finetune")
    for stream in config.streams:
        for phase in phases:
            _train(config, stream, phase)
    for track, settings in config.tracks.items():
        members = [(stream, "finetune") for stream in settings.streams]
        members += [(stream, "train") for stream in settings.untuned]
        val = [logits_of(stream, "train", "val") for stream, _ in members]
        test = [logits_of(stream, phase, "test") for stream, phase in members]
        folder = results / "tracks" / track
        names = ("submission.csv", "predictions.csv", "metrics.json")
        out, answers, metrics = (str(folder / name) for name in names)
        ensemble(config.data, settings, config.protocol, 1, test, out, answers, metrics, val)


def _write_table() -> None:
    """Two clips of both signs in train, one in val and in test."""
    Path("signs.txt").write_text("\n".join(SIGNS))
    with Path("samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "split", "label", "color", "depth"])
        for split, takes in (("train", 2), ("val", 1), ("test", 1)):
            taken = [0, 0]
            for name, text in csv.reader((DEMO / f"{split}_labels.csv").open(newline="")):
                label = int(text)
                if label < 2 and taken[label] < takes:
                    taken[label] += 1
                    videos = [f"{split}/{name}_{kind}.mp4" for kind in ("color", "depth")]
                    writer.writerow([name, split, SIGNS[label], *videos])


def feature_file(feature: str, split: str) -> str:
    return f"results/features/{feature}/{split}/all.h5"


def logits_of(stream: str, phase: str, split: str) -> str:
    return f"results/streams/{stream}/{phase}/logits/{split}.h5"


def weights_of(config: Config, stream: str, phase: str, results: str = "results") -> list[str]:
    return [f"{results}/{place}/model.safetensors" for place in config.trainings(stream, phase)]


def _make_features(config: Config, split: str) -> None:
    samples = [s for s in load_samples(config.data).samples if s.split == split]
    table, points = f"results/verify/{split}/all.csv", feature_file("keypoints", split)
    write_verified(table, [verify_sample(sample) for sample in samples])
    keypoints(config.features.keypoints, "cpu", table, [points])
    quality(config.quality, [points], f"results/quality/{split}.csv")
    for feature in FEATURES:
        settings = getattr(config.features, feature)
        FEATURE_STEPS[feature](settings, table, points, feature_file(feature, split))


def _train(config: Config, stream: str, phase: Phase) -> None:
    settings = config.streams[stream]
    assert not isinstance(settings, ImportedSettings)
    read = config.stream_features(stream)
    files = [feature_file(feature, split) for feature in read for split in ("train", "val")]
    quality_files = [f"results/quality/{split}.csv" for split in ("train", "val")]
    drawn = config.features.heatmaps if stream == "sstcn" else None
    models, starts = weights_of(config, stream, phase), weights_of(config, stream, "train")
    for number, (model, start) in enumerate(zip(models, starts, strict=True), start=1):
        folder = Path(model).parent
        train(
            *(config.data, settings, phase, 1, files, quality_files),
            *(folder / "state", model, str(folder / "history.csv")),
            *("cpu", 1, drawn, None if phase == "train" else start),
            seed_number=number,
        )
    trained = load_trained(models)
    for split in ("val", "test") if phase == "train" else ("test",):
        there = [feature_file(feature, split) for feature in read]
        judged = f"results/quality/{split}.csv"
        predict_split(trained, CPU, 0, there, judged, logits_of(stream, phase, split))


def one_error(text: str) -> str:
    """The line that says what is wrong; it is the only one."""
    assert text.startswith("error: ")
    assert len(text.splitlines()) == 1
    return text.removeprefix("error: ").rstrip()


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs an `slr` command that must fail: its error line."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert ended.value.code == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        return one_error(shown.err)

    return run


def document(text: str) -> dict[str, Any]:
    """The JSON document that is all of stdout."""
    return dict(json.loads(text))
