"""A SLURM cluster on this machine, and Snakemake runs on it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, WorkflowRun, copy_of, make_run
from tests.workflow.test_training import HANDS

SCRIPT = Path(__file__).parent / "cluster.sh"
# Site settings of profiles/slurm, for a cluster without accounting.
SITE = (
    *("--set-resources", "train:slurm_partition=gpu", "predict:slurm_partition=gpu"),
    *("train:gpu=1", "predict:gpu=1"),  # the config says cpu, so that results are comparable
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--seconds-between-status-checks", "2", "--slurm-init-seconds-before-status-checks", "2"),
)
# The plugin waits ten seconds longer after each look at the queue that finds no finished job.
SNAKEMAKE = """
import asyncio
from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor
Executor.sleep = lambda self: asyncio.sleep(1)
main()
"""


@dataclass(frozen=True)
class Cluster:
    """Environment of a running SLURM."""

    environment: dict[str, str]

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """SLURM's record of every job, finished ones included; Comment has the rule."""
        lines = self.call("scontrol", "--oneliner", "show", "job").splitlines()
        records = [line.split() for line in lines if line.startswith("JobId=")]
        pairs = [[part.partition("=") for part in job if "=" in part] for job in records]
        return [{name: value for name, _, value in job} for job in pairs]

    def crashes(self) -> int:
        """Number of crashes of slurmd; each ends the jobs that it was starting."""
        logs = Path(self.environment["SLURM_LOCAL_DIR"], "log").glob("slurmd.*.out")
        return sum(log.read_text().count("crashed") for log in logs)

    def running(self, rule: str) -> list[dict[str, str]]:
        return [
            job
            for job in self.jobs()
            if job["JobState"] == "RUNNING" and job.get("Comment", "").startswith(f"rule_{rule}")
        ]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    programs = os.environ["PATH"] + ":/usr/sbin"
    missing = [name for name in ("slurmctld", "munged") if not shutil.which(name, path=programs)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: apt-get install slurm-wlm munge")
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="install the extra [slurm]")
    folder = tmp_path_factory.mktemp("slurm")
    own = {"SLURM_LOCAL_DIR": str(folder), "SLURM_LOCAL_PORT": str(free_port())}
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    here = {**own, "PYTHONPATH": str(ROOT), "HOME": str(folder), "PATH": f"{folder}/bin:{path}"}
    started = Cluster(here)
    try:
        started.call(str(SCRIPT), "start")
        yield started
    finally:
        started.call(str(SCRIPT), "stop")


def free_port() -> int:
    """The first of a range of ports that is not in use."""
    for port in range(17100, 19000, 100):
        with socket.socket() as test:
            test.settimeout(0.2)
            if all(test.connect_ex(("127.0.0.1", port + add)) for add in (0, 10, 11, 12)):
                return port
    raise AssertionError("no free ports")


@dataclass
class SnakemakeProcess:
    """A Snakemake process that runs on the cluster; its output goes to a file."""

    process: "subprocess.Popen[bytes]"
    output: Path

    def wait(self, seconds: int = 600) -> str:
        """Wait for a successful end and return the output."""
        code = self.process.wait(seconds)
        text = self.output.read_text()
        assert code == 0, text
        return text

    def interrupt(self) -> None:
        """Send Ctrl-C, again every five seconds: it may be lost while jobs are submitted."""
        due = time.monotonic()
        while self.process.poll() is None and "on user request" not in self.output.read_text():
            if time.monotonic() >= due:
                os.killpg(self.process.pid, signal.SIGINT)
                due += 5
            time.sleep(0.1)


Start = Callable[..., SnakemakeProcess]


@pytest.fixture
def start(cluster: Cluster, tmp_path: Path) -> Iterator[Start]:
    """Start Snakemake with profiles/slurm in an unrelated folder."""
    elsewhere = tmp_path / "started here"
    elsewhere.mkdir()
    started: list[SnakemakeProcess] = []

    def run(run: WorkflowRun, *targets: str) -> SnakemakeProcess:
        config = run.folder / "config.yaml"
        config.write_text(yaml.safe_dump(run.config))
        command = [sys.executable, "-c", SNAKEMAKE, "--snakefile", ROOT / "Snakefile"]
        command += ["--directory", run.folder, "--configfile", config]
        command += ["--workflow-profile", ROOT / "profiles" / "slurm", *SITE, *targets]
        output = tmp_path / f"output{len(started)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=elsewhere,
                env=cluster.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(SnakemakeProcess(process, output))
        return started[-1]

    yield run
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
    cluster.call("scancel", "--user", str(os.getuid()))
    left = [path.name for path in elsewhere.iterdir()]
    assert left in ([], [".snakemake"]), left


@pytest.fixture(scope="session")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> WorkflowRun:
    """Two streams from videos to a submission, without SLURM; one of them trains for a while."""
    made = make_run(tmp_path_factory.mktemp("local") / "a folder with spaces")
    joint = made.config["streams"]["joint"]
    training = {"epochs": 20, "batch_size": 4, "learning_rate": 0.01, "chance_epochs": None}
    hands = {**HANDS, "depth": False}
    streams = {"joint": {**joint, "training": training}, "hands": hands}
    tracks = {"rgb": {"streams": {"joint": 1.0, "hands": 1.0}}}
    run = WorkflowRun(
        made.folder, {**made.config, "shard_size": 8, "streams": streams, "tracks": tracks}
    )
    done = run.snakemake("submission")
    assert done.returncode == 0, done.stdout + done.stderr
    return run


@pytest.fixture
def copied_run(local_run: WorkflowRun, tmp_path: Path) -> WorkflowRun:
    """A copy of the local run with its results, which a test removes as needed."""
    return copy_of(local_run, tmp_path)


def wait_until(
    what: str, true: Callable[[], object], running: SnakemakeProcess, seconds: int = 180
) -> None:
    """Wait for a condition while Snakemake runs."""
    deadline = time.monotonic() + seconds
    while not true():
        assert running.process.poll() is None, f"ended before {what}:\n{running.output.read_text()}"
        assert time.monotonic() < deadline, f"no {what}:\n{running.output.read_text()}"
        time.sleep(0.1)
