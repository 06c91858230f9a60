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
    """`auto`: a GPU where there is one, else the CPU; else the device of that name.

    Of several GPUs `auto` and `cuda` take one that no other job has claimed, the same whenever
    this process asks. Raises ConfigError when a GPU is named that is not there.
    """
    visible = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if visible else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= visible:
        raise ConfigError(
            f"device {name}: {visible} GPUs are visible to torch {torch.__version__}; "
            "use device: auto or cpu, or mend the driver or CUDA_VISIBLE_DEVICES"
        )
    if device.type == "cuda" and device.index is None:
        # By hardware: what one process calls device 0 may be device 1 of another.
        names = [str(torch.cuda.get_device_properties(index).uuid) for index in range(visible)]
        device = torch.device("cuda", claim_device(names) if visible > 1 else 0)
    return device


def several_gpus(device: torch.device, count: int) -> list[int]:
    """Indices of `count` GPUs of this host that this process holds, `device` among them.

    Processes started from now on see these alone, under the indices 0, 1, ... Raises ConfigError
    where there are fewer.
    """
    visible = torch.cuda.device_count()
    if visible < count:
        raise ConfigError(
            f"gpus: {count}: {visible} GPUs are visible to torch {torch.__version__}; set fewer "
            "gpus, or mend the driver or CUDA_VISIBLE_DEVICES"
        )
    names = [str(torch.cuda.get_device_properties(index).uuid) for index in range(visible)]
    held = {device.index or 0}
    while len(held) < count:
        held.add(claim_device(names))
    hardware = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(visible)))).split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(hardware[index] for index in sorted(held))
    return sorted(held)


def claim_device(names: Sequence[str], folder: Path | None = None) -> int:
    """Index of a device that this process holds from now on, until it ends.

    The first of `names` that nobody holds; where all are held, the first that fewest hold. A claim
    is a lock on a file in `folder` (None: one for this user among the temporary files), of which
    the system lets go however the process ends. So each of two jobs on a host with two devices has
    its own. Asked again, it claims another one.
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
    """Whether this process has got the lock of a file; the file then stays open on purpose."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def loading_workers(device: torch.device, threads: int, gpus: int = 1) -> int:
    """Processes that load items for a GPU, one of so many that share the threads.

    On a CPU the process that trains loads them, too.
    """
    return max(0, threads // gpus - 1) if device.type == "cuda" else 0
