"""The workflow on a real SLURM: several nodes, a GPU, preemption, a lost node, Ctrl-C."""

import shutil
import subprocess
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.slurm.conftest import SCRIPT, Cluster, Start, wait_until
from tests.workflow.conftest import WorkflowRun
from tests.workflow.test_interrupt import processes_of

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of the files under a folder by name, without logs and benchmarks."""
    names = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith(("logs", "benchmarks"))
    }


def differing(run: WorkflowRun, other: WorkflowRun, folder: str) -> set[str]:
    """Names of files under a folder that differ between the runs or exist in only one."""
    one, two = files_of(run.folder / folder), files_of(other.folder / folder)
    assert one
    return {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}


def test_a_submission_on_several_nodes_is_the_local_one(
    cluster: Cluster, start: Start, local_run: WorkflowRun, copied_run: WorkflowRun
) -> None:
    shutil.rmtree(copied_run.folder / "results")
    shutil.rmtree(copied_run.folder / ".snakemake")
    before = {job["JobId"] for job in cluster.jobs()}
    start(copied_run, "submission").wait(900)
    jobs = [job for job in cluster.jobs() if job["JobId"] not in before]
    if cluster.crashes():  # Snakemake resubmitted the jobs that a crash ended
        jobs = [job for job in jobs if job["JobState"] != "FAILED"]
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {job["Requeue"] for job in jobs} == {"1"}
    assert {job["NodeList"] for job in jobs} == {"cpu1", "cpu2", "gpu1"}
    grouped = [job for job in jobs if "verify" in job["Comment"] or "pose_flow" in job["Comment"]]
    assert [job["NumCPUs"] for job in grouped] == ["3", "3"]
    on_gpu = [job for job in jobs if job["Comment"].startswith(("rule_train", "rule_predict"))]
    assert len(on_gpu) == 2 * 2  # two streams; train, and predict val and test
    assert_one_at_a_time(on_gpu)
    assert differing(copied_run, local_run, "results") == set()


def assert_one_at_a_time(jobs: Iterable[dict[str, str]]) -> None:
    """The node has one GPU: each job starts after the end of the previous one."""
    spans = sorted((job["StartTime"], job["EndTime"]) for job in jobs)
    for (_, end), (begin, _) in pairwise(spans):
        assert begin >= end, spans


def test_a_training_that_must_make_room_ends_as_an_undisturbed_one(
    cluster: Cluster, start: Start, local_run: WorkflowRun, copied_run: WorkflowRun
) -> None:
    """It gets SIGTERM, is preempted by a job of higher priority, and is requeued."""
    folder = copied_run.folder / "results/streams/joint/train"
    log = copied_run.folder / "results/logs/train/joint/train.log"
    shutil.rmtree(folder)
    log.unlink()
    running = start(copied_run, "results/streams/joint/train/model.safetensors")

    def logged() -> str:
        """The log, which Snakemake removes before the job starts again."""
        try:
            return log.read_text()
        except FileNotFoundError:
            return ""

    def trained(again: bool) -> str | None:
        """Id of the job that trains, after its first epoch; `again`: after it resumed."""
        text = logged()
        jobs = cluster.running("train")
        if not jobs or "\nepoch " not in text or "stopped by" in text:
            return None
        return jobs[0]["JobId"] if ("resumes in epoch" in text) == again else None

    def disturb(again: bool, *command: str) -> str:
        wait_until("training", lambda: trained(again), running)
        job = trained(again) or ""
        cluster.call(*(job if part == "JOB" else part for part in command))
        wait_until("saved state", lambda: "stopped by SIGTERM" in logged(), running)
        assert list((folder / "state").iterdir())
        return job

    signalled = disturb(False, "scancel", "--signal=TERM", "JOB")
    urgent = ("sbatch", "--partition=urgent", "--gpus=1", "--mem=100", "--output=/dev/null")
    preempted = disturb(True, *urgent, "--wrap=sleep 3")
    requeued = disturb(True, "scontrol", "requeue", "JOB")
    running.wait()
    records = {job["JobId"]: job for job in cluster.jobs()}
    # Snakemake resubmits the first two; SLURM requeues the third under the same id.
    assert len({signalled, preempted, requeued}) == 3
    jobs = [records[job] for job in (signalled, preempted, requeued)]
    assert [job["JobState"] for job in jobs] == ["FAILED", "FAILED", "COMPLETED"]
    assert [job["Restarts"] for job in jobs] == ["0", "0", "1"]
    assert not (folder / "state").exists()
    undisturbed = local_run.folder / "results/streams/joint/train"
    for name in ("model.safetensors", "model.json", "history.csv"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_a_lost_node_and_ctrl_c_leave_nothing_behind(
    cluster: Cluster, start: Start, local_run: WorkflowRun, copied_run: WorkflowRun
) -> None:
    features = copied_run.folder / "results/features"
    files = [path for split in ("train", "val") for path in features.glob(f"*/{split}/*.h5")]
    targets = sorted(str(path.relative_to(copied_run.folder)) for path in files)
    for path in files:
        path.unlink()

    # Ctrl-C while jobs are submitted; Snakemake itself only cancels registered jobs.
    running = start(copied_run, *targets)
    wait_until("submission", lambda: "has been submitted" in running.output.read_text(), running)
    running.interrupt()
    assert_nothing_is_left(cluster, copied_run, running.process)

    # A node loses power during a write: SLURM runs the job on another node.
    running = start(copied_run, *targets)
    comment = "rule_keypoints_wildcards_train_all"

    def half_written() -> list[Path]:
        return list(features.glob("keypoints/train/all.h5.*.partial"))

    def job() -> dict[str, str]:
        return next(job for job in cluster.running("keypoints") if job["Comment"] == comment)

    wait_until("half a file", half_written, running)
    lost, left = job(), half_written()
    try:
        cluster.call(str(SCRIPT), "kill-node", lost["NodeList"])
        assert half_written() == left
        wait_until("another half", lambda: half_written() not in ([], left), running)
        assert len(half_written()) == 1
        again = job()
        assert (again["JobId"], again["Restarts"]) == (lost["JobId"], "1")
        assert again["NodeList"] != lost["NodeList"]

        # Ctrl-C while jobs run; the next run resumes.
        running.interrupt()
        assert_nothing_is_left(cluster, copied_run, running.process)
        start(copied_run, *targets).wait()
    finally:
        cluster.call(str(SCRIPT), "start-node", lost["NodeList"])
    assert list(features.rglob("*.partial")) == []
    assert differing(copied_run, local_run, "results/features") == set()


def assert_nothing_is_left(
    cluster: Cluster, run: WorkflowRun, process: "subprocess.Popen[bytes]"
) -> None:
    """Snakemake ends with an error; soon no job is queued and no process runs."""
    assert process.wait(240) == 1
    deadline = time.monotonic() + 30
    while cluster.call("squeue", "--noheader") or processes_of(run):
        assert time.monotonic() < deadline, (cluster.call("squeue"), processes_of(run))
        time.sleep(0.5)
