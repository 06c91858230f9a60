"""Every number of config/autsl_published.yaml is that of the released systems.

Section numbers in comments are those of SPEC.md, the description of the two systems.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from slr_pipeline.config.experiment import check_config
from slr_pipeline.scoring.ensemble import fuse, join
from slr_pipeline.tracks.fusion import untuned_name
from tests.scoring.test_ensemble import published, stream
from tests.shared_data import NEEDS_AUTSL, SHARED

VALUES = yaml.safe_load(
    (Path(__file__).parents[2] / "config/autsl_published.yaml").read_text("utf-8")
)
CONFIG = check_config(VALUES)

SKELETON = {  # 3.3 to 3.5
    "width": 64,
    "frames": 150,
    "window": 100,
    "flip_probability": 0.5,
    "shift_px": 10,
    "training.epochs": 250,
    "training.batch_size": 64,
    "training.micro_batch": 64 / 4,  # 4 GPUs
    "training.learning_rate": 0.1,
    "training.momentum": 0.9,
    "training.weight_decay": 1e-4,
    "training.warmup_epochs": 20,
    "training.milestones": [150, 200],
    "training.decay": 0.1,
    "training.label_smoothing": 0,
    "training.freeze_graph_epochs": 1,
    "training.keep_final": 0.9,
    "training.keep_epochs": 100,
    "finetune.epochs": 100,
    "finetune.learning_rate": 0.01,
    "finetune.weight_decay": 1e-4,
    "finetune.batch_size": 64,
    "finetune.milestones": [50],
}
SSTCN = {  # 3.7 to 3.9
    "width": 1980,
    "frames": 60,
    "dropout": 0.333,
    "training.epochs": 400,
    "training.batch_size": 160,
    "training.learning_rate": 1e-3,
    "training.weight_decay": 1e-4,
    "training.weight_decay_epochs": 50,
    "training.milestones": [50, 250],
    "training.decay": 0.1,
    "training.reset_epochs": [50, 250],
    "training.label_smoothing": 0.1,
}
CLIPS = {  # 3.11, as are the differences between the four streams below
    "frames": 32,
    "size": 128,
    "flip_probability": 0.5,
    "rotation_deg": 5,
    "jitter": 0,
    "dropout": 0.5,
    "test_clips": 5,
    "training.epochs": 100,
    "training.batch_size": 24,
    "training.micro_batch": 24 / 4,
    "training.learning_rate": 1e-3,
    "training.weight_decay": 1e-4,
    "training.plateau_patience": 10,
    "training.decay": 0.1,
    "training.label_smoothing": 0.1,
    "finetune.learning_rate": 1e-4,
    "finetune.weight_decay": 0,
    "finetune.batch_size": 24,
}
FLOW = {"rotation_deg": 10, "training.plateau_patience": 7}
LARGE = {"training.batch_size": 48, "training.micro_batch": 48 / 4}
VTN = {  # 2.4 to 2.7
    "width": 1024,
    "heads": 8,
    "layers": 4,
    "frames": 16,
    "stride": 2,
    "size": 224,
    "flip_probability": 0.5,
    "jitter": 0.5,
    "dropout": 0.1,
    "training.epochs": 1000,
    "training.batch_size": 4 * 8,  # gradients of 8 batches
    "training.micro_batch": 4,
    "training.learning_rate": 1e-4,
    "training.weight_decay": 0,
    "training.milestones": list(range(5, 100, 5)),
    "training.decay": 0.1,
    "training.clip_norm": 1,
    "training.patience": 10,
    "finetune.epochs": 0,
}
UNCHECKED = {"training.overfit_steps": 0, "training.chance_epochs": None}  # exist only here
STREAMS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("joint", "bone", "joint_motion", "bone_motion"), SKELETON),
    "sstcn": SSTCN,
    "rgb": CLIPS,
    "flow": {**CLIPS, **FLOW, "finetune.weight_decay": 1e-4, "finetune.milestones": [15]},
    "hha": {**CLIPS, **LARGE, "finetune.weight_decay": 1e-4},
    "depth_flow": {
        **CLIPS,
        **FLOW,
        **LARGE,
        "training.weight_decay": 0,
        "finetune.batch_size": 48,
    },
    **dict.fromkeys(("vtn_hcpf", "vtn_hcpf_d"), VTN),
}
FEATURES = {"flow.bound_px": 20, "depth_flow.bound_px": 20, "hha.grey_per_metre": 60}  # 3.12, 3.13

# 3.6: skeleton score B = (1.2 joint_ft + 1.2 bone_ft + 0.5 jm_ft + 0.5 bm_ft + 1.5 A) / 4.9.
TUNED = {"joint": 1.2, "bone": 1.2, "joint_motion": 0.5, "bone_motion": 0.5}
A = {"joint": 1.0, "bone": 0.9, "joint_motion": 0.5, "bone_motion": 0.5}
B = {
    **{f"streams.{name}": weight / 4.9 for name, weight in TUNED.items()},
    **{f"untuned.{name}": 1.5 / 4.9 * weight / 2.9 for name, weight in A.items()},
}
FUSION: dict[str, dict[str, float]] = {
    "rgb": {"skeleton": 1.0, "rgb": 0.9, "flow": 0.4, "sstcn": 0.4}
}
# 3.14, in units of B.
FUSION["rgbd"] = {"skeleton": 1.0, "rgb": 1.4, "flow": 0.5, "sstcn": 0.4, "hha": 0.5}
FUSION["rgbd"]["depth_flow"] = 0.4


def recipe() -> dict[str, Any]:
    """Every number of the recipe by its dotted key in the config."""
    numbers: dict[str, Any] = {f"features.{key}": value for key, value in FEATURES.items()}
    for name, values in STREAMS.items():
        numbers |= {
            f"streams.{name}.{key}": value for key, value in {**values, **UNCHECKED}.items()
        }
    for track, weights in FUSION.items():
        others = {f"streams.{name}": weight for name, weight in weights.items()}
        assert others.pop("streams.skeleton") == 1
        numbers |= {f"tracks.{track}.{key}": weight for key, weight in {**B, **others}.items()}
    for track, name in (("vtn_rgb", "vtn_hcpf"), ("vtn_rgbd", "vtn_hcpf_d")):
        numbers[f"tracks.{track}.streams.{name}"] = 1
    return numbers


def numbers_of(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every number, list of numbers and null of a config."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from numbers_of(value, f"{key}.{name}".lstrip("."))
    elif not isinstance(values, str | bool):
        yield key, values


def test_every_number_in_the_file_is_one_of_the_recipe() -> None:
    written = dict(numbers_of(VALUES))
    assert len(written) > 60
    assert sorted(written.keys() - recipe().keys()) == []


def test_every_number_of_the_recipe_is_in_effect() -> None:
    found = dict(numbers_of(CONFIG.model_dump()))
    wrong = {
        key: (found.get(key), value)
        for key, value in recipe().items()
        if found.get(key) != (value if value is None else pytest.approx(value, abs=5e-6))
    }
    assert wrong == {}


@NEEDS_AUTSL
@pytest.mark.parametrize(("track", "top1"), [("rgb", 98.4233), ("rgbd", 98.5302)])
def test_the_shipped_weights_give_the_published_predictions(track: str, top1: float) -> None:
    """The released fusion has the skeleton score as one stream; ours has its eight parts."""
    arrays = np.load(SHARED / "autsl/samslr_streams.npz")
    names = arrays["names"].tolist()
    logits = {
        name: stream(arrays[name], names) for name in ("rgb", "flow", "sstcn", "hha", "depth_flow")
    }
    logits["skeleton"] = published("final")
    for name in A:
        logits[name] = published(f"{name}_finetuned")
        logits[untuned_name(name)] = published(name)
    settings, prior = CONFIG.tracks[track], np.full(226, 1 / 226)
    ours = {name: weight for name, weight in settings.streams.items() if weight is not None}
    ours |= {untuned_name(name): weight for name, weight in settings.untuned.items()}
    picked = [
        fuse(join({name: logits[name] for name in weights}, names), weights, prior).scores.argmax(1)
        for weights in (ours, FUSION[track])
    ]
    assert (picked[0] == picked[1]).sum() == len(names) == 3742
    rows = (SHARED / "autsl/test_labels.csv").read_text().split()
    truth = dict(row.split(",") for row in rows)
    right = picked[0] == [int(truth[name]) for name in names]
    assert round(100 * right.mean(), 4) == top1
