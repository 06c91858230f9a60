"""Results of a small run: real steps on synthetic logits, and one demo clip."""

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from slr_pipeline.config.experiment import SPLITS, DataSettings, check_config
from slr_pipeline.config.flags import parse_setting
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.io.duplicates import write_duplicates
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.logits import write_logits
from slr_pipeline.io.tables import write_table
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.report.finished_run import FinishedRun, read_run
from slr_pipeline.report.page import render_page
from slr_pipeline.samples.table import Sample, load_samples
from slr_pipeline.schema import FEATURES
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.steps.config import config as write_config
from slr_pipeline.steps.ensemble import ensemble
from slr_pipeline.steps.evaluate import evaluate
from slr_pipeline.steps.overview import overview
from slr_pipeline.steps.verify import verify_sample
from tests.feature_files import write_feature

DEMO = Path(__file__).parents[2] / "demo" / "train"
SIGNS = ["<script>alert(1)</script>", 'a & "b"', "$x_1$", *(f"sign {k}" for k in range(3, 10))]
SIGNERS = {"train": ['O\'Neil "<b>"'], "val": ["v1", "v2"], "test": ["t1", "t2"]}
GONE, FACELESS = "test_t1_9", "train_9"
SHOWN = ("keypoints", "flow")
STREAMS = ("joint", "bone")
TRAINED = {"model": "slgcn", "training": {"epochs": 3}}


