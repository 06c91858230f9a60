"""SL-GCN against its plain formulation: milliseconds of a forward and backward pass, on the CPU.

    python -m benchmarks.slgcn                         # one thread, widths 64, 32 and 16
    python -m benchmarks.slgcn --threads 2 --widths 16

The plain formulation (`tests/models/slgcn_reference.py`) repeats the adjacencies for all channels,
takes one einsum over the subsets, and runs the attention stage by stage. Both have the same
weights; their outputs and gradients are compared first (gradients in double precision, because the
plain formulation is less exact in single precision). They run in turn, so that other load on the
machine affects both. "times faster" is the median over the pairs, with its bootstrap interval.

Optimisations at width 64 on one thread of an AMD EPYC (plain 6.0 s, the earlier module 4.4 s; the
convolutions over frames run at the machine's peak in any layout and take 1.9 s of both):

- batch statistics by vector sums instead of torch's scalar ones: a norm of 33 MB takes 4 instead of
  16 ms;
- frames last, so that the graph product reads subsets and joints as rows: no copies (0.34 s);
- projection, norm and graph product in one function, one sample at a time in the cache, with the
  norm's scale in the columns: 89 instead of 140 ms per unit, including norm and ReLU;
- the attention's weighted mean as a matrix product instead of an einsum that copies: 4 instead of
  16 ms;
- sum and ReLU in place: fewer fresh pages, 230 instead of 285 ms per unit;
- not kept: channels last (weight gradients a quarter slower), channels first with the batch last
  (a 3-d convolution, no faster), the attention's gates in a separate function (2 %).
"""

import argparse
import copy
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.intervals import bootstrap_interval
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.skeleton import BONES_27
from tests.models import slgcn_reference as plain

CLASSES = 226


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 32, 16])
    parser.add_argument("--pairs", type=int, default=10, help="number of timed runs of each")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=100)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    print(f"batch {flags.batch}, {flags.frames} frames, {flags.threads} threads, ", end="")
    print(f"torch {torch.__version__}\n")
    print("| width | plain, ms (range) | module, ms (range) | times faster (95 %; range) | pairs |")
    print("|---:|---:|---:|---:|---:|")
    for width in flags.widths:
        print_row(width, flags.batch, flags.frames, flags.pairs)


def print_row(width: int, batch: int, frames: int, pairs: int) -> None:
    torch.manual_seed(0)
    model = perturbed(SLGCN(classes=CLASSES, joints=27, bones=BONES_27, width=width).train())
    x = torch.randn(batch, 3, frames, 27)
    check(copy.deepcopy(model).double(), x[:4].double(), gradients=True)
    check(copy.deepcopy(model), x, gradients=False)
    weights = plain.PublishedWeights(copy.deepcopy(model))

    def run_module() -> None:
        loss(model(x)).backward()

    def run_plain() -> None:
        loss(plain.logits(x, weights, training=True)).backward()

    run_module()
    run_plain()
    times = 1000 * np.array([[timed(run_plain), timed(run_module)] for _ in range(pairs)])
    ratio = times[:, 0] / times[:, 1]
    low, high = bootstrap_interval(ratio, np.median)
    cells = [f"{np.median(ms):.0f} ({ms.min():.0f} to {ms.max():.0f})" for ms in times.T]
    print(
        f"| {width} | {cells[0]} | {cells[1]} | {np.median(ratio):.2f} ({low:.2f} to {high:.2f}; "
        f"{ratio.min():.2f} to {ratio.max():.2f}) | {pairs} |",
        flush=True,
    )


def perturbed(model: SLGCN) -> SLGCN:
    """Move every weight away from its initial value, so that every stage has an effect."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.add_(torch.rand_like(weight) * (0.15 if "norm" in name else 0.01))
    return model


def loss(logits: Tensor) -> Tensor:
    return functional.cross_entropy(logits, torch.arange(len(logits)))


def check(model: SLGCN, x: Tensor, *, gradients: bool) -> None:
    """Raise AssertionError if the two differ by a relative 1e-4."""
    other = copy.deepcopy(model)
    logits = model(x), plain.logits(x, plain.PublishedWeights(other), training=True)
    pairs = {"logits": logits}
    if gradients:
        for each in logits:
            loss(each).backward()
        for (name, ours), theirs in zip(model.named_parameters(), other.parameters(), strict=True):
            if not name.endswith(("project.bias", "conv.bias")):  # 0: a norm cancels them
                pairs[name] = (ours.grad, theirs.grad)
    for name, (ours, theirs) in pairs.items():
        difference = ((ours - theirs).norm() / theirs.norm()).item()
        if not difference < 1e-4:
            raise AssertionError(f"{name}: relative difference {difference:.1e}")


def timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
