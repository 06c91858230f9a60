"""SSTCN against a plain reference that reads weights under their published names."""

import re
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from slr_pipeline.models.sstcn import SSTCN, Block, published_key, shuffled

T, V = 4, 3


def small(**changes: float) -> SSTCN:
    sizes = {"classes": 5, "frames": T, "joints": V, "width": 8}
    torch.manual_seed(0)
    return SSTCN(**{**sizes, **changes})  # type: ignore[arg-type]


def stirred(model: SSTCN) -> SSTCN:
    """In float64, every parameter and running statistic away from its start value."""
    generator = torch.Generator().manual_seed(1)
    model = model.double()
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=generator, dtype=torch.float64) * 0.3)
    return model


def maps(B: int = 2, H: int = 6, W: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(B, T, V, H, W, generator=generator, dtype=torch.float64)


# --- published weights ---------------------------------------------------------------------------


def test_parameters_at_the_published_settings() -> None:
    with torch.device("meta"):  # no memory, no random numbers
        model = SSTCN(classes=226)
    count = {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in model.named_children()
    }
    assert count == {
        "input_norm": 3_960,
        "step_1a": 5_050,
        "step_1b": 5_050,
        "step_2a": 1_117_050,
        "step_2b": 1_117_050,
        "step_3a": 636_180,
        "step_3b": 636_180,
        "step_4a": 35_687_620,
        "step_4b": 18_042_850,
        "classifier": 223_966,
    }
    assert sum(count.values()) == 57_474_956
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- the reference -------------------------------------------------------------------------------


def norm(x: Tensor, w: Mapping[str, Tensor], name: str) -> Tensor:
    def of_channels(entry: str) -> Tensor:
        return w[f"{name}.{entry}"][:, None, None]

    scale = of_channels("weight") / torch.sqrt(of_channels("running_var") + 1e-5)
    return (x - of_channels("running_mean")) * scale + of_channels("bias")


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def reference_block(x: Tensor, w: Mapping[str, Tensor], name: str, groups: int) -> Tensor:
    """Without Swish. One group after the other, each with plain convolutions."""
    size = "1x1" if name[0] == "t" else "3x3"
    block = f"{name}downsample.g_conv_{size}_compress"

    def of_group(layer: str, group: int) -> tuple[Tensor, Tensor]:
        weight, bias = w[f"{block}.{layer}.weight"], w[f"{block}.{layer}.bias"]
        return weight.chunk(groups)[group], bias.chunk(groups)[group]

    parts = []
    for group, part in enumerate(x.chunk(groups, dim=1)):
        weight, bias = of_group("attention.conv_du.0", group)
        hidden = torch.relu(part.mean(dim=(2, 3)) @ weight[:, :, 0, 0].T + bias)
        weight, bias = of_group("attention.conv_du.2", group)
        gate = torch.sigmoid(hidden @ weight[:, :, 0, 0].T + bias)
        weight, bias = of_group(f"conv{size}", group)
        scaled = part * gate[:, :, None, None]
        parts.append(functional.conv2d(scaled, weight, bias, padding=weight.shape[-1] // 2))
    return norm(torch.cat(parts, dim=1), w, f"{block}.batch_norm")


def reference(heatmaps: Tensor, w: Mapping[str, Tensor]) -> Tensor:
    """Logits of heatmaps (B, T, V, H, W) in eval mode."""
    B, T, V, H, W = heatmaps.shape
    x = torch.stack([heatmaps[:, t, v] for t in range(T) for v in range(V)], dim=1)
    x = swish(norm(x, w, "bn"))

    stacked = torch.stack(  # the maps of a frame's joints under each other
        [torch.cat([x[:, t * V + v] for v in range(V)], dim=1) for t in range(T)], dim=1
    )
    y = reference_block(swish(reference_block(stacked, w, "t1", 1)), w, "t2", 1)
    y = torch.stack([y[:, t, v * H : (v + 1) * H] for t in range(T) for v in range(V)], dim=1)
    x = swish(y + x)

    y = torch.stack([x[:, t * V + v] for v in range(V) for t in range(T)], dim=1)
    y = reference_block(swish(reference_block(y, w, "f1", V)), w, "f2", V)
    y = torch.stack([y[:, v * T + t] for t in range(T) for v in range(V)], dim=1)
    x = swish(y + x)

    x = swish(reference_block(swish(reference_block(x, w, "f3", T)), w, "f4", T) + x)
    x = swish(reference_block(swish(reference_block(x, w, "f5", 1)), w, "f6", 1))
    assert x.shape[0::2] == (B, H)
    assert x.shape[3] == W
    return x.mean(dim=(2, 3)) @ w["fc1.weight"].T + w["fc1.bias"]


@pytest.mark.parametrize(("H", "W"), [(24, 24), (6, 5), (1, 7)])
def test_logits_equal_the_reference(H: int, W: int) -> None:
    model = stirred(small()).eval()
    x = maps(H=H, W=W)
    weights = {published_key(name): value for name, value in model.state_dict().items()}
    with torch.no_grad():
        torch.testing.assert_close(model(x), reference(x, weights))


# --- groups and order ----------------------------------------------------------------------------


def test_shuffle_by_hand() -> None:
    """Two frames of three joints, named 10 * frame + joint."""
    by_frame = torch.tensor([0, 1, 2, 10, 11, 12])[None, :, None, None]
    by_joint = shuffled(by_frame, groups=2)
    assert by_joint.flatten().tolist() == [0, 10, 1, 11, 2, 12]
    assert torch.equal(shuffled(by_joint, groups=3), by_frame)


# --- behaviour -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("B", "frames", "joints", "H", "W", "width"),
    [(1, 1, 1, 3, 3, 2), (3, 7, 5, 24, 24, 6), (5, 2, 33, 5, 8, 10), (7, 60, 1, 2, 2, 4)],
)
def test_odd_sizes(B: int, frames: int, joints: int, H: int, W: int, width: int) -> None:
    model = small(classes=7, frames=frames, joints=joints, width=width)
    x = torch.rand(B, frames, joints, H, W)
    for mode in (True, False):
        logits = model.train(mode)(x)
        assert logits.shape == (B, 7)
        assert torch.isfinite(logits).all()


def test_layouts_in_memory_give_the_same() -> None:
    model = stirred(small()).eval()
    x = maps()
    turned = x.permute(0, 3, 4, 1, 2).contiguous().permute(0, 3, 4, 1, 2)
    assert not turned.is_contiguous()
    torch.testing.assert_close(model(turned), model(x))
    last = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x), model(x))


