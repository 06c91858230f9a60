"""The small task as a command, which starts its other processes itself: FOLDER OPTIONS-IN-JSON.

Each process writes the names of its items and its result, by rank.
"""

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slr_pipeline.startup import lasting_imports

with lasting_imports():
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from slr_pipeline.data.dataset import StreamDataset
    from slr_pipeline.errors import DataError, run
    from slr_pipeline.training.fit import fit
    from slr_pipeline.training.state import TrainingState
    from tests.training.small_task import net, point, points, recipe

FOLDER, OPTIONS = Path(sys.argv[1]), json.loads(sys.argv[2])
RANK = os.environ.get("SLURM_PROCID", os.environ.get("LOCAL_RANK", "0"))


@dataclass
class RecordingMake:
    """Makes items and records their names; on rank 1 they may be bad in some way."""

    bad: str | None
    wait_s: float

    def __call__(self, name: str, view: object, rng: Any) -> list[NDArray[Any]]:
        item = point(name, view, rng, wait_s=self.wait_s)
        with (FOLDER / f"seen-{RANK}").open("a") as file:
            file.write(f"{name}\n")
        match self.bad if RANK == "1" else None:
            case "sample":
                raise DataError(f"{name}: cannot be read")
            case "bug":
                raise ValueError("a bug")
            case "nan":
                return [part * np.float32(np.nan) for part in item]
        return item


def main() -> None:
    torch.set_num_threads(1)
    bad = OPTIONS.get("bad")
    labelled = [(name, int(name[0])) for name in points(OPTIONS["samples"], train=True).names]
    make = RecordingMake(bad, OPTIONS.get("wait_s", 0))
    model = net(norm=OPTIONS["norm"], dropout=OPTIONS.get("dropout", 0))
    if bad == "memory" and RANK == "1":

        def refuse(module: torch.nn.Module, inputs: Any) -> None:
            raise torch.OutOfMemoryError("no more")

        model.register_forward_pre_hook(refuse)

    def start_epoch(epoch: int) -> None:
        model.hidden.weight.requires_grad_(epoch >= OPTIONS.get("frozen_epochs", 0))

    result = fit(
        model,
        StreamDataset(make, labelled, train=True, seed=1),
        points(7),
        recipe=recipe(**OPTIONS["recipe"]),
        seed=3,
        gpus=OPTIONS.get("gpus", 1),
        nodes=OPTIONS.get("nodes", 1),
        start_epoch=start_epoch,
        state=TrainingState(FOLDER / "state", "this"),
    )
    assert int(RANK) == result.rank
    weights = [tensor.detach().numpy().tobytes() for tensor in model.parameters()]
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]
    best = {name: tensor.tolist() for name, tensor in result.state.items()}
    out = {"digest": hashlib.sha256(b"".join(weights)).hexdigest(), "rows": rows, "best": best}
    (FOLDER / f"result-{RANK}").write_text(json.dumps(out))


if __name__ == "__main__":
    run(main)
