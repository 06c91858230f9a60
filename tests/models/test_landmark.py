"""LandmarkNet."""

import pytest
import torch

from slr_pipeline.models.landmark import ConvolutionBlock, DropPath, LandmarkNet


def test_size_of_the_default() -> None:
    model = LandmarkNet(classes=100, channels=256)
    assert sum(parameter.numel() for parameter in model.parameters()) == 781_442


@pytest.mark.parametrize(("B", "T"), [(1, 1), (2, 5), (3, 48)])
def test_any_length(B: int, T: int) -> None:
    model = LandmarkNet(classes=7, channels=12, width=16).eval()
    assert model(torch.randn(B, 12, T)).shape == (B, 7)


def test_a_depthwise_convolution_over_time() -> None:
    """The block's convolution equals torch's own one-dimensional one."""
    torch.manual_seed(0)
    block = ConvolutionBlock(8, 0.0).double()
    convolution = block.convolve[0]
    x = torch.randn(2, 20, 16, dtype=torch.float64)
    plain = torch.nn.functional.conv1d(
        x.transpose(1, 2), convolution.weight[..., 0], padding=8, groups=16
    )
    ours = convolution(x.transpose(1, 2)[..., None])[..., 0]
    torch.testing.assert_close(ours, plain)


def test_drop_path_keeps_the_mean_and_drops_whole_items() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.25).train()
    out = drop(torch.ones(4000, 3, 2))
    assert sorted(out.unique().tolist()) == pytest.approx([0, 1 / 0.75])
    assert (out == out[:, :1, :1]).all()
    assert out.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(drop.eval()(torch.ones(5, 3)), torch.ones(5, 3))
