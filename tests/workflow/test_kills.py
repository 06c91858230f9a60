"""Jobs killed at random moments or run twice at once: the final files have the same bytes."""

import os
import random
import signal
import subprocess
import time

import pytest

from tests.workflow.commands import environment, output_of
from tests.workflow.conftest import WorkflowRun

KILLS = 5


def begin(command: str, run: WorkflowRun) -> "subprocess.Popen[bytes]":
    """A job in its own process group."""
    return subprocess.Popen(
        ["bash", "-c", command], cwd=run.folder, env=environment(), start_new_session=True
    )


def seconds_of(command: str, run: WorkflowRun) -> float:
    began = time.monotonic()
    assert begin(command, run).wait(600) == 0
    return time.monotonic() - began


@pytest.mark.parametrize("rule", ["keypoints", "flow", "train"])
def test_a_step_killed_at_random_moments(
    rule: str, commands: dict[str, list[str]], copied_run: WorkflowRun
) -> None:
    command = commands[rule][0]
    out = copied_run.folder / output_of(command)
    before = {path.name: path.read_bytes() for path in out.parent.iterdir() if path.is_file()}
    log = copied_run.folder / command.rpartition("2> ")[2]
    out.unlink()
    length_s = seconds_of(command, copied_run)
    assert out.read_bytes() == before[out.name]
    moments = random.Random(len(rule))
    half_written = 0
    for _ in range(KILLS):
        out.unlink(missing_ok=True)
        running = begin(command, copied_run)
        # Most of a short job is the start of Python, which is not interesting.
        time.sleep(length_s * (1 - 0.7 * moments.random()))
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        half_written += bool(list(out.parent.rglob("*.partial")))
        if out.exists():  # the job had finished
            assert out.read_bytes() == before[out.name]
    assert seconds_of(command, copied_run) > 0
    after = {path.name: path.read_bytes() for path in out.parent.iterdir() if path.is_file()}
    assert after == before, log.read_text()
    print(f"{rule}: {KILLS} kills, {half_written} of them during a write")


def test_a_job_that_runs_twice_at_once(
    commands: dict[str, list[str]], copied_run: WorkflowRun
) -> None:
    """As if a cluster restarts a job although its node is still alive."""
    command = commands["keypoints"][0]
    out = copied_run.folder / output_of(command)
    before = out.read_bytes()
    out.unlink()
    first = begin(command, copied_run)
    deadline = time.monotonic() + 60
    while not list(out.parent.glob(f"{out.name}.*.partial")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = begin(command.replace(".log", ".second.log"), copied_run)
    assert second.wait(600) == 0
    assert out.read_bytes() == before
    if first.wait(600) != 0:
        log = (copied_run.folder / command.rpartition("2> ")[2]).read_text()
        assert log.splitlines()[-1].endswith("then run the same command again")
    assert [path for path in out.parent.iterdir() if path.suffix == ".partial"] == []
