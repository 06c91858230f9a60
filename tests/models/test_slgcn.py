"""SL-GCN against a plain reference that reads weights under their published names."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from slr_pipeline.models.dropgraph import DropGraph, set_keep
from slr_pipeline.models.slgcn import (
    SLGCN,
    DecoupledGraphConv,
    batch_norm,
    learned_adjacencies,
    tree_adjacency,
)
from slr_pipeline.skeleton import BONES_27
from tests.models import slgcn_reference as reference
from tests.models.slgcn_reference import PublishedWeights

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


def test_parameters_at_the_published_settings() -> None:
    model = SLGCN(classes=226, joints=27, bones=BONES_27)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_838_584
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- the reference -------------------------------------------------------------------------------


@pytest.mark.parametrize("T", [1, 9, 18])
def test_logits_equal_the_reference(T: int) -> None:
    model = stirred(small()).eval()
    x = joints_of(T=T)
    with torch.no_grad():
        torch.testing.assert_close(model(x), reference.logits(x, PublishedWeights(model)))


def fast_and_plain(model: SLGCN, *, training: bool) -> tuple[SLGCN, SLGCN]:
    """The model and a copy with gradients of the same loss, the copy's from the reference."""
    model.train(training)
    plain = copy.deepcopy(model)
    dtype = next(model.parameters()).dtype
    x, truth = joints_of(B=4, T=18).to(dtype), torch.tensor([0, 1, 2, 3])
    functional.cross_entropy(model(x), truth).backward()
    logits = reference.logits(x, PublishedWeights(plain), training=training)
    functional.cross_entropy(logits, truth).backward()
    return model, plain


@pytest.mark.parametrize("training", [True, False])
def test_gradients_and_statistics_equal_the_reference(training: bool) -> None:
    model, plain = fast_and_plain(stirred(small()), training=training)
    for (name, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=lambda text, n=name: f"{n}: {text}")
    for (name, ours), theirs in zip(model.named_buffers(), plain.buffers(), strict=True):
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(ours, theirs, msg=lambda text, n=name: f"{n}: {text}")


def test_single_precision_is_as_near_as_that_of_the_reference() -> None:
    def gradient(model: SLGCN) -> Tensor:
        return torch.cat([p.grad.double().flatten() for p in model.parameters()])

    exact, _ = fast_and_plain(stirred(small()), training=True)
    ours, theirs = fast_and_plain(stirred(small()).float(), training=True)
    off, reference_off = ((gradient(m) - gradient(exact)).norm() for m in (ours, theirs))
    assert off < 3 * reference_off
    assert off < 1e-3 * gradient(exact).norm()


def test_training_counts_its_batches() -> None:
    model = small().train()
    for _ in range(3):
        model(joints_of().float())
    counts = [value.item() for name, value in model.state_dict().items() if "num_batches" in name]
    assert set(counts) == {3}


@pytest.mark.parametrize(("V", "T"), [(1, 5), (4, 1), (4, 6)])
def test_graph_convolution_passes_the_gradient_check(V: int, T: int) -> None:
    adjacency = tree_adjacency(V, CHAIN_4[: V - 1])
    graph = DecoupledGraphConv(3, 4, adjacency=adjacency, groups=2).double().train()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in graph.parameters():
            parameter.add_(torch.rand_like(parameter))
    x = torch.randn(3, 3, V, T, dtype=torch.float64, requires_grad=True)
    names, values = zip(*graph.named_parameters(), strict=True)

    def call(x: Tensor, *values: Tensor) -> Tensor:
        weights = dict(zip(names, values, strict=True))
        return torch.func.functional_call(graph, weights, x)  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(call, (x, *values), nondet_tol=0)


def test_a_norm_far_from_zero_keeps_its_digits() -> None:
    norm = torch.nn.BatchNorm2d(3)
    x = torch.randn(4, 3, 5, 7, generator=torch.Generator().manual_seed(3)) + 1000
    expected = torch.nn.BatchNorm2d(3).double()(x.double())
    torch.testing.assert_close(batch_norm(x, norm).double(), expected, rtol=1e-3, atol=1e-3)


def test_low_precision_is_left_to_torch() -> None:
    model = small()
    x = joints_of(B=4, T=16).float()
    full = copy.deepcopy(model)(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = model(x)
        functional.cross_entropy(low, torch.tensor([0, 1, 2, 3])).backward()
    torch.testing.assert_close(low.float(), full, rtol=0.1, atol=0.1)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_layout_of_the_input_does_not_matter() -> None:
    x = joints_of(B=4, T=16)
    crossed = x.permute(3, 1, 2, 0).contiguous().permute(3, 1, 2, 0)
    first, again = (stirred(small()).train()(of) for of in (x, crossed))
    torch.testing.assert_close(first, again)


@pytest.mark.gpu
def test_gpu_equals_cpu() -> None:
    x = joints_of(B=4, T=16)
    torch.testing.assert_close(
        stirred(small()).cuda().train()(x.cuda()).cpu(), stirred(small()).train()(x)
    )


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
