"""Logits of a trained model."""

import logging
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import Loader
from slr_pipeline.errors import SlrError
from slr_pipeline.training.device import is_out_of_memory

log = logging.getLogger(__name__)


@torch.no_grad()
def predict(
    model: nn.Module,
    dataset: StreamDataset,
    *,
    batch_size: int,
    device: torch.device | str = "cpu",
    loader: Loader | None = None,
    samples: Sequence[int] | None = None,
    advance: Callable[[int], None] = lambda clips: None,
) -> NDArray[np.float32]:
    """Logits (N, K) float32 in the order of `dataset.names`, N >= 1; the mean over its views.

    A model that returns more than (B, K), such as `Seeds`, gives as many axes here.
    `samples` are the numbers of the samples to predict; None: all. Without `loader` this process
    loads them. `model` is moved to `device` and left in eval mode, in which batches do not affect
    logits. Out of memory, `batch_size` is halved from then on; SlrError where one clip does not
    fit. `advance` is called with the number of clips of each batch; a sample has one per view.
    """
    views = len(dataset.views)
    chosen = range(len(dataset.names)) if samples is None else samples
    order = [sample * views + view for sample in chosen for view in range(views)]
    model.to(device).eval()
    logits = []
    at_once = batch_size
    loader = loader or Loader(dataset)
    for inputs, _, names in loader.batches(dataset, batch_size=batch_size, order=order):
        done = 0
        while done < len(names):
            part = [values[done : done + at_once] for values in inputs]
            answer = _logits(model, dataset, part, torch.device(device))
            if answer is not None:
                logits.append(answer)
                done += len(answer)
                continue
            if at_once == 1:
                raise SlrError(
                    f"{names[done]}: out of memory on {device} with one clip at a time; use "
                    "another device, or train a smaller model"
                )
            at_once = math.ceil(min(at_once, len(names)) / 2)
            log.warning("out of memory on %s; continuing with %d clips at a time", device, at_once)
        advance(len(names))
    rows = torch.cat(logits).numpy()
    return np.asarray(rows.reshape(-1, views, *rows.shape[1:]).mean(axis=1), np.float32)


def _logits(
    model: nn.Module, dataset: StreamDataset, inputs: Sequence[Tensor], device: torch.device
) -> Tensor | None:
    """Logits on the CPU; None where memory is exhausted."""
    try:
        logits: Tensor = model(*dataset.prepare(inputs, device)).float().cpu()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        # The traceback, gone after this, keeps the tensors that fill the memory.
    else:
        return logits
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return None
