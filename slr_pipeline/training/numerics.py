"""Precision and determinism: what the numbers of a run depend on beside its seed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor

from slr_pipeline.errors import ConfigError
from slr_pipeline.training.device import several_gpus
from slr_pipeline.training.processes import launch

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}
"""What Fabric calls them."""


def make_fabric(device: torch.device, precision: str, *, gpus: int = 1, nodes: int = 1) -> Fabric:
    """One process on one device, or `gpus` on each of `nodes` machines, with a device each.

    Precision `auto` is bf16 on a GPU that has it, else fp32. The processes of this machine run the
    command of this one again, up to here, unless a cluster has started them.

    Raises ConfigError for fp16 without a GPU, and for fewer GPUs or processes than expected.
    """
    if precision == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if has_bf16 else "fp32"
    if precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision fp16 needs a GPU, found {device}; use auto, bf16 or fp32")
    if gpus * nodes == 1:
        return Fabric(
            accelerator=device.type,
            devices=1 if device.index is None else [device.index],
            precision=PRECISIONS[precision],
            # Else Fabric takes the tasks of a job, where it finds itself in one, for its own.
            plugins=LightningEnvironment(),
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=several_gpus(device, gpus) if device.type == "cuda" else gpus,
        num_nodes=nodes,
        strategy="ddp",
        precision=PRECISIONS[precision],
    )
    launch(fabric, gpus, nodes)
    return fabric


@contextmanager
def own_randomness(device: torch.device, deterministic: bool) -> Iterator[None]:
    """Seeds and algorithms chosen inside do not reach outside."""
    devices = [device] if device.type == "cuda" else []
    if deterministic and devices:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(
            enabled=True, benchmark=not deterministic, deterministic=deterministic
        ),
    ):
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def random_state(device: torch.device) -> list[Tensor]:
    """Of the generators that dropout draws from: the CPU's and, on a GPU, its own."""
    own = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *own]


def set_random_state(device: torch.device, states: Sequence[Tensor]) -> None:
    """Undo what was drawn since `random_state`; a GPU that was none then keeps its generator."""
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
