"""SL-GCN against a plain reference that reads weights under their published names."""

import re

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from slr_pipeline.models.dropgraph import DropGraph, set_keep
from slr_pipeline.models.slgcn import (
    SLGCN,
    Attention,
    DecoupledGraphConv,
    learned_adjacencies,
    tree_adjacency,
)
from slr_pipeline.skeleton import BONES_27
from tests.shared_data import published_keys

CHAIN_4 = [(0, 1), (1, 2), (2, 3)]


def small(**changes: int) -> SLGCN:
    sizes = {"classes": 5, "joints": 27, "width": 8, "groups": 4}
    torch.manual_seed(0)
    return SLGCN(bones=BONES_27, **{**sizes, **changes})


def stirred(model: SLGCN) -> SLGCN:
    """In float64, every parameter and running statistic away from its start value."""
    generator = torch.Generator().manual_seed(1)
    model = model.double()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                noise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
                value.add_(noise * (0.5 if "norm" in name or "adjacency" in name else 0.1))
    return model


def joints_of(B: int = 2, T: int = 12, V: int = 27) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(B, 3, T, V, generator=generator, dtype=torch.float64)


# --- published names -----------------------------------------------------------------------------

PUBLISHED_PARTS = [
    (r"^data_bn\.", "input_norm."),
    (r"^fc\.", "classifier."),
    (r"gcn1\.DecoupleA", "graph.adjacency"),
    (r"gcn1\.Linear_", "graph.project."),
    (r"gcn1\.bn0\.", "graph.project_norm."),
    (r"gcn1\.bn\.", "graph.norm."),
    (r"gcn1\.down\.0\.", "graph.shortcut.conv."),
    (r"gcn1\.down\.1\.", "graph.shortcut.norm."),
    (r"(tcn1|residual)\.bn\.", r"\1.norm."),
    (r"tcn1\.", "temporal."),
    (r"conv_ta\.", "attention.temporal."),
    (r"conv_sa\.", "attention.spatial."),
    (r"fc1c\.", "attention.squeeze."),
    (r"fc2c\.", "attention.excite."),
]


def our_name(published: str) -> str:
    name = re.sub(r"^l(\d+)\.", lambda match: f"units.{int(match[1]) - 1}.", published)
    for pattern, ours in PUBLISHED_PARTS:
        name = re.sub(pattern, ours, name)
    return name


def published_weight(name: str, value: Tensor) -> Tensor:
    """Our weight in its published shape."""
    if name.endswith("Linear_weight"):
        return value[:, :, 0, 0].T
    return value[None, :, None, None] if name.endswith("Linear_bias") else value


def test_parameters_at_the_published_settings() -> None:
    model = SLGCN(classes=226, joints=27, bones=BONES_27)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_838_584
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_every_published_weight_has_one_of_ours() -> None:
    published = published_keys("slgcn")
    ours = SLGCN(classes=226, joints=27, bones=BONES_27).state_dict()
    weights = {name: shape for name, shape in published.items() if name[-2:] != ".A"}
    weights = {name: shape for name, shape in weights.items() if not name.endswith(".eyes")}
    assert sorted(our_name(name) for name in weights) == sorted(ours)
    for name, shape in weights.items():
        assert published_weight(name, ours[our_name(name)]).shape == shape, name


# --- the reference -------------------------------------------------------------------------------


