"""One training by processes on several nodes of a real SLURM, over gloo."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.slurm.conftest import Cluster, Start
from tests.training.test_processes import PLAIN, RANKS, assert_trained_alike, result
from tests.workflow.conftest import WorkflowRun

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

# The names of pretended nodes do not resolve; on a cluster Lightning uses that of the first.
HERE = "MASTER_ADDR=127.0.0.1"


def on_two_nodes(folder: Path, options: dict[str, Any]) -> tuple[str, ...]:
    """Command that trains the small task with two tasks on two nodes."""
    folder.mkdir(exist_ok=True)
    tasks = ("srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", f"--export=ALL,{HERE}")
    job = (sys.executable, "-m", "tests.training.small_job", str(folder))
    return (*tasks, *job, json.dumps({**options, "gpus": 1, "nodes": 2}))


def test_tasks_on_two_nodes_train_like_one_process(cluster: Cluster, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    cluster.call(sys.executable, "-m", "tests.training.small_job", str(one), json.dumps(PLAIN))
    cluster.call(*on_two_nodes(two, PLAIN))
    assert cluster.jobs()[-1]["NodeList"] == "cpu[1-2]"
    assert_trained_alike(two, one)


def test_a_signal_to_the_job_stops_all_tasks_and_they_resume(
    cluster: Cluster, tmp_path: Path
) -> None:
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "stopped"
    options = {**PLAIN, "norm": True}
    cluster.call(*on_two_nodes(undisturbed, options))
    slow = on_two_nodes(folder, {**options, "wait_s": 0.1})
    output = folder / "output"
    script = " ".join(f"'{part}'" for part in slow)
    batch = ("sbatch", "--parsable", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1")
    number = cluster.call(*batch, f"--output={output}", f"--wrap={script}").strip()

    def wait(done: Any) -> None:
        deadline = time.monotonic() + 120
        while not done():
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)

    wait((folder / "state/state.pt").exists)
    cluster.call("scancel", "--signal=TERM", number)
    wait(lambda: not cluster.call("squeue", "--noheader", "--jobs", number))
    lines = [line for line in output.read_text().splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert lines[0].startswith("error: stopped by SIGTERM in epoch ")
    cluster.call(*on_two_nodes(folder, options))
    for rank in RANKS:
        assert result(folder, rank) == result(undisturbed, rank)


def test_a_stream_of_two_nodes_is_trained_as_one_job(
    cluster: Cluster, start: Start, copied_run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule's job has a task on each node; the weights are those of two processes here."""
    name, value = HERE.split("=")
    monkeypatch.setitem(cluster.environment, name, value)
    joint = copied_run.config["streams"]["joint"]
    joint = {**joint, "training": {**joint["training"], "epochs": 4}}
    streams = {"here": {**joint, "gpus": 2}, "there": {**joint, "nodes": 2}}
    tracks = {"rgb": {"streams": dict.fromkeys(streams, 1.0)}}
    run = WorkflowRun(
        copied_run.folder, {**copied_run.config, "streams": streams, "tracks": tracks}
    )
    folders = {name: run.folder / "results/streams" / name / "train" for name in streams}
    done = run.snakemake(f"{folders['here'].relative_to(run.folder)}/model.safetensors")
    assert done.returncode == 0, done.stderr

    target = f"{folders['there'].relative_to(run.folder)}/model.safetensors"
    start(run, target, "--set-resources", "train:gpu=0", "train:slurm_partition=cpu").wait()
    [job] = [job for job in cluster.jobs() if "there" in job.get("Comment", "")]
    assert (job["NodeList"], job["NumTasks"]) == ("cpu[1-2]", "2")
    here, there = (load_file(folder / "model.safetensors") for folder in folders.values())
    assert here.keys() == there.keys()
    assert all((here[name] == there[name]).all() for name in here)
    histories = [(folder / "history.csv").read_bytes() for folder in folders.values()]
    assert histories[0] == histories[1]
