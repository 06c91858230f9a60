"""R(2+1)D; `test_published` compares it with torchvision's network with its ReLUs replaced."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv3d

from slr_pipeline.models.r2plus1d import FactorConv, R2Plus1D


def small(channels: int = 3, width: int = 8, dropout: float = 0.5) -> R2Plus1D:
    torch.manual_seed(0)
    return R2Plus1D(classes=5, channels=channels, width=width, dropout=dropout)


def clips_of(B: int = 2, C: int = 3, T: int = 8, H: int = 32, W: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(B, C, T, H, W, generator=generator) * 2 - 1


@pytest.mark.parametrize(("channels", "count"), [(3, 31_416_063), (2, 31_413_858)])
def test_parameters_at_the_published_settings(channels: int, count: int) -> None:
    model = R2Plus1D(classes=226, channels=channels)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize(("B", "T", "H", "W"), [(1, 1, 7, 9), (2, 5, 33, 17), (1, 33, 16, 31)])
def test_odd_sizes(channels: int, B: int, T: int, H: int, W: int) -> None:
    model = small(channels=channels, width=3).eval()
    logits = model(clips_of(B, channels, T, H, W))
    assert logits.shape == (B, 5)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("kernel", [(1, 7, 7), (1, 3, 3), (1, 1, 1), (3, 1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last_3d])
def test_factor_convolutions_equal_those_in_three_dimensions(
    kernel: tuple[int, int, int], stride: int, form: torch.memory_format
) -> None:
    steps = (
        stride if kernel[0] > 1 or kernel == (1, 1, 1) else 1,
        *(1 if kernel[0] > 1 else stride,) * 2,
    )
    x = clips_of(2, 3, 5, 9, 6).double().contiguous(memory_format=form).requires_grad_()
    layer = FactorConv(3, 4, kernel, stride=steps).double()
    y = layer(x)
    expected = conv3d(x, layer.weight, stride=steps, padding=layer.padding)
    torch.testing.assert_close(y, expected)
    g = torch.rand_like(expected)
    leaves = (x, layer.weight)
    torch.testing.assert_close(
        torch.autograd.grad(y, leaves, g), torch.autograd.grad(expected, leaves, g)
    )


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 2, T, H, W\), found \(1, 3, 8, 16, 16\)"):
        small(channels=2)(clips_of(1, 3, 8, 16, 16))
    with pytest.raises(ValueError, match="found \\(3, 8, 16, 16\\)"):
        small()(clips_of(1, 3, 8, 16, 16)[0])
    with pytest.raises(ValueError, match="width must be at least 2, found 1"):
        small(width=1)


def test_start_weights() -> None:
    model = R2Plus1D(classes=226)
    conv = model.layer4[1].conv2[0][3]  # 1152 to 512 channels, 3 frames
    assert conv.weight.std().item() == pytest.approx((2 / (512 * 3)) ** 0.5, rel=0.02)
    assert model.stem[0].weight.std().item() == pytest.approx((2 / (45 * 49)) ** 0.5, rel=0.05)
    assert model.classifier.weight.abs().max().item() <= 512**-0.5
