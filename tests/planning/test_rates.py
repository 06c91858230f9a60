"""The fitted sizes of models against torch's own count."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training_forecast import item_shapes
from slr_pipeline.config.experiment import check_stream, read_config
from slr_pipeline.config.streams import ImportedSettings, TrainedStream
from slr_pipeline.planning.rates import forward_gflop, parameters, training_order
from slr_pipeline.training.streams import build_model

ROOT = Path(__file__).parents[2]


def counted(settings: TrainedStream) -> tuple[float, int]:
    """GFLOP of a forward pass and weights of AUTSL's model of a stream, as torch counts them."""
    with torch.device("meta"):
        model = build_model(settings, 226)
        inputs = [torch.empty(2, *shape) for shape in item_shapes(settings)]
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    weights = sum(parameter.numel() for parameter in model.parameters())
    return counter.get_total_flops() / 2 / 1e9, weights


@pytest.mark.parametrize("stream", ["joint", "sstcn", "rgb", "flow", "vtn_hcpf", "vtn_hcpf_d"])
@pytest.mark.parametrize(("config", "tolerance"), [("config/autsl", 0.015), ("config", 0.33)])
def test_work_and_weights(config: str, tolerance: float, stream: str) -> None:
    """AUTSL's recipes are fitted; the tiny hand crops of the demo differ most."""
    settings = read_config(str(ROOT / f"{config}.yaml")).streams[stream]
    assert not isinstance(settings, ImportedSettings)
    gflop, weights = counted(settings)
    assert forward_gflop(settings) == pytest.approx(gflop, rel=tolerance)
    assert parameters(settings) == pytest.approx(weights, rel=tolerance)


@pytest.mark.parametrize("representation", ["position", "motion"])
@pytest.mark.parametrize(("width", "blocks"), [(128, 2), (192, 3)])
def test_work_and_weights_of_landmarks(representation: str, width: int, blocks: int) -> None:
    stream = {"representation": representation, "width": width, "blocks": blocks}
    settings = check_stream({"model": "landmark", **stream})
    work, weights = counted(settings)
    assert forward_gflop(settings) == pytest.approx(work, rel=0.03)
    assert parameters(settings) == pytest.approx(weights, rel=0.03)


def test_the_first_track_is_trained_first_and_its_longest_stream_before_others() -> None:
    config = read_config(str(ROOT / "config.yaml"))
    rgb, rgbd, others = training_order(config)
    assert set(rgb) == set(config.tracks["rgb"].streams)
    assert set(rgb + rgbd) == set(config.streams)
    assert (rgb[0], rgbd[0], others) == ("rgb", "vtn_hcpf_d", [])
    # Of a fitted track the first names are the same, and the rest follow without a track.
    tracks = {"rgbd": config.tracks["rgbd"]}
    assert training_order(config.model_copy(update={"tracks": tracks}))[-1] == ["vtn_hcpf"]
