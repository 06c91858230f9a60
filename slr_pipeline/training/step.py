"""One step of the optimiser: gradients of a batch in parts that fit in memory, and their check."""

import logging
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from slr_pipeline.data.loading import Batch
from slr_pipeline.errors import SlrError
from slr_pipeline.training.gate import NORMS
from slr_pipeline.training.numerics import random_state, set_random_state
from slr_pipeline.training.processes import add_up, gathered, said_once, together
from slr_pipeline.training.run import Run

log = logging.getLogger(__name__)

NAMED = 32
"""Samples of a bad batch that a message names."""


def take_step(run: Run, left: Iterator[Batch]) -> None:
    """One step of the optimiser, on the next batch, of which each process has its share."""
    at, recipe = run.at, run.recipe
    with together(run.fabric):
        inputs, labels, names = next(left)
        sums = _gradients_in_memory(run, inputs, labels, names)
    if run.fabric.world_size > 1:
        sums = _shared(run, sums)
    norm = run.fabric.clip_gradients(
        run.model,
        run.optimizer,
        max_norm=recipe.clip_norm or math.inf,  # inf: measured, not clipped
        error_if_nonfinite=False,
    )
    assert norm is not None  # as it is where values are clipped, not the norm
    loss_sum, correct, length = torch.cat([sums, norm[None]]).tolist()
    if not math.isfinite(loss_sum):
        raise _not_finite(run, "loss", loss_sum, names)
    if not math.isfinite(length) and recipe.precision != "fp16":  # its scaler skips such a step
        raise _not_finite(run, "norm of the gradients", length, names)
    if at.epoch in recipe.reset_epochs:
        run.optimizer.state.clear()
    run.optimizer.step()
    if run.mean is not None:
        run.mean.update_parameters(run.model)
    at.step += 1
    at.loss_sum += loss_sum
    at.correct += int(correct)
    at.count += len(names) * run.fabric.world_size


def _gradients_in_memory(
    run: Run, inputs: Sequence[Tensor], labels: Tensor, names: Sequence[str]
) -> Tensor:
    """As `_gradients`; where memory does not suffice, again from the start in smaller parts."""
    device = run.fabric.device
    while True:
        random = random_state(device)
        buffers = [buffer.clone() for buffer in run.model.buffers()]  # such as those of batch norm
        try:
            return _gradients(run, inputs, labels)
        except torch.OutOfMemoryError as error:
            if run.at.micro == 1:
                raise SlrError(
                    f"epoch {run.at.epoch}: out of memory on {device} with one sample at a time "
                    f"({', '.join(names[:NAMED])}); use a smaller model or another device"
                ) from error
        # Not in the handler: its traceback holds on to what fills the memory.
        run.optimizer.zero_grad()
        for buffer, before in zip(run.model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        set_random_state(device, random)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        run.at.micro = math.ceil(run.at.micro / 2)
        log.warning(
            "epoch %d: out of memory on %s; from here on %d samples at a time (micro_batch)",
            run.at.epoch,
            device,
            run.at.micro,
        )


def _gradients(run: Run, inputs: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Set the gradients of a share's part in the mean loss of a batch.

    Gives the share's summed loss and right answers (2,).
    The parts are of equal size, as far as that goes: batch norm sees no small rest.
    """
    run.optimizer.zero_grad()
    parts = math.ceil(len(labels) / run.at.micro)
    sums = torch.zeros(2, device=run.fabric.device)
    for part in zip(*(values.tensor_split(parts) for values in (*inputs, labels)), strict=True):
        *x, truth = run.fabric.to_device(part)
        with run.fabric.autocast():
            logits = run.model(*x)
        loss = cross_entropy(
            logits.float(), truth, label_smoothing=run.recipe.label_smoothing, reduction="sum"
        )
        run.fabric.backward(loss / (len(labels) * run.fabric.world_size))
        sums += torch.stack([loss.detach(), (logits.argmax(dim=1) == truth).sum()])
    return sums


def _shared(run: Run, sums: Tensor) -> Tensor:
    """Gradients and sums of the batch out of those of its shares; batch norm: mean statistics.

    A parameter without a gradient in all processes stays without. All in one message.
    """
    moved = [weight for weight in run.model.parameters() if weight.requires_grad]
    norms = [module for module in run.model.modules() if isinstance(module, NORMS)]
    statistics = [
        values
        for norm in norms
        for values in (norm.running_mean, norm.running_var)
        if values is not None
    ]
    known = torch.tensor([float(weight.grad is not None) for weight in moved])
    parts = [
        run.fabric.to_device(known),
        sums,
        *(torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in moved),
        *(values / run.fabric.world_size for values in statistics),
    ]
    message = torch.cat([part.flatten() for part in parts])
    add_up(run.fabric, message)
    known, sums, *rest = torch.split(message, [part.numel() for part in parts])
    for weight, gradient, count in zip(moved, rest, known.tolist(), strict=False):
        weight.grad = gradient.view_as(weight) if count else None
    for values, mean in zip(statistics, rest[len(moved) :], strict=True):
        values.copy_(mean.view_as(values))
    return sums


def _not_finite(run: Run, what: str, value: float, names: Sequence[str]) -> BaseException:
    names = [name for share in gathered(run.fabric, names) for name in share]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    error = SlrError(
        f"epoch {run.at.epoch}: the {what} is {value} for the batch of "
        f"{', '.join(names[:NAMED])}{more}; lower learning_rate, set clip_norm, or look at the "
        "features of these samples"
    )
    return said_once(run.fabric, error)
