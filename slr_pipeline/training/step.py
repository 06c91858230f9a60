"""One optimiser step: the gradients of a batch, in parts that fit in memory, and their check."""

import logging
import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

from slr_pipeline.data.loading import Batch
from slr_pipeline.errors import SlrError
from slr_pipeline.training.device import is_out_of_memory
from slr_pipeline.training.numerics import random_state, set_random_state
from slr_pipeline.training.run import TrainingRun

log = logging.getLogger(__name__)

MOST_NAMED = 32
"""Samples of a bad batch that a message names."""

INTERVAL = {"cpu": 1, "cuda": 10}
"""Steps between two looks at their results, by type of device: a GPU need not wait after each."""


def take_step(run: TrainingRun, wrapped: _FabricModule, shares: Iterator[Batch]) -> None:
    """One optimiser step on the next batch; each process has a share of it.

    `wrapped` is the model as `fabric.setup_module` returns it. `check_steps` looks at the result,
    which stays on the device until then.
    """
    progress, recipe, fabric = run.progress, run.recipe, run.fabric
    inputs, labels, names = next(shares)
    sums = _gradients_in_memory(run, wrapped, inputs, labels, names)
    norm = fabric.clip_gradients(
        run.model,
        run.optimizer,
        max_norm=recipe.clip_norm or math.inf,  # inf: measured, not clipped
        error_if_nonfinite=False,
    )
    assert norm is not None  # None only where values are clipped
    run.unchecked.append((names, sums, norm))
    if INTERVAL[fabric.device.type] == 1:
        check_steps(run)  # before the weights change
    if progress.epoch in recipe.reset_epochs:
        run.optimizer.state.clear()
    run.optimizer.step()
    if run.average is not None:
        run.average.update_parameters(run.model)
    progress.step += 1


def check_steps(run: TrainingRun) -> None:
    """Count loss and right answers of the steps since the last check, which all processes call.

    Raises SlrError, naming the batch, where a loss or a gradient is not finite.
    """
    if not run.unchecked:
        return
    progress, fabric = run.progress, run.fabric
    sums = fabric.all_reduce(torch.stack([sums for _, sums, _ in run.unchecked]), reduce_op="sum")
    assert isinstance(sums, Tensor)
    norms = torch.stack([norm for *_, norm in run.unchecked])
    values = torch.cat([sums, norms[:, None]], dim=1).tolist()  # waits for the device
    for (names, *_), (loss_sum, correct, norm) in zip(run.unchecked, values, strict=True):
        if not math.isfinite(loss_sum):
            raise _not_finite(progress.epoch, "loss", loss_sum, names)
        # The scaler of fp16 skips such a step.
        if not math.isfinite(norm) and run.recipe.precision != "fp16":
            raise _not_finite(progress.epoch, "norm of the gradients", norm, names)
        progress.loss_sum += loss_sum
        progress.correct += int(correct)
        progress.count += len(names) * fabric.world_size
    run.unchecked.clear()


def _gradients_in_memory(
    run: TrainingRun,
    wrapped: _FabricModule,
    inputs: Sequence[Tensor],
    labels: Tensor,
    names: Sequence[str],
) -> Tensor:
    """Like `_gradients`; out of memory, one process starts the batch again with smaller parts.

    Several processes do not: the others may already wait for the gradients of this one.
    """
    progress, device = run.progress, run.fabric.device
    while True:
        can_halve = progress.micro_batch > 1 and run.fabric.world_size == 1
        random = random_state(device) if can_halve else []
        # Such as those of batch norm.
        buffers = [buffer.clone() for buffer in run.model.buffers()] if can_halve else []
        try:
            return _gradients(run, wrapped, inputs, labels)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                if run.recipe.compile:
                    _check_compiled(error)
                raise
            if not can_halve:
                raise _out_of_memory(run, names) from error
        # Not in the handler: its traceback keeps the tensors that fill the memory.
        run.optimizer.zero_grad()
        for buffer, before in zip(run.model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        set_random_state(device, random)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        progress.micro_batch = math.ceil(progress.micro_batch / 2)
        log.warning(
            "epoch %d: out of memory on %s; continuing with %d samples at a time (micro_batch)",
            progress.epoch,
            device,
            progress.micro_batch,
        )


def _gradients(
    run: TrainingRun, wrapped: _FabricModule, inputs: Sequence[Tensor], labels: Tensor
) -> Tensor:
    """Set the gradients of the mean loss; returns summed loss and right answers of the share (2,).

    The parts are of about equal size, so that batch norm does not see a small rest. With several
    processes, DDP averages the gradients in the backward pass of the last part.
    """
    fabric, recipe = run.fabric, run.recipe
    share = 0.0 if recipe.mixup is None else _smaller_share(recipe.mixup)
    summed = partial(cross_entropy, label_smoothing=recipe.label_smoothing, reduction="sum")
    run.optimizer.zero_grad()
    count = math.ceil(len(labels) / run.progress.micro_batch)
    parts = zip(*(values.tensor_split(count) for values in (*inputs, labels)), strict=True)
    sums = torch.zeros(2, device=fabric.device)
    for number, part in enumerate(parts, start=1):
        *x, truth = part
        x, truth = run.prepare(x, fabric.device), truth.to(fabric.device, non_blocking=True)
        other = truth
        if recipe.mixup is not None:
            order = torch.randperm(len(truth)).to(fabric.device)
            x, other = [values.lerp(values[order], share) for values in x], truth[order]
        with fabric.no_backward_sync(wrapped, enabled=number < count):
            logits = wrapped(*x)
            loss = summed(logits.float(), truth)
            if recipe.mixup is not None:
                loss = loss.lerp(summed(logits.float(), other), share)
            fabric.backward(loss / len(labels))
        sums += torch.stack([loss.detach(), (logits.argmax(dim=1) == truth).sum()])
    return sums


def _smaller_share(mixup: float) -> float:
    """Share of the other item in a mixed one (Zhang et al., 2018), at most 0.5.

    The CPU's generator draws it, like dropout. Beta(mixup, mixup) is symmetric, and so is the
    choice of the other item: mixed items are distributed as with any share.
    """
    share = Beta(mixup, mixup).sample().item()
    return min(share, 1 - share)


def _out_of_memory(run: TrainingRun, names: Sequence[str]) -> SlrError:
    micro_batch, size, advice = run.progress.micro_batch, "one sample", "use a smaller model"
    if micro_batch > 1:
        size, advice = f"{micro_batch} samples", "set a smaller micro_batch"
    return SlrError(
        f"epoch {run.progress.epoch}: out of memory on {run.fabric.device} with {size} at a time "
        f"({', '.join(names[:MOST_NAMED])}); {advice} or use another device"
    )


def _check_compiled(error: RuntimeError) -> None:
    """Raise SlrError where torch.compile has failed."""
    if isinstance(error, torch._dynamo.exc.TorchDynamoException):
        raise SlrError(
            f"torch cannot compile the model ({str(error).splitlines()[0]}); set compile: false, "
            "or install a C++ compiler and, for a GPU, Triton"
        ) from error


def _not_finite(epoch: int, what: str, value: float, names: Sequence[str]) -> SlrError:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return SlrError(
        f"epoch {epoch}: the {what} is {value} for the batch of {', '.join(names[:MOST_NAMED])}"
        f"{more}; lower learning_rate, set clip_norm, or look at the features of these samples"
    )
