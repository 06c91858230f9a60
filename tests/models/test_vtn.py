"""VTN against a plain reference that reads weights under their published names."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from slr_pipeline.models.vision import torchvision
from slr_pipeline.models.vtn import (
    VTN,
    Attention,
    Norm,
    imagenet_key,
    published_key,
    resnet_trunk,
    sinusoids,
    standardise,
)
from tests.shared_data import published_keys

RESNET34 = 21_284_672
"""Parameters of a ResNet-34 without its classifier."""


def small(
    *,
    frames: int = 4,
    layers: int = 2,
    depth: bool = False,
    dropout: float = 0.1,
    backbone_width: int = 4,
) -> VTN:
    torch.manual_seed(0)
    return VTN(
        classes=5,
        frames=frames,
        width=24,
        heads=4,
        layers=layers,
        pose_values=6,
        depth=depth,
        backbone="resnet18",
        backbone_width=backbone_width,
        dropout=dropout,
        classifier_dropout=dropout,
    )


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


def test_the_released_depth_model_has_one_more_trunk() -> None:
    """74,412,898 parameters; 21,284,672 of them are unused."""
    model = VTN(classes=226, depth=True)
    ours = sum(parameter.numel() for parameter in model.parameters())
    second = sum(parameter.numel() for parameter in resnet_trunk((3, 4, 6, 3)).parameters())
    assert ours + second == 74_412_898
    published = published_keys("vtn_hcpf_d")
    dead = {name: shape for name, shape in published.items() if "running" not in name}
    dead = {name: shape for name, shape in dead.items() if "num_batches" not in name}
    assert sum(math.prod(shape) for shape in dead.values()) == 74_412_898
    dead = {name: shape for name, shape in dead.items() if name.startswith("feature_extractor_d.")}
    assert sum(math.prod(shape) for shape in dead.values()) == RESNET34


def test_an_unknown_weight_has_no_published_name() -> None:
    with pytest.raises(KeyError):
        published_key("stem.weight")


@pytest.mark.parametrize(("name", "blocks"), [("resnet18", (2,) * 4), ("resnet34", (3, 4, 6, 3))])
def test_trunk_equals_torchvision_with_its_weights(name: str, blocks: tuple[int, ...]) -> None:
    theirs = getattr(torchvision.models, name)(weights=None).eval()
    ours = resnet_trunk(blocks).eval()
    names = {key: imagenet_key(f"trunk.{key}") for key in ours.state_dict()}
    assert set(names.values()) == {key for key in theirs.state_dict() if key[:3] != "fc."}
    weights = theirs.state_dict()
    ours.load_state_dict({key: weights[name] for key, name in names.items() if name})
    pictures = inputs_of()[0][0, 0].float()
    theirs.fc = torch.nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(ours(pictures).mean(dim=(2, 3)), theirs(pictures))


def test_only_the_trunk_is_in_torchvision() -> None:
    model = small()
    names = {key for key in model.state_dict() if imagenet_key(key) is not None}
    assert names == {f"trunk.{key}" for key in model.trunk.state_dict()}


# --- the reference -------------------------------------------------------------------------------


def reference_norm(x: list[float], scale: list[float], shift: list[float]) -> list[float]:
    mean = sum(x) / len(x)
    std = math.sqrt(sum((value - mean) ** 2 for value in x) / (len(x) - 1))
    return [
        (value - mean) / (std + 1e-3) * a + b for value, a, b in zip(x, scale, shift, strict=True)
    ]


def reference_attention(x: Tensor, w_qs: Tensor, w_ks: Tensor, w_vs: Tensor) -> Tensor:
    """One clip x (T, D), number by number."""
    T, D = x.shape
    heads, _, size = w_qs.shape
    y = torch.zeros(T, D, dtype=x.dtype)
    for head in range(heads):
        query, key, value = (
            [
                [sum(x[t, d] * w[head, d, k] for d in range(D)) for k in range(size)]
                for t in range(T)
            ]
            for w in (w_qs, w_ks, w_vs)
        )
        for t in range(T):
            scores = [
                float(sum(query[t][k] * key[s][k] for k in range(size))) / math.sqrt(D)
                for s in range(T)
            ]
            total = sum(math.exp(score) for score in scores)
            for k in range(size):
                y[t, head * size + k] = sum(
                    math.exp(scores[s]) / total * value[s][k] for s in range(T)
                )
    return y


def reference(model: VTN, crops: Tensor, pose: Tensor, layers: int) -> Tensor:
    """Logits (K,) of one clip, from the trunk's feature maps and the published names."""
    w = {published_key(key): value for key, value in model.state_dict().items()}
    frames = []
    for t in range(len(crops)):
        features = [model.trunk(crop[None])[0].flatten(1).mean(dim=1) for crop in crops[t]]
        q = torch.cat([*features, pose[t]])
        q = (q - q.mean()) / ((q - q.mean()).square().sum() / (len(q) - 1)).sqrt()
        e = (w["bottle_mm.weight"] @ q + w["bottle_mm.bias"]).clamp_min(0)
        frames.append(e + w["self_attention_decoder.position_encoding.enc.weight"][t])
    x = torch.stack(frames)
    for number in range(layers):
        p = f"self_attention_decoder.layers.{number}"
        a = f"{p}.slf_attn"
        x = x + reference_attention(x, w[f"{a}.w_qs"], w[f"{a}.w_ks"], w[f"{a}.w_vs"])
        x = by_frame(x, w, f"{a}.layer_norm")
        y = (x @ w[f"{p}.pos_ffn.w_1.weight"].T + w[f"{p}.pos_ffn.w_1.bias"]).clamp_min(0)
        x = x + y @ w[f"{p}.pos_ffn.w_2.weight"].T + w[f"{p}.pos_ffn.w_2.bias"]
        x = by_frame(x, w, f"{p}.pos_ffn.layer_norm")
    return (x @ w["classifier.fc.weight"].T + w["classifier.fc.bias"]).mean(dim=0)


