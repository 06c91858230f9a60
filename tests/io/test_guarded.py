"""A function that hangs, crashes or fails affects its own call only."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.guarded import Guarded


def act(path: str, how: str) -> int:
    """The id of the process, unless `how` ends it."""
    match how:
        case "hangs":
            time.sleep(600)
        case "computes":
            computes_for(path, 600)
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exits":
            os._exit(3)
        case "fails":
            raise ValueError("two\nlines")
        case "finds damage":
            raise DataError(f"{path}: is damaged")
        case "cannot":
            raise ConfigError("scratch: is full")
    return os.getpid()


def computes_for(path: str, seconds: float) -> int:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return os.getpid()


def act_once(path: str, how: str) -> int:
    """The id of the process; the first call sends it a signal."""
    if not os.path.exists(path):
        Path(path).touch()
        os.kill(os.getpid(), signal.Signals[how])
    return os.getpid()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("hangs", "its decoder does nothing for 1 s; check its disk"),
        ("computes", "takes more than 1 s of processor time to decode; cut or repair it, or raise"),
        ("crashes", r"ends its decoder \(SIGSEGV\); copy it again"),
        ("is killed", r"ends its decoder \(SIGKILL\); copy it again"),
        ("exits", r"ends its decoder \(status 3\); copy it again"),
    ],
)
def test_the_next_call_has_a_new_process(how: str, reason: str) -> None:
    with Guarded(act, seconds=1) as guarded:
        first = guarded("a.mp4", "works")
        with pytest.raises(DataError, match=f"^a b.mp4: {reason}") as caught:
            guarded("a b.mp4", how)
        assert "\n" not in str(caught.value)
        last = guarded("c.mp4", "works")
    assert len({first, last, os.getpid()}) == 3
    assert not alive(first)
    assert not alive(last)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("finds damage", DataError, "a.mp4: is damaged"),
        ("fails", DataError, "a.mp4: cannot be read (ValueError: two lines); re-encode it"),
        ("cannot", ConfigError, "scratch: is full"),
    ],
)
def test_an_error_costs_no_process(how: str, error: type[Exception], message: str) -> None:
    with Guarded(act, seconds=60) as guarded:
        first = guarded("a.mp4", "works")
        with pytest.raises(error) as caught:
            guarded("a.mp4", how)
        assert str(caught.value) == message
        assert guarded("a.mp4", "works") == first


@pytest.mark.parametrize("how", ["SIGSTOP", "SIGKILL", "SIGALRM"])
def test_what_happens_once_is_no_verdict(tmp_path: Path, how: str) -> None:
    (tmp_path / "there").touch()
    with Guarded(act_once, seconds=1) as guarded:
        first = guarded(str(tmp_path / "there"), how)
        assert guarded(str(tmp_path / "stopped"), how) != first
        assert not alive(first)


SUSPENDED = """
from slr_pipeline.io.guarded import Guarded
from tests.io.test_guarded import computes_for
if __name__ == "__main__":
    with Guarded(computes_for, seconds=2) as guarded:
        print(guarded("a.mp4", 0), flush=True)
        print(guarded("a.mp4", 1), flush=True)
"""


def test_a_suspended_job_takes_no_time() -> None:
    """As `scontrol suspend` does: all processes of the job stop for longer than the limit."""
    command = [sys.executable, "-c", SUSPENDED]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as job:
        assert job.stdout is not None
        first = job.stdout.readline()
        os.killpg(job.pid, signal.SIGSTOP)
        time.sleep(3)
        os.killpg(job.pid, signal.SIGCONT)
        assert job.stdout.readline() == first
    assert job.returncode == 0


KILLED = """
import os, signal
from slr_pipeline.io.guarded import Guarded
from tests.io.test_guarded import act
if __name__ == "__main__":
    print(Guarded(act, seconds=60)("a.mp4", "works"), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_the_one_that_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)
