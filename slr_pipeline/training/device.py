"""Which device a step runs on."""

import os
from functools import cache

import torch

from slr_pipeline.data.loading import SHARED_MEMORY
from slr_pipeline.errors import ConfigError
from slr_pipeline.training.claims import claim_device


@cache
def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU if there is one, else the CPU.

    Of several GPUs `auto` and `cuda` take one that no other job has claimed; within a process
    always the same. Raises ConfigError for a GPU that does not exist.
    """
    visible = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if visible else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= visible:
        raise ConfigError(
            f"device {name}: {visible} GPUs are visible to torch {torch.__version__}; "
            "use device: auto or cpu, or fix the driver or CUDA_VISIBLE_DEVICES"
        )
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", claim_device(_gpu_names()) if visible > 1 else 0)
    return device


def several_gpus(device: torch.device, count: int) -> list[int]:
    """Claim `count` GPUs of this host, including `device`; returns their indices.

    Processes started from now on see only these, as 0, 1, ... Raises ConfigError where there are
    fewer.
    """
    visible = torch.cuda.device_count()
    if visible < count:
        raise ConfigError(
            f"gpus: {count}: {visible} GPUs are visible to torch {torch.__version__}; set fewer "
            "gpus, or fix the driver or CUDA_VISIBLE_DEVICES"
        )
    claimed = {device.index or 0}
    while len(claimed) < count:
        claimed.add(claim_device(_gpu_names()))
    hardware = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(visible)))).split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(hardware[index] for index in sorted(claimed))
    return sorted(claimed)


def _gpu_names() -> list[str]:
    """Hardware names: the indices of a GPU differ between processes that see other GPUs."""
    count = torch.cuda.device_count()
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(count)]


ALLOCATION_FAILURES = (
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
    "Unable to find a valid cuDNN algorithm",  # each needs more memory than there is
    "DefaultCPUAllocator: can't allocate memory",
)
"""What torch says where another allocator than its own for a GPU finds no memory."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch means that memory is exhausted, on a GPU or a CPU."""
    failures = map(str(error).__contains__, ALLOCATION_FAILURES)
    return isinstance(error, torch.OutOfMemoryError) or any(failures)


def loading_workers(device: torch.device, threads: int, gpus: int = 1) -> int:
    """Worker processes that load items for each of `gpus` processes that share the threads.

    On a CPU, or where workers cannot share memory, there are none: the training process loads the
    items itself.
    """
    usable = device.type == "cuda" and os.access(SHARED_MEMORY, os.W_OK)
    return max(0, threads // gpus - 1) if usable else 0
