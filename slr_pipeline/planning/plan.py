"""The forecast of a run: cost of each job, disk, critical path, and bounds of the duration."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from heapq import heapify, heappop, heappush
from pathlib import PurePath

import pandas as pd

from slr_pipeline.config.experiment import SPLITS, Config, read_config
from slr_pipeline.config.weights import configured_weights, missing_problem
from slr_pipeline.errors import ConfigError
from slr_pipeline.planning.costs import Workload, job_table
from slr_pipeline.planning.dry_run import Job, planned_jobs
from slr_pipeline.planning.fingerprint import Videos, measure_videos
from slr_pipeline.planning.rates import CLIP_FRAMES
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import SampleTable, load_samples

LONGEST_COMMAND = 131_071
"""Bytes that Linux allows for one argument; a job's command is one argument of the shell."""
SETTINGS_BYTES = 4000
"""Upper bound of a command without its file names."""


@dataclass(frozen=True)
class Machines:
    """A number of nodes with `cores` each, and `gpus` in total."""

    nodes: int
    cores: int
    gpus: int


@dataclass(frozen=True)
class Plan:
    """The forecast.

    `jobs` is the table of costs; `path` is the critical path, jobs in order; `expected_seconds` is
    the duration if free cores take the next job at once. Bytes: of the files that a finished run
    keeps, of all files including temporary ones, and of the files that are still to be written.
    """

    config: Config
    table: SampleTable
    videos: Videos
    machines: Machines
    jobs: pd.DataFrame
    path: list[str]
    expected_seconds: float
    folders: int
    final_bytes: float
    peak_bytes: float
    missing_bytes: float
    warnings: list[str]

    def durations(self) -> dict[str, float]:
        """Seconds of the critical path, and of all work shared equally by the cores or the GPUs."""
        jobs, machines = self.jobs, self.machines
        threads = jobs["threads"].clip(upper=machines.cores) * jobs["nodes"]
        seconds = {
            "critical path": jobs.loc[self.path, "seconds"].sum(),
            "work of the cores": (jobs["seconds"] * threads).sum()
            / (machines.nodes * machines.cores),
        }
        if machines.gpus:
            gpu_seconds = (jobs["seconds"] * jobs["gpus"]).sum()
            seconds["work of the GPUs"] = gpu_seconds / machines.gpus
        return seconds


def make_plan(path: str, nodes: int, cores: int, gpus: int | None) -> Plan:
    """Plan the target `all` of a config file; by default with the GPUs of the largest job."""
    config = read_config(path)
    table = load_samples(config.data)
    jobs = planned_jobs(path, config)
    most = max(jobs, key=lambda job: job.gpus)
    machines = Machines(nodes, cores, most.gpus if gpus is None else gpus)
    if 0 < machines.gpus < most.gpus:
        raise ConfigError(f"--gpus {gpus}: {most.name} needs {most.gpus}; raise it, or set it to 0")
    videos = measure_videos(table, config.results, config.seed)
    costs = job_table(workload(config, table, videos, gpu=machines.gpus > 0), jobs)
    missing_bytes = _missing_bytes(jobs, costs)
    return Plan(
        config=config,
        table=table,
        videos=videos,
        machines=machines,
        jobs=costs,
        path=critical_path(jobs, costs),
        expected_seconds=scheduled_seconds(jobs, costs, machines),
        folders=len(folders_of(jobs)),
        final_bytes=float(costs.loc[~costs["temporary"], "bytes"].sum()),
        peak_bytes=float(costs["bytes"].sum()),
        missing_bytes=missing_bytes,
        warnings=[
            *filter(None, map(missing_problem, configured_weights(config))),
            *_disk_warnings(config.results, missing_bytes, int(costs["files"].sum())),
            *_command_warnings(config.shard_size, jobs),
            *_runtime_warnings(costs),
        ],
    )


def workload(config: Config, table: SampleTable, videos: Videos, *, gpu: bool) -> Workload:
    """What the costs of all jobs depend on."""
    measured = videos.measured
    frames = CLIP_FRAMES if measured.empty else float(measured["feature_frames"].mean())
    samples: dict[tuple[str, str], int] = {
        (split, shard): len(part)
        for split in SPLITS
        for shard, part in shards(table.split(split), config.shard_size).items()
    }
    return Workload(config, len(table.classes), samples, frames, gpu=gpu)


