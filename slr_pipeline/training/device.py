"""Which device a step runs on."""

import fcntl
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path

import torch

from slr_pipeline.errors import ConfigError


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


def claim_device(names: Sequence[str], folder: Path | None = None) -> int:
    """Claim a device for this process until it exits; returns its index.

    The first of `names` that no process holds; where all are held, the first that the fewest hold.
    So two jobs on a host with two devices get one each. A second call claims another device.

    A claim is a lock on a file in `folder` (None: a folder of this user in the system's temporary
    folder), which is released by the OS when the process exits.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"slr-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = (
        (index, folder / f"{name}.{claims}.lock")
        for claims in count()
        for index, name in enumerate(names)
    )
    return next(index for index, place in places if _locked(place))


def _locked(path: Path) -> bool:
    """Whether this process got the lock of a file; the file then stays open on purpose."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def loading_workers(device: torch.device, threads: int, gpus: int = 1) -> int:
    """Worker processes that load items for each of `gpus` processes that share the threads.

    On a CPU there are none: the training process loads the items itself.
    """
    return max(0, threads // gpus - 1) if device.type == "cuda" else 0
