"""Which device a step runs on."""

import torch

from slr_pipeline.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """`auto`: the first GPU where there is one, else the CPU; else the device of that name.

    Raises ConfigError when a GPU is named that is not there.
    """
    count = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda:0" if count else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ConfigError(
            f"device {name}: {count} GPUs are visible to torch {torch.__version__}; "
            "use device: auto or cpu, or mend the driver or CUDA_VISIBLE_DEVICES"
        )
    return device


def loading_workers(device: torch.device, threads: int) -> int:
    """Processes that load items for a GPU; on a CPU the one that trains loads them, too."""
    return threads - 1 if device.type == "cuda" else 0
