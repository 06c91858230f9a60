"""The processes of one training: how they start, and what they agree on. One may be on its own."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from slr_pipeline.errors import ConfigError, SlrError

T = TypeVar("T")

LAUNCHER = "SLR_LAUNCHER"
"""Environment variable: number of the process that started the others of this machine."""


def launch(fabric: Fabric, gpus: int, nodes: int) -> None:
    """Start the other processes of this machine, where no cluster has, and find all of them.

    `gpus` processes on each of `nodes` machines, which share the threads of theirs.

    Raises ConfigError when there are not as many.
    """
    assert isinstance(fabric.strategy, DDPStrategy)
    environment = fabric.strategy.cluster_environment
    assert environment is not None
    if nodes > 1 and not environment.creates_processes_externally:
        raise ConfigError(
            f"nodes: {nodes}: nobody has started this training on other machines; submit it with "
            "a cluster profile (docs/how-to/slurm.md), or set nodes: 1"
        )
    threads = torch.get_num_threads()
    _end_with_the_launcher()
    fabric.launch()
    torch.set_num_threads(max(1, threads // gpus))
    if fabric.global_rank > 0:  # the first one tells what all of them do
        logging.getLogger("slr_pipeline").setLevel(logging.WARNING)
    if fabric.world_size != gpus * nodes:
        raise ConfigError(
            f"gpus: {gpus}, nodes: {nodes}: expected {gpus * nodes} processes, found "
            f"{fabric.world_size}; have the cluster start {gpus} tasks on each of {nodes} nodes"
        )


def _end_with_the_launcher() -> None:
    """A process that another one of this machine started does not outlive it."""
    launcher = int(os.environ.setdefault(LAUNCHER, str(os.getpid())))

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(0.5)
        os._exit(1)

    if launcher != os.getpid():
        threading.Thread(target=watch, daemon=True).start()


@contextmanager
def together(fabric: Fabric) -> Iterator[None]:
    """All processes get out of this, or none: an error in one of them ends all.

    The error that comes out is that of the first process, or speaks for another one.
    """
    if fabric.world_size == 1:
        yield
        return
    problem: Exception | None = None
    try:
        yield
    except Exception as error:
        problem = error
    if largest(fabric, int(problem is not None)) == [0]:
        return
    lines = gathered(fabric, None if problem is None else _line(problem))
    if problem is not None and (fabric.global_rank == 0 or not isinstance(problem, SlrError)):
        raise problem
    raise said_once(fabric, SlrError(next(line for line in lines if line is not None)))


def said_once(fabric: Fabric, error: SlrError) -> BaseException:
    """What each process raises for an error that all of them have: the first one says it."""
    return error if fabric.global_rank == 0 else SystemExit(0)


def largest(fabric: Fabric, *values: int) -> list[int]:
    """The largest of each value that a process gives."""
    if fabric.world_size == 1:
        return list(values)
    found = torch.tensor(values, device=fabric.device)
    with _connected(fabric):
        dist.all_reduce(found, dist.ReduceOp.MAX)
    return found.tolist()


def add_up(fabric: Fabric, values: Tensor) -> None:
    """Put the sum over the processes in place of the values; the same bits in each of them."""
    with _connected(fabric):
        dist.all_reduce(values)


def gathered(fabric: Fabric, value: T) -> list[T]:
    """What each process gives, in their order."""
    if fabric.world_size == 1:
        return [value]
    values = [value] * fabric.world_size
    with _connected(fabric):
        dist.all_gather_object(values, value)
    return values


def of_first(fabric: Fabric, value: T) -> T:
    """What the first process gives."""
    with _connected(fabric):
        return fabric.broadcast(value)


@contextmanager
def _connected(fabric: Fabric) -> Iterator[None]:
    """Say in a line that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        if fabric.global_rank > 0:
            raise SystemExit(1) from error
        raise SlrError(
            f"another process of this training has ended ({_line(error)}); look above for its "
            "error, then the same command goes on from the last state"
        ) from error


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, SlrError) else f"{type(error).__name__}: {text}"
