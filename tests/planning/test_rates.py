"""The fitted sizes of models against torch's own count, for AUTSL's recipes and the demo's."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training_forecast import item_shapes
from slr_pipeline.config.experiment import read_config
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.planning.rates import forward_gflop, parameters
from slr_pipeline.training.streams import build_model

ROOT = Path(__file__).parents[2]
STREAMS = {
    f"{path} {name}": stream
    for path in ("config.yaml", "config/autsl.yaml")
    for name, stream in read_config(str(ROOT / path)).streams.items()
    if not isinstance(stream, ImportedSettings)
}


@pytest.mark.parametrize("name", STREAMS)
def test_work_and_weights(name: str) -> None:
    """Within a third; hand streams of the demo, whose crops are tiny, within a half."""
    stream = STREAMS[name]
    with torch.device("meta"):
        model = build_model(stream, 226)
        inputs = [torch.empty(2, *shape) for shape in item_shapes(stream)]
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    counted = counter.get_total_flops() / 2 / 1e9
    weights = sum(parameter.numel() for parameter in model.parameters())
    share = 1.5 if stream.model == "vtn" else 1.34
    assert counted / share < forward_gflop(stream) < counted * share
    assert weights / share < parameters(stream) < weights * share