def norm(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    return functional.batch_norm(
        x,
        weights[f"{name}.running_mean"],
        weights[f"{name}.running_var"],
        weights[f"{name}.weight"],
        weights[f"{name}.bias"],
    )


def reference_graph(x: Tensor, w: dict[str, Tensor], unit: str) -> Tensor:
    B, _, T, V = x.shape
    K, G = w[f"{unit}.gcn1.DecoupleA"].shape[:2]
    C = w[f"{unit}.gcn1.bn.bias"].numel()
    z = torch.einsum("bitv,io->botv", x, w[f"{unit}.gcn1.Linear_weight"])
    z = norm(z + w[f"{unit}.gcn1.Linear_bias"], w, f"{unit}.gcn1.bn0")
    y = torch.zeros(B, C, T, V, dtype=x.dtype)
    for k in range(K):
        for c in range(C):
            D = w[f"{unit}.gcn1.DecoupleA"][k, c % G]
            for column in range(V):
                share = D[:, column] / (D[:, column].sum() + 0.001)
                y[:, c, :, column] += (z[:, k * C + c] * share).sum(dim=-1)
    y = norm(y, w, f"{unit}.gcn1.bn")
    if f"{unit}.gcn1.down.0.weight" in w:
        x = functional.conv2d(x, w[f"{unit}.gcn1.down.0.weight"], w[f"{unit}.gcn1.down.0.bias"])
        x = norm(x, w, f"{unit}.gcn1.down.1")
    return torch.relu(y + x)


def reference_attention(y: Tensor, w: dict[str, Tensor], unit: str) -> Tensor:
    def conv(x: Tensor, name: str) -> Tensor:
        weight = w[f"{unit}.{name}.weight"]
        return functional.conv1d(x, weight, w[f"{unit}.{name}.bias"], padding=weight.shape[-1] // 2)

    y = y * torch.sigmoid(conv(y.mean(dim=2), "conv_sa"))[:, :, None, :] + y
    y = y * torch.sigmoid(conv(y.mean(dim=3), "conv_ta"))[:, :, :, None] + y
    hidden = y.mean(dim=(2, 3)) @ w[f"{unit}.fc1c.weight"].T + w[f"{unit}.fc1c.bias"]
    gate = torch.relu(hidden) @ w[f"{unit}.fc2c.weight"].T + w[f"{unit}.fc2c.bias"]
    return y * torch.sigmoid(gate)[:, :, None, None] + y


def reference(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    """Logits of x (B, 3, T, V) in eval mode."""
    C, V = x.shape[1], x.shape[3]
    flat = torch.stack([x[:, c, :, v] for v in range(V) for c in range(C)], dim=1)
    flat = norm(flat, w, "data_bn")
    for v in range(V):
        for c in range(C):
            x = x.clone()
            x[:, c, :, v] = flat[:, v * C + c]
    for number in range(1, 11):
        unit, stride = f"l{number}", 2 if number in (5, 8) else 1
        y = reference_attention(reference_graph(x, w, unit), w, unit)
        y = functional.conv2d(
            y,
            w[f"{unit}.tcn1.conv.weight"],
            w[f"{unit}.tcn1.conv.bias"],
            stride=(stride, 1),
            padding=(4, 0),
        )
        y = norm(y, w, f"{unit}.tcn1.bn")
        if number in (5, 8):
            x = functional.conv2d(
                x,
                w[f"{unit}.residual.conv.weight"],
                w[f"{unit}.residual.conv.bias"],
                stride=(2, 1),
            )
            y = y + norm(x, w, f"{unit}.residual.bn")
        elif number > 1:
            y = y + x
        x = torch.relu(y)
    return x.mean(dim=(2, 3)) @ w["fc.weight"].T + w["fc.bias"]


class PublishedWeights(dict[str, Tensor]):
    """Weights of one of our models by their published names."""

    def __init__(self, model: SLGCN) -> None:
        super().__init__()
        self.ours = model.state_dict()

    def __missing__(self, name: str) -> Tensor:
        return published_weight(name, self.ours[our_name(name)])

    def __contains__(self, name: object) -> bool:
        return our_name(str(name)) in self.ours


@pytest.mark.parametrize("T", [1, 9, 18])
def test_logits_equal_the_reference(T: int) -> None:
    model = stirred(small()).eval()
    x = joints_of(T=T)
    with torch.no_grad():
        torch.testing.assert_close(model(x), reference(x, PublishedWeights(model)))


def test_attention_equals_its_three_stages() -> None:
    model = stirred(small())
    y = joints_of().repeat(1, 4, 1, 1)[:, :8]
    unit = model.units[2]
    expected = reference_attention(y, PublishedWeights(model), "l3")
    assert isinstance(unit.attention, Attention)
    torch.testing.assert_close(unit.attention(y), expected)


def test_adjacency_by_hand() -> None:
    """A chain 0-1-2 and a second child 3 of joint 1."""
    identity, inward, outward = tree_adjacency(4, [(0, 1), (1, 2), (1, 3)])
    assert torch.equal(identity, torch.eye(4))
    # Columns: a joint takes from its children, each alike.
    assert inward.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0.5, 0, 0], [0, 0.5, 0, 0]]
    # Columns: a joint takes from its parent.
    assert outward.tolist() == [[0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


# --- behaviour -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("B", "T", "V", "C"), [(2, 1, 4, 3), (1, 7, 4, 2), (2, 101, 5, 1), (2, 150, 1, 3)]
)
def test_odd_sizes(B: int, T: int, V: int, C: int) -> None:
    bones = [(v, v + 1) for v in range(V - 1)]
    model = SLGCN(classes=7, joints=V, bones=bones, in_channels=C, width=4, groups=2)
    set_keep(model, 0.9)
    logits = model(torch.randn(B, C, T, V))
    assert logits.shape == (B, 7)
    assert torch.isfinite(logits).all()


def test_width_must_be_a_multiple_of_groups() -> None:
    with pytest.raises(ValueError, match="multiple of groups 16, found 24"):
        small(width=24, groups=16)


def test_every_parameter_gets_a_gradient() -> None:
    model = stirred(small()).train()
    set_keep(model, 0.9)
    functional.cross_entropy(model(joints_of(B=4, T=16)), torch.tensor([0, 1, 2, 3])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_logits_do_not_depend_on_the_batch_in_eval_mode() -> None:
    model = stirred(small()).eval()
    set_keep(model, 0.5)
    x = joints_of(B=5)
    with torch.no_grad():
        together = model(x)
        for i in range(5):
            torch.testing.assert_close(model(x[i : i + 1])[0], together[i])


def test_channels_use_their_group() -> None:
    """With identity projection and one-hot adjacencies, channel c moves joints as group c mod 2."""
    graph = DecoupledGraphConv(4, 4, adjacency=tree_adjacency(4, CHAIN_4), groups=2)
    roll = torch.roll(torch.eye(4), 1, dims=1)
    with torch.no_grad():
        graph.adjacency.zero_()
        graph.adjacency[0, 0] = torch.eye(4)
        graph.adjacency[0, 1] = roll
        graph.project.weight.zero_()
        graph.project.weight[:4, :, 0, 0] = torch.eye(4)
        graph.norm.weight.fill_(1)
    x = torch.rand(2, 4, 3, 4)
    moved = graph.eval()(x) - x  # the shortcut
    expected = torch.stack([x[:, c] if c % 2 == 0 else x[:, c] @ roll for c in range(4)], dim=1)
    torch.testing.assert_close(moved, expected, rtol=2e-3, atol=1e-5)


def test_same_seed_same_weights() -> None:
    first, again = small().state_dict(), small().state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_start_weights() -> None:
    model = SLGCN(classes=226, joints=27, bones=BONES_27)
    unit = model.units[9]
    assert (unit.graph.norm.weight == 1e-6).all()
    assert (unit.graph.project.bias == 1e-6).all()
    assert unit.graph.project.weight.std().item() == pytest.approx((0.5 / 768) ** 0.5, rel=0.02)
    assert unit.temporal.conv.weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert model.classifier.weight.std().item() == pytest.approx((2 / 226) ** 0.5, rel=0.02)
    for zero in (
        unit.temporal.conv.bias,
        unit.attention.temporal.weight,
        unit.attention.excite.weight,
    ):
        assert (zero == 0).all()
    assert (unit.attention.spatial.weight != 0).all()
    fixed = tree_adjacency(27, BONES_27)
    for learned in learned_adjacencies(model):
        assert torch.equal(learned, fixed[:, None].expand(3, 16, 27, 27))


def test_dropgraph_is_in_the_last_four_units() -> None:
    units = small().units
    have = [isinstance(unit.drop, DropGraph) for unit in units]
    assert have == [False] * 6 + [True] * 4
    assert len(list(learned_adjacencies(small()))) == 10


def test_state_has_no_constants() -> None:
    assert not [name for name in small().state_dict() if "neighbours" in name or "drop" in name]


def test_training_draws_from_the_seeded_generator() -> None:
    model = small()
    set_keep(model, 0.5)
    x = joints_of(B=4, T=20).float()
    logits = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        logits.append(model(x))
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


def test_one_batch_is_overfitted() -> None:
    model = small(width=16)
    x, truth = joints_of(B=8, T=16).float(), torch.arange(8) % 5
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(30):
        loss = functional.cross_entropy(model(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02
    assert (model(x).argmax(dim=1) == truth).all()
