"""Jobs killed at random moments or run twice at once: the final files have the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from slr_pipeline.planning.plan import make_plan
from tests.workflow.commands import environment, output_of
from tests.workflow.conftest import WorkflowRun
from tests.workflow.test_interrupt import processes_of, start

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


@pytest.mark.parametrize("rule", ["keypoints", "flow", "hand_crops", "train"])
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


def test_the_whole_of_snakemake_killed(
    copied_run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice at random moments; then the same command completes the run."""
    monkeypatch.chdir(copied_run.folder)
    results = copied_run.folder / "results"
    names = [*(results / "features").rglob("*.h5"), *(results / "tracks").rglob("*.csv")]
    before = {path: path.read_bytes() for path in names}
    shutil.rmtree(results / "features")
    moments = random.Random(3)
    for _ in range(2):
        running = start(copied_run, "features")
        time.sleep(moments.uniform(6, 15))
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        deadline = time.monotonic() + 30
        while processes_of(copied_run):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # slr plan works in a locked folder with incomplete files.
        assert make_plan("config.yaml", nodes=1, cores=2, gpus=0).missing_bytes > 0
        copied_run.snakemake("--unlock")
        for path in results.joinpath("features").rglob("*.h5"):
            assert path.read_bytes() == before[path]
    done = copied_run.snakemake("all", "features")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert list(copied_run.folder.rglob("*.partial")) == []


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
        assert log.splitlines()[-1].endswith("run the same command again when it has ended")
    assert [path for path in out.parent.iterdir() if path.suffix == ".partial"] == []
