"""Loading within the memory of the job: how many workers, and how many batches ahead."""

import logging
from collections.abc import Sequence

import torch
from torch import nn

from slr_pipeline.config.memory import (
    MB,
    MOST_IN_FLIGHT,
    affordable,
    fixed_bytes,
    in_flight,
)
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import SHARED_MEMORY, Loader, shared_bytes
from slr_pipeline.io.machine import memory_limit

log = logging.getLogger(__name__)


def open_loader(
    model: nn.Module,
    datasets: Sequence[StreamDataset],
    *,
    batch_size: int,
    workers: int,
    device: torch.device,
    processes: int = 1,
) -> Loader:
    """A loader of some data sets for a model; fewer workers where the job lacks the memory.

    `batch_size` is that of the largest batches, `processes` the number of such loaders that share
    the memory of this job. Logs one line: how many batches exist at once, and what limits them.
    """
    pin_memory = device.type == "cuda"
    if not workers:
        return Loader(*datasets, pin_memory=pin_memory)
    item = max(sum(part.nbytes for part in dataset[0][0]) for dataset in datasets)
    batch_bytes = batch_size * item
    weights = sum(parameter.nbytes for parameter in model.parameters())
    limit, source = memory_limit()
    room = limit // processes - fixed_bytes(device.type, weights, workers)
    most = affordable(batch_bytes, workers, MOST_IN_FLIGHT)
    planned = affordable(batch_bytes, most[0], min(room, MOST_IN_FLIGHT))
    shared = shared_bytes() // processes
    if planned[0] and in_flight(batch_bytes, *planned) > shared:
        fewer = affordable(batch_bytes, planned[0], shared)
        if fewer[0]:
            planned, source = fewer, SHARED_MEMORY
        else:  # through pipes, where a batch is in memory twice
            planned = affordable(2 * batch_bytes, planned[0], min(room, MOST_IN_FLIGHT))
    log.log(
        logging.INFO if planned == most else logging.WARNING,
        "loading by %d workers: batches of %.0f MB, %d ahead of each; at most %.0f MB at once%s",
        planned[0],
        batch_bytes / MB,
        planned[1],
        in_flight(batch_bytes, *planned) / MB,
        ""
        if planned == most
        else f"; {source} has no room for {most[0]} workers and {most[1]} ahead",
    )
    return Loader(*datasets, workers=planned[0], prefetch=planned[1], pin_memory=pin_memory)