def make_results(
    folder: Path, *, signers: Mapping[str, list[str]] = SIGNERS, labels: bool = True, **changes: Any
) -> Path:
    """Make the results of 10 signs, two streams and one track; returns their config.yaml.

    Imported streams answer only test and have no features. `signers` by split, empty if unknown;
    without `labels`, those of test are unknown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "sample": f"{split}_{n}" if split == "train" else f"{split}_{signer}_{n}",
            "split": split,
            "label": sign if labels or split != "test" else "",
            "signer": signer if signers else "",
            "color": "clip.mp4",
        }
        for split in SPLITS
        for signer in signers.get(split, SIGNERS[split])
        for n, sign in enumerate(SIGNS)
    ]
    shutil.copy(DEMO / "signer0_sample1_color.mp4", folder / "clip.mp4")
    (folder / "signs.txt").write_text("\n".join(SIGNS) + "\n")
    with (folder / "samples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    places = {"table": str(folder / "samples.csv"), "classes": str(folder / "signs.txt")}
    values = {
        "name": "small",
        "results": str(folder / "results"),
        "data": {"layout": "table", "signer_independent": False, **places},
        "streams": {"joint": TRAINED, "bone": {**TRAINED, "seeds": 2}},
        "tracks": {"rgb": {"streams": dict.fromkeys(STREAMS)}},
        **changes,
    }
    config = check_config(values)
    path = folder / "results" / "config.yaml"
    write_config(config, str(path))
    if any(stream.model != "imported" for stream in config.streams.values()):
        _write_samples(folder / "results", load_samples(config.data).samples)
    _write_models(folder / "results", values, [row["sample"] for row in rows])
    costs = "s\th:m:s\tmax_rss\tcpu_time\n{}\t0:00:01\t{}\t{}\n"
    for name, numbers in (("train/joint", (3600, 500, 7200)), ("train/bone", (61, "-", "NA"))):
        target = folder / "results" / "benchmarks" / f"{name}.tsv"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(costs.format(*numbers))
    return path


def _write_samples(results: Path, samples: tuple[Sample, ...]) -> None:
    clip = verify_sample(samples[0])
    for split in SPLITS:
        verified, quality = [], []
        for sample in (s for s in samples if s.split == split):
            gone = sample.name == GONE
            reason = "clip.mp4: there is no such file" if gone else ""
            own = sha256(sample.name.encode()).hexdigest()  # else all samples were one video
            row = replace(clip, sample=sample.name, color_sha256=own, perceptual_hash="")
            verified.append(Verified(sample.name, "clip.mp4", "", reason) if gone else row)
            faceless = sample.name == FACELESS
            shares = {} if gone else {"person": float(not faceless), "missing_hands": 0.25}
            names = ("person", "missing_left", "missing_right", "missing_hands", "swapped")
            quality.append(
                {
                    "sample": sample.name,
                    "frames": 0 if gone else clip.frames,
                    **{name: shares.get(name) for name in names},
                    "reason": "nobody found in any frame" if faceless else "",
                }
            )
        write_verified(results / "verify" / split / "all.csv", verified)
        write_table(results / "quality" / f"{split}.csv", quality, list(quality[0]))
    write_duplicates(results / "duplicates.csv", [])
    names = [sample.name for sample in samples if sample.split == "train"]
    for feature in SHOWN:
        schema = FEATURES[feature]
        values = np.full((clip.frames, *schema.shape), 128, schema.dtype)
        boxes = np.zeros((clip.frames, schema.boxes, 4), np.int32) if schema.boxes else None
        clips = [NewClip(name, values, clip.width, clip.height, 25.0, boxes) for name in names]
        attributes = {"bound_px": 20.0} if feature == "flow" else {}
        place = results / "features" / feature / "train" / "all.h5"
        write_feature(place, feature, clips, attributes, {"settings": {"fidelity": "corrected"}})


def _write_models(results: Path, values: dict[str, Any], samples: list[str]) -> None:
    """Logits of streams that are right on most signs, and the results of the real steps."""
    data = parse_setting(DataSettings, json.dumps(values["data"]), "data")
    generator = np.random.default_rng(3)
    answered = (
        ("val", "test")
        if any("training" in stream for stream in values["streams"].values())
        else ("test",)
    )
    files: dict[str, list[str]] = {split: [] for split in answered}
    for stream, settings in values["streams"].items():
        place = results / "streams" / stream / "train"
        for split, paths in files.items():
            names = tuple(name for name in samples if name.startswith(split))
            truth = [int(name.rsplit("_", 1)[1]) for name in names]
            logits = generator.normal(size=(len(names), len(SIGNS))).astype(np.float32)
            logits[range(len(names)), truth] += np.where(np.asarray(truth) == 0, -9, 3)
            logits[range(len(names)), np.where(np.asarray(truth) == 0, 1, truth)] += 2
            seen = np.asarray([name != GONE for name in names])
            logits[~seen] = 0
            seeds = None
            if settings.get("seeds") == 2:
                noise = np.random.default_rng(7).normal(0, 4, logits.shape).astype(np.float32)
                noise[~seen] = 0
                seeds = np.stack([logits - noise, logits + noise], axis=1)
            found = Logits(names, logits, seen, tuple(SIGNS), "strict", seeds=seeds)
            paths.append(str(place / "logits" / f"{split}.h5"))
            write_logits(paths[-1], found, {})
        logits_files = [paths[-1] for paths in files.values()]
        evaluate(data, 1, list(files), logits_files, f"{place}/metrics.json")
        if settings["model"] != "imported":
            names = ["epoch", "learning_rate", "train_loss", "train_accuracy"]
            names += ["val_loss", "val_accuracy"]
            epochs = [[0, 0.1, 2.3, 0.1, 250, 0.1], [1, 0.1, 1.5, 0.5, 2, 0.4]]
            epochs += [[2, 0.1, 0.7, 0.8, 1, 0.8]]
            rows = [dict(zip(names, row, strict=True)) for row in epochs]
            for folder in [place, place / "seed2"][: settings.get("seeds", 1)]:
                write_table(folder / "history.csv", rows, names)
                (folder / "model.safetensors").write_bytes(b"weights")
    for track, settings in values["tracks"].items():
        ensemble(
            data,
            TrackSettings.model_validate(settings),
            "strict",
            1,
            files["test"],
            str(results / "tracks" / track / "submission.csv"),
            str(results / "tracks" / track / "predictions.csv"),
            str(results / "tracks" / track / "metrics.json"),
            files.get("val"),
        )
    models = [f"tracks/{track}" for track in values["tracks"]]
    models += [f"streams/{stream}/train" for stream in values["streams"]]
    metrics = [f"{results}/{model}/metrics.json" for model in models]
    overview(data, models, metrics, f"{results}/classes.csv", f"{results}/metrics.csv")


def rendered(config: Path) -> tuple[FinishedRun, str]:
    """The run of these results and its page."""
    run = read_run(str(config))
    shown = [sample.name for sample in run.table.split("train")] if run.verified else []
    return run, render_page(run, shown, SHOWN)
