"""The landmark streams learn the demo's signs from the rendered keypoints of other signers."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from slr_pipeline.config.experiment import check_stream
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import open_features
from slr_pipeline.training.fit import fit
from slr_pipeline.training.predict import predict
from slr_pipeline.training.streams import Stores, build_dataset, build_model
from tests.feature_files import write_feature

TRUTH = Path(__file__).parents[2] / "demo/truth"
SIZE = 512


def keypoints_of(
    split: str, path: Path, moved: Callable[[np.ndarray], np.ndarray] = lambda xy: xy
) -> tuple[Stores, list[tuple[str, int]]]:
    """Keypoints of the rendered clips as a feature file, and their (name, label) pairs."""
    clips, samples = [], []
    with h5py.File(TRUTH / f"{split}.h5") as file:
        for name, group in file.items():
            keypoints = group["keypoints"][()]
            keypoints[..., :2] = moved(keypoints[..., :2])
            keypoints[keypoints[..., 2] == 0] = 0
            clips.append(NewClip(name, keypoints, SIZE, SIZE, 25.0))
            samples.append((name, int(group.attrs["label"])))
    write_feature(path, "keypoints", clips)
    return dict(open_features([path])), samples


@pytest.mark.slow
@pytest.mark.parametrize("representation", ["position", "motion"])
def test_unseen_signers_are_recognised_wherever_they_are_in_the_picture(
    representation: str, tmp_path: Path
) -> None:
    recipe = {"epochs": 25, "batch_size": 16, "warmup_epochs": 2, "overfit_steps": 0}
    settings = check_stream(
        {"model": "landmark", "representation": representation, "width": 48, "frames": 24}
        | {"training": {**recipe, "ema_decay": 0.95}}
    )
    torch.manual_seed(0)
    model = build_model(settings, classes=8)
    stores, samples = keypoints_of("train", tmp_path / "train.h5")
    train = build_dataset(settings, stores, samples, train=True, seed=1)
    fitted = fit(model, train, None, recipe=settings.training, seed=1)
    model.load_state_dict(fitted.state)
    answers = []
    for number, moved in enumerate((lambda xy: xy, lambda xy: 0.6 * xy + (130, 40))):
        stores, samples = keypoints_of("test", tmp_path / f"test{number}.h5", moved)
        items = build_dataset(settings, stores, samples, train=False, seed=0)
        answers.append(predict(model, items, batch_size=1))
    right = answers[0].argmax(axis=1) == [label for _, label in samples]
    assert right.mean() >= 0.8
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-2)