@pytest.mark.parametrize(
    "shape", [(2, V, T, 6, 5), (2, T * V, 6, 5), (T, V, 6, 5), (2, T, V + 1, 6, 5), (2, T, V, 6)]
)
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    found = re.escape(f"expected heat-maps (B, {T}, {V}, H, W), found {shape}")
    with pytest.raises(ValueError, match=found):
        small()(torch.rand(shape))


@pytest.mark.parametrize("width", [-2, 0, 1, 9])
def test_width_must_be_even(width: int) -> None:
    with pytest.raises(ValueError, match=f"even and at least 2, found {width}"):
        small(width=width)


def test_dropout_is_after_the_first_blocks_of_steps_2_to_4_and_drops_channels() -> None:
    model = small(dropout=0.5, frames=12)
    shares = {
        name: block.dropout.p for name, block in model.named_children() if isinstance(block, Block)
    }
    assert [name for name, share in shares.items() if share] == ["step_2a", "step_3a", "step_4a"]
    y = model.step_2a(torch.rand(8, 12 * V, 4, 4))
    gone = (y == 0).all(dim=(2, 3))
    assert 0.3 < gone.float().mean() < 0.7
    assert torch.equal(gone, (y == 0).any(dim=(2, 3)))


def test_start_weights() -> None:
    model = small(frames=60, joints=33, width=64)
    for block, fan_out in [
        (model.step_1a, 60),
        (model.step_2b, 1980 * 9),
        (model.step_3a, 1980 * 9),
        (model.step_4a, 64 * 9),
        (model.step_4b, 32 * 9),
    ]:
        expected = (2 / fan_out) ** 0.5
        assert block.conv.weight.std().item() == pytest.approx(expected, rel=0.05)
        assert (block.conv.bias == 0).all()
        assert (block.gate.squeeze.bias == 0).all()
        assert (block.gate.excite.bias == 0).all()
        assert (block.norm.weight == 1).all()
        assert (block.norm.bias == 0).all()
    squeeze = model.step_2a.gate.squeeze.weight
    assert squeeze.std().item() == pytest.approx((2 / 330) ** 0.5, rel=0.05)
