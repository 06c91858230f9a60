"""Stop a training that cannot come to anything before it costs hours."""

import copy
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.errors import SlrError

log = logging.getLogger(__name__)

GATE_SAMPLES = 8

GATE_RATES = (1e-3, 1e-2, 1e-4)
"""Learning rates that are tried: narrow models want a high one, transformers a low one."""

LEARNT = 0.1
"""Share of ln K, the loss of guessing, at which a batch is learnt, if no answer is wrong."""

SIGNIFICANT = 0.05

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def check_learns(
    model: nn.Module,
    train: StreamDataset,
    recipe: TrainingSettings,
    *,
    device: torch.device | str = "cpu",
) -> None:
    """A copy of `model` must learn a few training items by heart in `overfit_steps` steps.

    Up to 8 items, of as many classes as there are; Adam; nothing is dropped. A batch that does not
    fit in memory is not tried. Three learning rates are.

    Raises SlrError when it does not learn them: then something is wrong with what it is given, or
    with the model.
    """
    if recipe.overfit_steps == 0:
        return
    at_once = max(2, recipe.micro_batch or recipe.batch_size)
    order = spread(train.labels, min(GATE_SAMPLES, at_once))
    train.set_epoch(0)
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        inputs, labels, names = next(batches(train, batch_size=len(order), order=order))
        inputs, labels = [part.to(device) for part in inputs], labels.to(device)
        tries = []
        for rate in GATE_RATES:
            try:
                losses = _losses(model, inputs, labels, rate=rate, steps=recipe.overfit_steps)
            except torch.OutOfMemoryError:
                log.warning("out of memory: whether the model can learn was not tried")
                return
            if losses is None:
                return
            tries.append(losses)
    lowest = min(tries, key=lambda losses: losses[-1])
    raise SlrError(
        f"the model does not learn {len(names)} training items by heart: their loss was "
        f"{lowest[0]:.4g} and is {lowest[-1]:.4g} after {len(lowest)} steps; look at the labels "
        f"and the features of {', '.join(names)}, and at init; or set overfit_steps to more, or to "
        "0 for no such check"
    )


def _losses(
    model: nn.Module, inputs: Sequence[Tensor], labels: Tensor, *, rate: float, steps: int
) -> list[float] | None:
    """The loss of a copy of the model at each step; None: it has learnt the batch."""
    learner = copy.deepcopy(model).to(labels.device).eval()  # no dropout of any kind
    for module in learner.modules():
        if isinstance(module, NORMS):
            module.train()
    optimizer = Adam(learner.parameters(), lr=rate)
    losses: list[float] = []
    for _ in range(steps):
        logits = learner(*inputs)
        loss = cross_entropy(logits, labels)
        losses.append(loss.item())
        right = bool((logits.argmax(dim=1) == labels).all())
        if right and losses[-1] <= LEARNT * math.log(logits.shape[1]):
            return None
        if not (math.isfinite(losses[-1]) and loss.requires_grad):
            break
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return losses


def spread(labels: Sequence[int], count: int) -> list[int]:
    """Indices of `count` labels, or of all: the first of every class, the second of every ..."""
    seen: Counter[int] = Counter()
    rounds = []
    for label in labels:
        rounds.append(seen[label])
        seen[label] += 1
    return sorted(range(len(labels)), key=lambda index: rounds[index])[:count]


def check_above_chance(
    history: Sequence[Mapping[str, float]], *, samples: int, chance: float, epochs: int | None
) -> None:
    """After `epochs` epochs one of them must have been better on val than guessing; None: never.

    Args:
        history: a row with `val_accuracy` for every epoch.
        samples: of val.
        chance: accuracy of guessing.
        epochs: from how many on.

    Raises SlrError when even the best epoch is not (one-sided binomial test, p < 0.05). Where val
    is so small that no accuracy would be, nothing is checked.
    """
    if epochs is None or len(history) < epochs or chance**samples >= SIGNIFICANT:
        return
    best = max(row["val_accuracy"] for row in history)
    test = binomtest(round(best * samples), samples, chance, alternative="greater")
    if test.pvalue >= SIGNIFICANT:
        raise SlrError(
            f"after {len(history)} epochs val accuracy is what guessing gives: at best {best:.4f} "
            f"of {samples} samples, chance {chance:.4f} (p = {test.pvalue:.2g}); look at the "
            "labels and the features, change learning_rate, or set chance_epochs to null to go on"
        )