def by_frame(x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    if len(x) == 1:
        return x
    scale, shift = w[f"{name}.a_2"].tolist(), w[f"{name}.b_2"].tolist()
    return torch.tensor([reference_norm(f.tolist(), scale, shift) for f in x], dtype=x.dtype)


@pytest.mark.parametrize(("T", "depth"), [(1, False), (4, False), (3, True)])
def test_logits_equal_the_reference(T: int, depth: bool) -> None:
    model = stirred(small(depth=depth)).eval()
    crops, pose = inputs_of(T=T, S=4 if depth else 2)
    with torch.no_grad():
        logits = model(crops, pose)
        for b in range(2):
            torch.testing.assert_close(logits[b], reference(model, crops[b], pose[b], layers=2))


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


def test_attention_equals_loops() -> None:
    attention = Attention(6, heads=3, dropout=0.1).double().eval()
    generator = torch.Generator().manual_seed(3)
    weights = (attention.query, attention.key, attention.value)
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.randn(weight.shape, generator=generator))
        x = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
        for b in range(2):
            torch.testing.assert_close(attention(x)[b], reference_attention(x[b], *weights))


def test_norm_by_hand() -> None:
    norm = Norm(3).double()
    with torch.no_grad():
        norm.scale.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.shift.copy_(torch.tensor([0.0, 1.0, 0.0]))
    x = torch.tensor([[[1, 2, 6], [0, 0, 0]]], dtype=torch.float64)  # mean 3, std sqrt(7)
    s = math.sqrt(7) + 1e-3
    expected = torch.tensor([[[-2 / s, -2 / s + 1, 9 / s], [0, 1, 0]]], dtype=torch.float64)
    torch.testing.assert_close(norm(x), expected)
    assert torch.equal(norm(x[:, :1]), x[:, :1])  # a single frame is left as it is


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
