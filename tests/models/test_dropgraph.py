import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slr_pipeline.models.dropgraph import DropGraph, set_keep
from slr_pipeline.models.slgcn import tree_adjacency
from slr_pipeline.skeleton import BONES_27, PARENTS_27

NEIGHBOURS = tree_adjacency(27, BONES_27).sum(dim=0)


def drop(keep: float, block_frames: int = 41) -> DropGraph:
    module = DropGraph(NEIGHBOURS, block_joints=2.92, block_frames=block_frames)
    set_keep(module, keep)
    return module.train()


def test_identity_in_eval_mode_and_when_all_is_kept() -> None:
    x = torch.randn(2, 3, 10, 27)
    assert drop(1.0)(x) is x
    assert drop(0.5).eval()(x) is x


def test_neighbours_are_the_joint_its_parent_and_its_children() -> None:
    reach = drop(0.9).neighbours
    for joint in range(27):
        near = {joint, PARENTS_27[joint]} | {c for p, c in BONES_27 if p == joint}
        assert set(reach[joint].nonzero()[:, 0].tolist()) == near - {-1}


def test_joints_fall_with_their_neighbours() -> None:
    """All attention on one joint, so that only it can be a seed: it and its neighbours fall."""
    attention = torch.zeros(1, 27)
    attention[0, 9] = 1  # a finger's base: parent 7, child 10
    mask = drop(0.5)._joint_mask(attention)
    assert mask[0, [7, 9, 10]].tolist() == [0, 0, 0]
    assert (mask[0] > 0).sum() == 24
    torch.testing.assert_close(mask.mean(), torch.tensor(1.0))


def test_frames_fall_in_blocks() -> None:
    attention = torch.zeros(1, 50)
    attention[0, 20] = 1
    mask = drop(0.5, block_frames=11)._frame_mask(attention)
    assert (mask[0] == 0).nonzero()[:, 0].tolist() == list(range(15, 26))
    torch.testing.assert_close(mask.mean(), torch.tensor(1.0))


def test_masks_are_alike_for_all_channels_and_keep_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.ones(8, 4, 60, 27)
    y = drop(0.7)(x)
    assert (y == y[:, :1]).all()
    fallen = y[:, 0] == 0  # (B, T, V)
    frames, joints = fallen.all(dim=2), fallen.all(dim=1)
    assert torch.equal(fallen, frames[:, :, None] | joints[:, None, :])
    assert fallen.any()
    assert not fallen.all()


@pytest.mark.parametrize("keep", [0.9, 0.99])
def test_about_one_minus_keep_of_the_joints_fall(keep: float) -> None:
    torch.manual_seed(0)
    mask = drop(keep)._joint_mask(torch.ones(4000, 27))
    # A seed fells 1 + degree joints, on average 2.93; overlaps make it a little less.
    assert (mask == 0).float().mean().item() == pytest.approx(1 - keep, rel=0.12)


def test_joints_with_more_attention_fall_more_often() -> None:
    torch.manual_seed(0)
    attention = torch.ones(4000, 27)
    attention[:, 10] = 4
    fallen = (drop(0.9)._joint_mask(attention) == 0).float().mean(dim=0)
    assert fallen[10] > 1.5 * fallen[12]  # two finger tips


@settings(max_examples=40, deadline=None)
@given(
    keep=st.floats(0.01, 0.99),
    scale=st.sampled_from([0.0, 1e-30, 1.0, 1e30]),
    T=st.integers(1, 90),
    seed=st.integers(0, 1000),
)
def test_always_finite(keep: float, scale: float, T: int, seed: int) -> None:
    torch.manual_seed(seed)
    x = (torch.rand(2, 3, T, 27) * scale).requires_grad_()
    y = drop(keep)(x)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_blocks_of_frames_must_be_odd() -> None:
    with pytest.raises(ValueError, match="odd, found 40"):
        drop(0.9, block_frames=40)
