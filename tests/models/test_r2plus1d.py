"""R(2+1)D against torchvision's network with its ReLUs replaced."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from slr_pipeline.models.r2plus1d import R2Plus1D, kinetics_key, published_key
from slr_pipeline.models.vision import torchvision
from tests.shared_data import published_keys


def small(channels: int = 3, width: int = 8, dropout: float = 0.5) -> R2Plus1D:
    torch.manual_seed(0)
    return R2Plus1D(classes=5, channels=channels, width=width, dropout=dropout)


def clips_of(B: int = 2, C: int = 3, T: int = 8, H: int = 32, W: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(B, C, T, H, W, generator=generator) * 2 - 1


def stirred(model: nn.Module) -> nn.Module:
    """Running statistics, scales and biases away from their start values."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point() and value.ndim == 1:
                value.add_(torch.rand(value.shape, generator=generator) * 0.5)
    return model


# --- names of weights elsewhere ------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "count"), [(3, 31_416_063), (2, 31_413_858)])
def test_parameters_at_the_published_settings(channels: int, count: int) -> None:
    model = R2Plus1D(classes=226, channels=channels)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(("channels", "modality"), [(3, "rgb"), (2, "flow")])
def test_every_published_weight_has_one_of_ours(channels: int, modality: str) -> None:
    ours = R2Plus1D(classes=226, channels=channels).state_dict()
    shapes = {published_key(key): tuple(value.shape) for key, value in ours.items()}
    assert len(shapes) == len(ours)
    assert shapes == published_keys(f"r2plus1d_18_{modality}")


def test_logits_equal_torchvision_with_its_own_weights() -> None:
    theirs = stirred(torchvision.models.video.r2plus1d_18(weights=None, num_classes=5)).eval()
    weights = theirs.state_dict()
    ours = R2Plus1D(classes=5).eval()
    renamed = {key: kinetics_key(key) for key in ours.state_dict()}
    assert {key for key, name in renamed.items() if name is None} == {
        "classifier.weight",
        "classifier.bias",
    }
    assert {name for name in renamed.values() if name} == {
        name for name in weights if not name.startswith("fc.")
    }
    loaded = {key: weights[name] for key, name in renamed.items() if name}
    head = {"classifier.weight": weights["fc.weight"], "classifier.bias": weights["fc.bias"]}
    ours.load_state_dict({**loaded, **head})
    for module in list(theirs.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    x = clips_of()
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


# --- behaviour -----------------------------------------------------------------------------------


def test_every_activation_is_silu() -> None:
    kinds = [type(module) for module in small().modules()]
    assert nn.ReLU not in kinds
    assert kinds.count(nn.SiLU) == 2 + 8 * 4  # stem; a block has two inside convolutions, two after


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize(("B", "T", "H", "W"), [(1, 1, 7, 9), (2, 5, 33, 17), (1, 33, 16, 31)])
def test_odd_sizes(channels: int, B: int, T: int, H: int, W: int) -> None:
    model = small(channels=channels, width=3).eval()
    logits = model(clips_of(B, channels, T, H, W))
    assert logits.shape == (B, 5)
    assert torch.isfinite(logits).all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 2, T, H, W\), found \(1, 3, 8, 16, 16\)"):
        small(channels=2)(clips_of(1, 3, 8, 16, 16))
    with pytest.raises(ValueError, match="found \\(3, 8, 16, 16\\)"):
        small()(clips_of(1, 3, 8, 16, 16)[0])
    with pytest.raises(ValueError, match="width must be at least 2, found 1"):
        small(width=1)


def test_every_parameter_gets_a_gradient() -> None:
    model = small().train()
    functional.cross_entropy(model(clips_of()), torch.tensor([0, 1])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_logits_do_not_depend_on_the_batch_in_eval_mode() -> None:
    model = stirred(small()).eval()
    x = clips_of(B=4)
    with torch.no_grad():
        together = model(x)
        for i in range(4):
            torch.testing.assert_close(model(x[i : i + 1])[0], together[i], rtol=0, atol=1e-5)


def test_same_seed_same_weights_and_dropout() -> None:
    first, again = small(), small()
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    torch.manual_seed(1)
    one = first(clips_of())
    torch.manual_seed(1)
    assert torch.equal(one, again(clips_of()))


def test_start_weights() -> None:
    model = R2Plus1D(classes=226)
    conv = model.layer4[1].conv2[0][3]  # 1152 to 512 channels, 3 frames
    assert conv.weight.std().item() == pytest.approx((2 / (512 * 3)) ** 0.5, rel=0.02)
    assert model.stem[0].weight.std().item() == pytest.approx((2 / (45 * 49)) ** 0.5, rel=0.05)
    assert model.classifier.weight.abs().max().item() <= 512**-0.5


def test_one_batch_is_overfitted() -> None:
    model = small(dropout=0.0)
    x, truth = clips_of(B=5, T=4, H=24, W=24), torch.arange(5)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(25):
        loss = functional.cross_entropy(model(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert (model(x).argmax(dim=1) == truth).all()
