"""What this machine gives a job: its memory."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def memory_limit(environment: Mapping[str, str] = os.environ) -> tuple[int, str]:
    """Memory of this job in bytes, and what sets it: a cgroup, SLURM or the machine."""
    limits = [(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "the machine")]
    limits += [(limit, "the cgroup") for limit in _cgroup_limits()]
    per_node, per_cpu = (
        int(environment.get(f"SLURM_MEM_PER_{unit}") or 0) << 20 for unit in ("NODE", "CPU")
    )
    cpus = int(environment.get("SLURM_CPUS_ON_NODE") or 1)
    limits += [(limit, "SLURM") for limit in (per_node, per_cpu * cpus) if limit]
    return min(limits)


def _cgroup_limits() -> Iterator[int]:
    """Limits of this process's cgroup and of those above it, version 1 or 2."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers == "":
            root, name = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = root / place.lstrip("/")
        # In a container the path is often that of the host, and its root is the container's group.
        for path in {root, folder, *folder.parents}:
            if path.is_relative_to(root) and (path / name).is_file():
                text = (path / name).read_text().strip()
                if text.isdigit():  # else `max`
                    yield int(text)
