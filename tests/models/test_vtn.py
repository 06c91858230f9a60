"""VTN against a plain reference that reads weights under their published names."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from slr_pipeline.models.vtn import (
    VTN,
    Attention,
    Norm,
    published_key,
    sinusoids,
    standardise,
)

RESNET34 = 21_284_672
"""Parameters of a ResNet-34 without its classifier."""


def small(**changes: Any) -> VTN:
    torch.manual_seed(0)
    sizes = {"frames": 4, "width": 24, "heads": 4, "layers": 2, "pose_values": 6}
    trunk = {"backbone": "resnet18", "backbone_width": 4}
    return VTN(classes=5, **{**sizes, **trunk, **changes})


def stirred(model: VTN) -> VTN:
    """In float64, every parameter and running statistic away from its start value."""
    generator = torch.Generator().manual_seed(1)
    model = model.double()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and name != "positions.weight":
                noise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
                value.add_(noise * (0.5 if value.ndim == 1 else 0.1))
    return model


def inputs_of(
    B: int = 2, T: int = 4, S: int = 2, H: int = 32, W: int = 32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    crops = torch.randn(B, T, S, 3, H, W, generator=generator, dtype=torch.float64)
    return crops, torch.randn(B, T, 6, generator=generator, dtype=torch.float64)


# --- names of weights elsewhere ------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "count"), [(False, 52_079_650), (True, 53_128_226)])
def test_parameters_at_the_published_settings(depth: bool, count: int) -> None:
    model = VTN(classes=226, depth=depth)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert sum(parameter.numel() for parameter in model.trunk.parameters()) == RESNET34
    assert sum(buffer.numel() for buffer in model.buffers()) == 17_060
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_an_unknown_weight_has_no_published_name() -> None:
    with pytest.raises(KeyError):
        published_key("stem.weight")


# --- the reference -------------------------------------------------------------------------------


def reference_norm(x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    if x.shape[1] == 1:  # a single frame does not change
        return x
    std = x.std(dim=-1, keepdim=True)
    return (x - x.mean(dim=-1, keepdim=True)) / (std + 1e-3) * w[f"{name}.a_2"] + w[f"{name}.b_2"]


def reference_block(x: Tensor, w: dict[str, Tensor], block: str) -> Tensor:
    a, f = f"{block}.slf_attn", f"{block}.pos_ffn"
    heads = []
    for q, k, v in zip(w[f"{a}.w_qs"], w[f"{a}.w_ks"], w[f"{a}.w_vs"], strict=True):
        scores = (x @ q) @ (x @ k).transpose(1, 2) / math.sqrt(x.shape[-1])
        heads.append(scores.softmax(dim=-1) @ (x @ v))
    x = reference_norm(x + torch.cat(heads, dim=-1), w, f"{a}.layer_norm")
    y = functional.linear(x, w[f"{f}.w_1.weight"].flatten(1), w[f"{f}.w_1.bias"])
    y = functional.linear(torch.relu(y), w[f"{f}.w_2.weight"].flatten(1), w[f"{f}.w_2.bias"])
    return reference_norm(x + y, w, f"{f}.layer_norm")


def reference(w: dict[str, Tensor], features: Tensor, pose: Tensor, layers: int) -> Tensor:
    """Logits of pooled trunk features (B, T, C) and pose flow (B, T, 2 * joints)."""
    z = torch.cat([features, pose], dim=-1)
    z = (z - z.mean(dim=-1, keepdim=True)) / z.std(dim=-1, keepdim=True)
    x = torch.relu(functional.linear(z, w["bottle_mm.weight"], w["bottle_mm.bias"]))
    x = x + w["self_attention_decoder.position_encoding.enc.weight"][: x.shape[1]]
    for layer in range(layers):
        x = reference_block(x, w, f"self_attention_decoder.layers.{layer}")
    return functional.linear(x, w["classifier.fc.weight"], w["classifier.fc.bias"]).mean(1)


@pytest.mark.parametrize(("T", "depth"), [(1, False), (4, False), (3, True)])
def test_logits_equal_the_reference(T: int, depth: bool) -> None:
    model = stirred(small(depth=depth)).eval()
    crops, pose = inputs_of(T=T, S=4 if depth else 2)
    w = {published_key(key): value for key, value in model.state_dict().items()}
    with torch.no_grad():
        features = model.trunk(crops.flatten(0, 2)).mean((2, 3)).view(2, T, -1)
        torch.testing.assert_close(model(crops, pose), reference(w, features, pose, layers=2))


def test_attention_by_hand() -> None:
    """Two frames, one head of size 2: scores q.k / sqrt(2) are 0 and log 3 from frame 0."""
    attention = Attention(2, heads=1, dropout=0.0).double()
    x = torch.eye(2, dtype=torch.float64)[None]
    with torch.no_grad():
        attention.query[0] = torch.tensor([[1, 0], [0, 0]])
        attention.key[0] = torch.tensor([[0, 0], [math.sqrt(2) * math.log(3), 0]])
        attention.value[0] = torch.tensor([[4, 0], [8, 40]])
    # Frame 0 weighs the frames 1/4 and 3/4; the query of frame 1 is zero: 1/2 and 1/2.
    expected = torch.tensor([[[7, 30], [6, 20]]], dtype=torch.float64)
    torch.testing.assert_close(attention(x), expected)


def test_norm_by_hand() -> None:
    norm = Norm(3).double()
    with torch.no_grad():
        norm.scale.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.shift.copy_(torch.tensor([0.0, 1.0, 0.0]))
    x = torch.tensor([[[1, 2, 6], [0, 0, 0]]], dtype=torch.float64)  # mean 3, std sqrt(7)
    s = math.sqrt(7) + 1e-3
    expected = torch.tensor([[[-2 / s, -2 / s + 1, 9 / s], [0, 1, 0]]], dtype=torch.float64)
    torch.testing.assert_close(norm(x), expected)
    assert torch.equal(norm(x[:, :1]), x[:, :1])  # a single frame does not change


def test_equal_features_are_finite_with_eps() -> None:
    for value in (0.0, 3.0):
        x = torch.full((2, 3, 7), value, requires_grad=True)
        y = standardise(x, 1e-6)
        y.square().sum().backward()
        assert torch.equal(y, torch.zeros(2, 3, 7))
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()
    assert torch.isnan(standardise(torch.zeros(2, 7), 0.0)).all()  # as published


def test_positions_by_hand() -> None:
    table = sinusoids(3, 4)
    assert table[0].tolist() == [0, 0, 0, 0]
    for p in (1, 2):
        slow = p / 100
        expected = [math.sin(p), math.cos(p), math.sin(slow), math.cos(slow)]
        assert table[p].tolist() == pytest.approx(expected, abs=1e-7)
    assert torch.equal(small().positions.weight, sinusoids(4, 24))


# --- behaviour -----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [False, True])
@pytest.mark.parametrize(("B", "T", "H", "W"), [(1, 1, 7, 9), (3, 3, 33, 40), (1, 4, 65, 32)])
def test_odd_sizes(B: int, T: int, H: int, W: int, depth: bool) -> None:
    model = small(depth=depth).double().eval()
    logits = model(*inputs_of(B, T, 4 if depth else 2, H, W))
    assert logits.shape == (B, 5)
    assert torch.isfinite(logits).all()


def test_wrong_shapes_are_refused() -> None:
    crops, pose = inputs_of()
    model = small().double()
    with pytest.raises(
        ValueError, match=r"expected crops \(B, 1 to 4, 2, 3, H, W\), found \(2, 4, 4"
    ):
        model(*inputs_of(S=4))
    for wrong in (crops[0], crops[:, :0], crops[:, :, :, :1], torch.cat([crops, crops], dim=1)):
        with pytest.raises(ValueError, match="expected crops"):
            model(wrong, pose)
    with pytest.raises(ValueError, match=r"expected pose \(2, 4, 6\), found \(2, 3, 6\)"):
        model(crops, pose[:, :3])
    with pytest.raises(ValueError, match="width must be a multiple of heads 3, found 64"):
        VTN(classes=5, width=64, heads=3)


@pytest.mark.parametrize("depth", [False, True])
def test_every_parameter_gets_a_gradient_but_position_0(depth: bool) -> None:
    model = stirred(small(depth=depth)).train()
    before = model.positions.weight.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)
    logits = model(*inputs_of(S=4 if depth else 2))
    functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    optimizer.step()
    moved = (model.positions.weight != before).all(dim=1)
    assert moved.tolist() == [False, True, True, True]
    assert (model.positions.weight[0] == 0).all()


def test_depth_is_a_batch_of_its_own() -> None:
    """Batch norm sees colour, then depth: scaling all depth crops alike changes no logits."""
    model = small(depth=True, dropout=0.0).double().train()
    crops, pose = inputs_of(S=4)
    both = model(crops, pose)
    assert model.trunk.bn1.num_batches_tracked == 2
    brighter = crops.clone()
    brighter[:, :, 2:] *= 3  # a batch's scale goes in its first norm
    torch.testing.assert_close(model(brighter, pose), both, rtol=1e-3, atol=1e-3)
    brighter[0, :, 2:] *= 3
    assert not torch.allclose(model(brighter, pose), both, rtol=1e-3, atol=1e-3)


def test_start_weights() -> None:
    model = VTN(classes=226, layers=1)
    attention = model.blocks[0].attention
    # As of a convolution from 1024 to 8 channels over 128 numbers.
    std = (2 / ((1024 + 8) * 128)) ** 0.5
    for weight in (attention.query, attention.key, attention.value):
        assert weight.std().item() == pytest.approx(std, rel=0.01)
    assert model.classifier.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert (model.classifier.bias == 0).all()
    conv = model.trunk.layer4[2].conv2
    assert conv.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)
