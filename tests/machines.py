"""Machines unlike this one: other users, and file systems that cannot do everything."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

OTHER_USER = ("unshare", "--user", "--map-user=12345", "--map-group=12345")
"""Starts a command as a user without a name and without root's rights, who owns our files."""

NEEDS_OTHER_USER = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*OTHER_USER, "true"], check=False).returncode,
    reason="no user namespaces here: unshare --user --map-user=12345",
)


def shim(source: Path, folder: Path) -> str:
    """Compile functions that replace those of libc by LD_PRELOAD; skips without a compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile another file system")
    library = folder / f"{source.stem}.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return str(library)


def mounted(folder: str, options: str) -> list[str]:
    """Starts a command that sees a tmpfs with these options at the folder."""
    script = f'mount -t tmpfs -o {options} tmpfs {folder} && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


def limited(shared_mb: int, memory_mb: int) -> list[str]:
    """Starts a command in a container's view: little shared memory, a cgroup with a limit."""
    groups, limit = "/sys/fs/cgroup", memory_mb * 10**6
    script = (
        f"mount -t tmpfs -o size={shared_mb}m tmpfs /dev/shm && mount -t tmpfs tmpfs {groups} && "
        f"mkdir {groups}/memory && echo {limit} > {groups}/memory.max && "
        f'echo {limit} > {groups}/memory/memory.limit_in_bytes && exec "$@"'
    )
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


NEEDS_OWN_MOUNTS = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*mounted("/dev/shm", "size=64k"), "true"], check=False).returncode != 0,
    reason="no mount namespaces here: unshare --user --map-root-user --mount",
)


@contextmanager
def gpu_memory(megabytes: int) -> Iterator[None]:
    """Within, torch can take this much more memory of the GPU, as on a smaller one."""
    torch.cuda.empty_cache()
    size = torch.cuda.get_device_properties(0).total_memory
    limit = torch.cuda.memory_reserved() + megabytes * 2**20
    torch.cuda.set_per_process_memory_fraction(limit / size)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