def readers_of(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """Names of the jobs that read an output of each job."""
    maker = {output: job.name for job in jobs for output in job.outputs}
    readers: dict[str, list[str]] = {job.name: [] for job in jobs}
    for job in jobs:
        for name in {maker[path] for path in job.inputs if path in maker}:
            readers[name].append(job.name)
    return readers


def critical_path(jobs: Sequence[Job], costs: pd.DataFrame) -> list[str]:
    """The longest chain of jobs that wait for each other: no number of machines is faster."""
    longest, following = _longest_chains(readers_of(jobs), costs)
    path = [max(following, key=lambda name: longest[name])]
    while (after := following[path[-1]]) is not None:
        path.append(after)
    return path


def _longest_chains(
    readers: Mapping[str, list[str]], costs: pd.DataFrame
) -> tuple[dict[str | None, float], dict[str, str | None]]:
    """Seconds of the longest chain that starts with each job, and the next job in it."""
    seconds = costs["seconds"].to_dict()
    longest: dict[str | None, float] = {None: 0.0}
    following: dict[str, str | None] = {}
    for name in TopologicalSorter(readers).static_order():  # readers first
        following[name] = max(readers[name], key=lambda reader: longest[reader], default=None)
        longest[name] = seconds[name] + longest[following[name]]
    return longest, following


def scheduled_seconds(jobs: Sequence[Job], costs: pd.DataFrame, machines: Machines) -> float:
    """Duration of a run in which free cores and GPUs take the job with the longest chain."""
    readers = readers_of(jobs)
    longest, _ = _longest_chains(readers, costs)
    waits_for = Counter(reader for names in readers.values() for reader in names)
    cores = machines.nodes * machines.cores
    needs = {
        row.Index: (min(row.threads * row.nodes, cores), min(row.gpus, machines.gpus), row.seconds)
        for row in costs.itertuples()
    }
    ready = [(-longest[name], name) for name in readers if not waits_for[name]]
    heapify(ready)
    free_cores, free_gpus, now = cores, machines.gpus, 0.0
    running: list[tuple[float, str]] = []
    while ready or running:
        blocked = []
        while ready and free_cores:
            entry = heappop(ready)
            threads, gpus, seconds = needs[entry[1]]
            if threads > free_cores or gpus > free_gpus:
                blocked.append(entry)
                continue
            free_cores, free_gpus = free_cores - threads, free_gpus - gpus
            heappush(running, (now + seconds, entry[1]))
        for entry in blocked:
            heappush(ready, entry)
        now, done = heappop(running)
        free_cores, free_gpus = free_cores + needs[done][0], free_gpus + needs[done][1]
        for reader in readers[done]:
            waits_for[reader] -= 1
            if not waits_for[reader]:
                heappush(ready, (-longest[reader], reader))
    return now


def folders_of(jobs: Sequence[Job]) -> set[str]:
    """Folders of all files of the jobs and of Snakemake's records, except the working folder."""
    files = [".snakemake/metadata/record"]
    for job in jobs:
        files += [*job.outputs, *job.logs, *([job.benchmark] if job.benchmark else [])]
    return {str(folder) for file in files for folder in PurePath(file).parents} - {".", "/"}


def _missing_bytes(jobs: Sequence[Job], costs: pd.DataFrame) -> float:
    """Bytes of the unfinished jobs; a deleted file is only needed by unfinished readers."""
    readers = readers_of(jobs)
    needed = ~costs["done"]
    for name in costs.index[costs["temporary"]]:
        needed[name] &= not costs.loc[readers[name], "done"].all()
    return float(costs.loc[needed, "bytes"].sum())


def _disk_warnings(results: str, needed: float, files: int) -> Iterator[str]:
    folder = os.path.abspath(results)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    free, inodes = shutil.disk_usage(folder).free, os.statvfs(folder)
    if needed > free:
        yield (
            f"results: {needed / 1e9:,.1f} GB more are needed and {folder} has "
            f"{free / 1e9:,.1f} GB free; set results to a larger disk, or run stream by stream "
            "with keep_features false, see docs/how-to/plan.md"
        )
    if inodes.f_files and files > inodes.f_favail:
        yield (
            f"results: the run writes {files:,} files and {folder} has room for "
            f"{inodes.f_favail:,}; raise shard_size"
        )


def _command_warnings(shard_size: int, jobs: Sequence[Job]) -> Iterator[str]:
    # The command of `report` names few files: it reads the others from the folder of results.
    longest = max(
        (sum(len(path) + 1 for path in job.inputs), job.name)
        for job in jobs
        if job.rule != "report"
    )
    length = SETTINGS_BYTES + longest[0]
    if length > LONGEST_COMMAND:
        yield (
            f"shard_size: {shard_size} makes a command of {length:,} bytes for {longest[1]}, "
            f"which names each shard, and Linux allows {LONGEST_COMMAND:,}; raise it"
        )


def _runtime_warnings(jobs: pd.DataFrame) -> Iterator[str]:
    """One per rule whose longest job exceeds the time limit that the rule sets on a cluster."""
    for rule, name in jobs.groupby("rule", sort=False)["seconds"].idxmax().items():
        job = jobs.loc[name]
        minutes = job["seconds"] / 60
        if minutes > job["minutes"]:  # false for a rule without a limit
            advice = "lower shard_size, or raise" if job["samples"] else "raise"
            yield (
                f"{rule}: {name} takes about {minutes:,.0f} minutes and its limit on a cluster is "
                f"{job['minutes']:,.0f}; {advice} its runtime in the profile"
            )
