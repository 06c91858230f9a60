"""The process or processes of a training: Fabric with a precision, and DDP where there are several.

With DDP each process trains on an equal share of every batch and the gradients are averaged, so
that all processes take the same steps. Batch norm sees the share of its process; its running
statistics are those of rank 0, which DDP broadcasts before every step.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import distributed

from slr_pipeline.errors import ConfigError, SlrError
from slr_pipeline.training.device import several_gpus
from slr_pipeline.training.numerics import chosen_precision

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}
"""Our names of precisions, and Fabric's."""


def make_fabric(device: torch.device, precision: str, *, gpus: int = 1, nodes: int = 1) -> Fabric:
    """Fabric for one process on one device, or for `gpus` processes on each of `nodes` machines.

    For precision `auto` see `chosen_precision`. With several processes Fabric
    starts the others of this machine: they run the same command again. A cluster starts them all.

    Raises ConfigError for fp16 without a GPU, and for fewer GPUs or processes than expected.
    """
    precision = chosen_precision(device, precision)
    if precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision fp16 needs a GPU, found {device}; use auto, bf16 or fp32")
    if gpus * nodes == 1:
        return Fabric(
            accelerator=device.type,
            devices=1 if device.index is None else [device.index],
            precision=PRECISIONS[precision],
            # Without this, Fabric inside a SLURM job expects a process for each of its tasks.
            plugins=LightningEnvironment(),
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=several_gpus(device, gpus) if device.type == "cuda" else gpus,
        num_nodes=nodes,
        strategy="ddp",
        precision=PRECISIONS[precision],
    )
    _launch(fabric, gpus, nodes)
    return fabric


def _launch(fabric: Fabric, gpus: int, nodes: int) -> None:
    """Start the processes, or join those that a cluster started; they share the threads."""
    assert isinstance(fabric.strategy, DDPStrategy)
    environment = fabric.strategy.cluster_environment
    assert environment is not None
    by_cluster = environment.creates_processes_externally
    if nodes > 1 and not by_cluster:
        raise ConfigError(
            f"nodes: {nodes}: only a cluster can start processes on other machines; submit the "
            "training with a cluster profile (docs/how-to/slurm.md), or set nodes: 1"
        )
    threads = torch.get_num_threads()
    if not by_cluster and "LOCAL_RANK" in os.environ:
        _exit_with_parent()
    if sys.flags.safe_path:
        os.environ["PYTHONSAFEPATH"] = "1"  # Fabric repeats the command without -P
    fabric.launch()
    torch.set_num_threads(max(1, threads // gpus))
    if fabric.global_rank > 0:  # rank 0 logs for all
        logging.getLogger("slr_pipeline").setLevel(logging.WARNING)
    if fabric.world_size != gpus * nodes:
        raise ConfigError(
            f"gpus: {gpus}, nodes: {nodes}: expected {gpus * nodes} processes, found "
            f"{fabric.world_size}; have the cluster start {gpus} tasks on each of {nodes} nodes"
        )


def _exit_with_parent() -> None:
    """End this process when the one that started it ends, however that happens."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def ends_with_the_others(fabric: Fabric) -> Iterator[None]:
    """Within, the end of another process ends this one, and rank 0 says so in one line.

    The process that failed prints its error itself. Where the backend does not notice its end
    (NCCL), Fabric's launcher or `srun --kill-on-bad-exit` kills the others.
    """
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, distributed.DistError) or "gloo" in str(error)
        if fabric.world_size == 1 or not lost:
            raise
        if fabric.global_rank > 0:
            raise SystemExit(1) from error
        raise SlrError(
            "another process of this training has ended; see its error above, then run the same "
            "command again: it resumes from the last state"
        ) from error
