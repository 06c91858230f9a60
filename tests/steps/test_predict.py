"""Models of several seeds: their logits, and what does not belong together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slr_pipeline.config.experiment import check_stream
from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.models import save_model
from slr_pipeline.steps.predict import load_trained
from slr_pipeline.training.predict import predict
from slr_pipeline.training.streams import build_model
from tests.training.small_task import net, points

SECTION = {"model": "slgcn", "width": 16, "frames": 20, "window": 10}


def save(folder: Path, seed: int, section: dict[str, Any] = SECTION, **changes: Any) -> str:
    """A model with random weights; returns its path."""
    stream = check_stream(section)
    torch.manual_seed(seed)
    sidecar = {
        "stream": stream.model_dump(exclude={"seeds"}),
        "heatmaps": None,
        "phase": "train",
        "held_out": [],
        "classes": ["a", "b", "c"],
        "protocol": "strict",
        "seed": seed,
        **changes,
    }
    path = folder / f"seed{seed}" / "model.safetensors"
    save_model(path, build_model(stream, 3).state_dict(), sidecar)
    return str(path)


def test_the_network_gives_the_mean_of_its_seeds(tmp_path: Path) -> None:
    paths = [save(tmp_path, seed) for seed in (1, 2, 3)]
    skeletons = torch.rand(2, 3, 20, 27)
    one_by_one = [load_trained([path]).network.eval()(skeletons) for path in paths]
    trained = load_trained(paths)
    each = trained.seeds.eval()(skeletons)
    assert each.shape == (2, 3, 3)
    assert torch.equal(each, torch.stack(one_by_one, dim=1))
    torch.testing.assert_close(trained.network.eval()(skeletons), each.mean(dim=1))
    assert len(trained.sha256.split()) == 3
    assert trained.sidecar["seed"] == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"classes": ["a", "c", "b"]}, "not the same classes as "),
        ({"held_out": ["a"], "frame_rate": 25.0}, "not the same held_out, frame_rate as "),
        ({"section": {**SECTION, "window": 12}}, "not the same stream as "),
    ],
)
def test_models_of_different_trainings_are_refused(
    tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    paths = [save(tmp_path, 1), save(tmp_path, 2, **changes)]
    with pytest.raises(ArtifactError) as caught:
        load_trained(paths)
    assert str(caught.value).startswith(f"{paths[1]}: {line}{paths[0]}, another seed of the stream")


def test_settings_of_evaluation_may_differ(tmp_path: Path) -> None:
    other = {**SECTION, "training": {"overfit_steps": 0}}
    assert len(load_trained([save(tmp_path, 1), save(tmp_path, 2, other)]).seeds) == 2


def test_more_axes_of_a_model_are_kept() -> None:
    """`predict` averages views only; here each item has one."""

    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return torch.stack([self.net(x, y), -self.net(x, y)], dim=1)

    plain, twice = (predict(model, points(5), batch_size=2) for model in (net(), Twice()))
    np.testing.assert_array_equal(twice, np.stack([plain, -plain], axis=1))
