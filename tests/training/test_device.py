"""Jobs on a host with several devices, as real processes, get a device each."""

import errno
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from slr_pipeline.errors import ConfigError
from slr_pipeline.training.device import choose_device, several_gpus
from tests.machines import shim
from tests.shared_data import CASES, NEEDS_CASES

CLAIM = """
import sys
from slr_pipeline.training.claims import claim_device
print(claim_device(sys.argv[1:]), flush=True)
sys.stdin.read()
"""

Claim = Callable[..., tuple[int, "subprocess.Popen[str]"]]


@pytest.fixture
def host() -> str:
    """Starts the names of devices that no other test uses."""
    return secrets.token_hex(8)


@pytest.fixture
def claim(host: str) -> Iterator[Claim]:
    """Start a process that claims one of these devices of the host and holds it."""
    started = []

    def start(*names: str) -> tuple[int, "subprocess.Popen[str]"]:
        process = subprocess.Popen(
            [sys.executable, "-c", CLAIM, *(host + name for name in names)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline()), process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_each_process_has_its_own_device_until_it_ends(claim: Claim) -> None:
    first, one = claim("a", "b")
    second, two = claim("a", "b")
    assert (first, second) == (0, 1)
    two.kill()
    two.wait()
    assert claim("a", "b")[0] == 1
    one.communicate("")  # ends by itself
    assert claim("a", "b")[0] == 0


def test_more_jobs_than_devices_are_spread(claim: Claim) -> None:
    assert [claim("a", "b")[0] for _ in range(4)] == [0, 1, 0, 1]


def test_a_device_is_known_by_its_name_not_its_index(claim: Claim) -> None:
    """As with CUDA_VISIBLE_DEVICES=0,1 in one process and 1,2 in another."""
    assert claim("a", "b")[0] == 0
    assert claim("a", "b")[0] == 1
    assert claim("b", "c")[0] == 1


@NEEDS_CASES
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_claims_need_no_file_system_that_locks(
    claim: Claim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As on NFS without lockd and on Lustre."""
    monkeypatch.setenv("LD_PRELOAD", shim(CASES / "shims/shim_flock.c", tmp_path))
    monkeypatch.setenv("SHIM_ERRNO", str(code))
    assert [claim("a", "b")[0] for _ in range(2)] == [0, 1]


def test_a_device_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"device cuda:63: \d+ GPUs are visible"):
        choose_device("cuda:63")
    with pytest.raises(ConfigError, match=r"gpus: 64: \d+ GPUs are visible to torch .*; set fewer"):
        several_gpus(torch.device("cuda"), 64)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_auto_claims_a_free_gpu_and_keeps_it(
    claim: Claim, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two simulated GPUs; another process holds the first."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=host + "ab"[index])
    )
    assert claim("a", "b")[0] == 0
    choose_device.cache_clear()
    try:
        assert choose_device("auto") == choose_device("auto") == torch.device("cuda", 1)
        assert claim("b", "a")[0] == 0  # both are taken: the first name again
    finally:
        choose_device.cache_clear()
