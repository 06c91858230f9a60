"""Networks of one kind that were trained with different seeds, as one network."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class Seeds(nn.Module):
    """The logits of each network, (B, S, K) for S networks."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (B, S, K) of inputs (B, ...), as each network takes them."""
        return torch.stack([network(*inputs) for network in self.networks], dim=1)

    def __len__(self) -> int:
        return len(self.networks)


class MeanOfSeeds(nn.Module):
    """The mean of the logits of some networks, (B, K)."""

    def __init__(self, seeds: Seeds) -> None:
        super().__init__()
        self.seeds = seeds

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (B, K) of inputs (B, ...), as each network takes them."""
        return cast(Tensor, self.seeds(*inputs)).mean(dim=1)
