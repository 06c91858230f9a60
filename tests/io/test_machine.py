"""The memory of a job: the least of what a cgroup, SLURM and the machine give."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from slr_pipeline.io.machine import memory_limit
from tests.machines import NEEDS_OWN_MOUNTS, limited

MB = 2**20


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({"SLURM_MEM_PER_NODE": "100"}, 100 * MB),
        ({"SLURM_MEM_PER_CPU": "20", "SLURM_CPUS_ON_NODE": "4"}, 80 * MB),
        ({"SLURM_MEM_PER_CPU": "20"}, 20 * MB),
    ],
)
def test_slurm_limits_a_job(environment: Mapping[str, str], limit: int) -> None:
    assert memory_limit(environment) == (limit, "SLURM")


@pytest.mark.parametrize("environment", [{}, {"SLURM_MEM_PER_NODE": "0"}])
def test_all_memory_of_the_machine(environment: Mapping[str, str]) -> None:
    limit, source = memory_limit(environment)
    assert source != "SLURM"
    assert 0 < limit <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@NEEDS_OWN_MOUNTS
def test_a_cgroup_limits_a_job() -> None:
    code = "from slr_pipeline.io.machine import memory_limit; print(*memory_limit())"
    command = [*limited(64, 123), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "123000000 the cgroup\n"
