"""Precision, determinism and random numbers: what a result depends on beside its seed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from slr_pipeline.config.recipes import TrainingSettings


@contextmanager
def own_numerics(device: torch.device, recipe: TrainingSettings) -> Iterator[None]:
    """Within, random numbers and the choice of algorithms do not affect the caller's.

    Where `recipe.deterministic`, torch takes deterministic GPU algorithms wherever it has them; an
    operation that has none runs all the same, and torch warns that its results may differ from run
    to run. On a CPU, where `matmul_precision` has no effect either, this is always so.
    """
    on_gpu = device.type == "cuda"
    devices = [device] if on_gpu else []
    deterministic = recipe.deterministic or not on_gpu
    products = recipe.matmul_precision if on_gpu else "highest"
    if deterministic and devices:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    settings = torch.utils.deterministic
    fill = settings.fill_uninitialized_memory  # type: ignore[attr-defined]
    products_before = torch.get_float32_matmul_precision()
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(
            enabled=True,
            benchmark=not deterministic,
            deterministic=deterministic,
            allow_tf32=products != "highest",
        ),
    ):
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        torch.set_float32_matmul_precision(products)
        # Filling every new tensor costs 4 to 13 % of a step; no operation reads unset memory.
        settings.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
            torch.set_float32_matmul_precision(products_before)
            settings.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def chosen_precision(device: torch.device, precision: str) -> str:
    """The precision of a recipe; `auto` is bf16 on a GPU that supports it, else fp32."""
    if precision != "auto":
        return precision
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if has_bf16 else "fp32"


@contextmanager
def prediction_numerics(device: torch.device, recipe: TrainingSettings) -> Iterator[None]:
    """Like `own_numerics`, and in the precision of the recipe on a GPU; a CPU predicts in fp32."""
    precision = chosen_precision(device, recipe.precision)
    half = device.type == "cuda" and precision != "fp32"
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    with own_numerics(device, recipe), torch.autocast(device.type, dtype, enabled=half):
        yield


def random_state(device: torch.device) -> list[Tensor]:
    """States of the generators that dropout draws from: the CPU's and, on a GPU, the GPU's."""
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_gpu]


def set_random_state(device: torch.device, states: Sequence[Tensor]) -> None:
    """Restore the generators; a GPU's keeps its state where `states` come from a CPU."""
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
