"""An interrupted run leaves no partial file and no process, and the next run resumes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.workflow.conftest import ROOT, WorkflowRun


def processes_of(run: WorkflowRun) -> list[str]:
    """Command lines of the processes whose working folder is that of the run."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = os.readlink(process / "cwd")
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # the process has ended
            continue
        if where == str(run.folder):
            lines.append(line)
    return lines


def start(run: WorkflowRun, target: str) -> "subprocess.Popen[bytes]":
    """Start Snakemake in its own process group; the config file must exist."""
    command = [sys.executable, "-m", "snakemake", target, "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(run.folder), "--configfile", str(run.folder / "config.yaml")]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(run.folder.parent)}
    return subprocess.Popen(
        [*command, "--cores", "1"],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        # Tests that run in the background of a shell ignore SIGINT, and so would Snakemake.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_until(true: Callable[[], object], running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_leaves_no_process_and_no_half_file(copied_run: WorkflowRun) -> None:
    made = copied_run.folder / "results/features/keypoints/val/all.h5"
    before = made.read_bytes()
    made.unlink()
    target = str(made.relative_to(copied_run.folder))
    assert copied_run.planned(target) == {"keypoints": 1}
    running = start(copied_run, target)
    wait_until(lambda: list(made.parent.glob("*.partial")), running)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) == 1
    assert processes_of(copied_run) == []
    assert list(copied_run.folder.rglob("*.partial")) == []
    assert not made.exists()
    again = copied_run.snakemake(target)
    assert again.returncode == 0, again.stderr
    assert made.read_bytes() == before


def test_the_shell_of_a_training_waits_until_its_state_is_saved(copied_run: WorkflowRun) -> None:
    """A cluster sends SIGTERM to all processes of a job and kills them once the shell ends."""
    joint = copied_run.config["streams"]["joint"]
    longer = {"joint": {**joint, "training": {**joint["training"], "epochs": 20}}}
    target = "results/streams/joint/train/model.safetensors"
    assert copied_run.planned(target, streams=longer) == {"train": 1}
    log = copied_run.folder / "results/logs/train/joint/train.log"
    log.unlink()
    running = start(copied_run, target)
    wait_until(lambda: log.exists() and "\nepoch 0" in log.read_text(), running)
    os.killpg(running.pid, signal.SIGTERM)
    assert running.wait(60) == 1
    assert processes_of(copied_run) == []
    assert "error: stopped by SIGTERM in epoch" in log.read_text()
    assert list((copied_run.folder / "results/streams/joint/train/state").iterdir())
