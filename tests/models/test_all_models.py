"""What all models have in common."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from slr_pipeline.models.dropgraph import set_keep
from slr_pipeline.models.landmark import LandmarkNet
from slr_pipeline.models.r2plus1d import R2Plus1D
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.models.sstcn import SSTCN
from slr_pipeline.models.vtn import VTN
from slr_pipeline.skeleton import BONES_27


def slgcn() -> SLGCN:
    model = SLGCN(classes=5, joints=27, bones=BONES_27, width=8, groups=4)
    set_keep(model, 0.5)
    return model


def vtn() -> VTN:
    sizes = {"frames": 4, "width": 24, "heads": 4, "layers": 2, "pose_values": 6}
    return VTN(classes=5, **sizes, backbone="resnet18", backbone_width=4, dropout=0.5)  # type: ignore[arg-type]


MODELS: dict[str, tuple[Callable[[], nn.Module], list[tuple[int, ...]]]] = {
    "slgcn": (slgcn, [(3, 20, 27)]),
    "landmark": (lambda: LandmarkNet(classes=5, channels=12, width=16), [(12, 9)]),
    "sstcn": (lambda: SSTCN(classes=5, frames=4, joints=3, width=8, dropout=0.5), [(4, 3, 6, 5)]),
    "r2plus1d": (lambda: R2Plus1D(classes=5, width=8), [(3, 8, 32, 32)]),
    "vtn": (vtn, [(4, 2, 3, 32, 32), (4, 6)]),
}


def build(name: str, B: int = 4) -> tuple[nn.Module, list[Tensor]]:
    make, shapes = MODELS[name]
    torch.manual_seed(0)
    return make(), [torch.randn(B, *shape) for shape in shapes]


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_weights_and_dropout(name: str) -> None:
    (first, inputs), (again, _) = build(name), build(name)
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    logits = []
    for model, seed in ((first, 1), (again, 1), (first, 2)):
        torch.manual_seed(seed)
        logits.append(model(*inputs))
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


@pytest.mark.parametrize("name", ["sstcn", "r2plus1d"])  # the others have exceptions of their own
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model, inputs = build(name, B=8)
    cross_entropy(model(*inputs), torch.arange(8) % 5).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_gives_the_logits_and_gradients_of_the_cpu(name: str) -> None:
    model, inputs = build(name)
    found = []
    for device in ("cpu", "cuda"):
        there = copy.deepcopy(model).double().eval().to(device)
        logits = there(*(part.double().to(device) for part in inputs))
        cross_entropy(logits, torch.arange(4, device=device)).backward()
        gradients = [each.grad for each in there.parameters() if each.grad is not None]
        found.append([values.cpu() for values in (logits.detach(), *gradients)])
    for on_cpu, on_gpu in zip(*found, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu)


@pytest.mark.parametrize("name", ["sstcn", "r2plus1d", "vtn"])
def test_large_kernels_see_channels_last(name: str) -> None:
    """The layout that makes them fast; a wrong one gives the same numbers."""
    model, inputs = build(name)
    seen: list[bool] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        form = torch.channels_last if inputs[0].ndim == 4 else torch.channels_last_3d
        seen.append(inputs[0].is_contiguous(memory_format=form))

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)) and math.prod(module.kernel_size) > 1:
            module.register_forward_pre_hook(note)
    model(*inputs)
    assert len(seen) > 5
    assert all(seen)
