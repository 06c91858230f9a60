"""Checks that stop a hopeless training before it costs hours."""

import copy
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from scipy.special import bdtrc
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.errors import SlrError
from slr_pipeline.training.device import is_out_of_memory

log = logging.getLogger(__name__)

GATE_SAMPLES = 4

GATE_RATES = (3e-3, 1e-3, 1e-2, 1e-4)
"""Learning rates to try: narrow models need a high one, transformers a low one. The streams of the
demo overfit in 3 to 26 steps at the first; at 1e-3 they need 3 to 71."""

OVERFITTED = 0.1
"""A batch is overfitted when all answers are right and the loss is below this share of ln K, the
loss of guessing."""

SIGNIFICANT = 0.05

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def check_learns(
    model: nn.Module,
    train: StreamDataset,
    recipe: TrainingSettings,
    *,
    device: torch.device | str = "cpu",
) -> None:
    """Sanity check: a copy of `model` must overfit one small batch in `overfit_steps` steps.

    The batch has up to 4 items of as many classes as possible. Adam with four learning rates, no
    dropout. Out of memory, the check is skipped.

    Raises SlrError when the copy does not overfit: something is wrong with the items or the model.
    """
    if recipe.overfit_steps == 0:
        return
    at_once = max(2, recipe.micro_batch or recipe.batch_size)
    order = spread(train.labels, min(GATE_SAMPLES, at_once))
    train.set_epoch(0)
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        inputs, labels, names = next(batches(train, batch_size=len(order), order=order))
        inputs, labels = train.prepare(inputs, device), labels.to(device)
        tries = []
        for rate in GATE_RATES:
            try:
                losses = _losses(model, inputs, labels, rate=rate, steps=recipe.overfit_steps)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                log.warning("out of memory: skipped the check that the model can learn")
                return
            if losses is None:
                return
            tries.append(losses)
    lowest = min(tries, key=lambda losses: losses[-1])
    raise SlrError(
        f"the model does not overfit {len(names)} training items: their loss was {lowest[0]:.4g} "
        f"and is {lowest[-1]:.4g} after {len(lowest)} steps; look at the labels and the features "
        f"of {', '.join(names)}, and at init; or increase overfit_steps, or set it to 0 to skip "
        "this check"
    )


def _losses(
    model: nn.Module, inputs: Sequence[Tensor], labels: Tensor, *, rate: float, steps: int
) -> list[float] | None:
    """The loss of a copy of the model at each step; None: it overfits the batch."""
    learner = copy.deepcopy(model).to(labels.device).eval()  # no dropout of any kind
    for module in learner.modules():
        if isinstance(module, NORMS):
            module.train()
    optimizer = Adam(learner.parameters(), lr=rate, fused=True)
    losses: list[float] = []
    for _ in range(steps):
        logits = learner(*inputs)
        loss = cross_entropy(logits, labels)
        losses.append(loss.item())
        right = bool((logits.argmax(dim=1) == labels).all())
        if right and losses[-1] <= OVERFITTED * math.log(logits.shape[1]):
            return None
        if not (math.isfinite(losses[-1]) and loss.requires_grad):
            break
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return losses


def spread(labels: Sequence[int], count: int) -> list[int]:
    """Indices of up to `count` labels: the first of each class, then the second of each, ..."""
    seen: Counter[int] = Counter()
    rounds = []
    for label in labels:
        rounds.append(seen[label])
        seen[label] += 1
    return sorted(range(len(labels)), key=lambda index: rounds[index])[:count]


def check_above_chance(
    history: Sequence[Mapping[str, float]], *, samples: int, chance: float, epochs: int | None
) -> None:
    """After `epochs` epochs the best val accuracy must be above chance; None: no check.

    `history` has a row with `val_accuracy` for every epoch; `samples` is the number of val samples,
    `chance` the accuracy of guessing.

    Raises SlrError when it is not (one-sided binomial test, p < 0.05). Where val is too small for
    any accuracy to be significant, there is no check.
    """
    if epochs is None or len(history) < epochs or chance**samples >= SIGNIFICANT:
        return
    best = max(row["val_accuracy"] for row in history)
    p = float(bdtrc(round(best * samples) - 1, samples, chance))
    if p >= SIGNIFICANT:
        raise SlrError(
            f"after {len(history)} epochs val accuracy is not above chance: at best {best:.4f} of "
            f"{samples} samples, chance {chance:.4f} (p = {p:.2g}); look at the labels "
            "and the features, change learning_rate, or set chance_epochs to null to continue"
        )
