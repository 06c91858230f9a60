"""The forecast of a run: what its rules take, its disk and files, and a simulated execution."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from slr_pipeline.config.experiment import Config
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.errors import SlrError
from slr_pipeline.planning.costs import Cost, Known, Source, job_costs, tasks_of
from slr_pipeline.planning.fingerprint import (
    SplitCounts,
    Videos,
    count_splits,
    look_at_videos,
    shared_signers,
)
from slr_pipeline.planning.jobs import Job, made_files, made_folders, planned_jobs
from slr_pipeline.planning.rates import CLIP_FRAMES
from slr_pipeline.planning.schedule import Schedule, cluster, critical_path, simulate
from slr_pipeline.samples.table import SampleTable, check_streams, load_samples

LONGEST_COMMAND = 131_071
"""Bytes Linux gives one argument; a job's command is one argument of the shell."""
SETTINGS_BYTES = 4000
"""Of a command beside the files it names, more than any rule has."""


@dataclass(frozen=True)
class Row:
    """A rule, or the trainings of a stream. Cores beside a GPU are not counted."""

    name: str
    jobs: int
    files: int
    core_hours: float
    gpu_hours: float
    bytes: float
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Machines:
    """So many nodes of so many cores each, and GPUs in all."""

    nodes: int
    cores: int
    gpus: int


@dataclass(frozen=True)
class Plan:
    """Everything `slr plan` says. `peak_bytes` is the most that lies on disk at once.

    Uses are shares of the machines' time; `path` is the critical path, with seconds.
    """

    config: Config
    table: SampleTable
    splits: list[SplitCounts]
    shared_signers: int
    videos: Videos
    rows: list[Row]
    files: int
    records: int
    folders: int
    final_bytes: float
    peak_bytes: float
    missing_bytes: float
    machines: Machines
    makespan: float
    core_use: float
    gpu_use: float | None
    path: list[tuple[str, float]]
    warnings: list[str]


def default_gpus(config: Config) -> int:
    """What the largest training takes; none with device cpu."""
    if config.device == "cpu":
        return 0
    streams = [s for s in config.streams.values() if not isinstance(s, ImportedSettings)]
    return max((stream.gpus * stream.nodes for stream in streams), default=0)


def make_plan(config: Config, machines: Machines) -> Plan:
    """Plan the target `all`; what a stream lacks is a warning. Errors are those of the table."""
    table = load_samples(config.data)
    warnings = []
    try:
        check_streams(config, table)
    except SlrError as error:
        warnings.append(str(error))
    jobs = planned_jobs(config, table)
    videos = look_at_videos(table, config.results, config.seed)
    frames = fmean(videos.frames) if videos.frames else CLIP_FRAMES
    gpus, all_cores = machines.gpus, machines.nodes * machines.cores
    costs = job_costs(Known.of(config, table, frames, gpu=gpus > 0), jobs)
    tasks = tasks_of(jobs, costs, gpu=gpus > 0)
    schedule = simulate(tasks, cluster(machines.nodes, machines.cores, gpus))
    files = made_files(jobs)
    missing = peak_bytes(jobs, _only_missing(jobs, costs), schedule)
    warnings += _disk_warnings(config.results, missing, len(files))
    warnings += [*_command_warnings(config, jobs), *_runtime_warnings(jobs, costs)]
    span = schedule.makespan
    core_seconds = sum(t.seconds * t.nodes * min(t.threads, machines.cores) for t in tasks.values())
    gpu_seconds = sum(t.seconds * t.nodes * t.gpus for t in tasks.values())
    return Plan(
        config=config,
        table=table,
        splits=count_splits(table),
        shared_signers=shared_signers(table),
        videos=videos,
        rows=rows_of(jobs, costs, gpu=gpus > 0),
        files=len(files),
        records=sum(len(job.outputs) for job in jobs),
        folders=len(made_folders(files)),
        final_bytes=sum(costs[job.name].bytes for job in jobs if not job.temporary),
        peak_bytes=peak_bytes(jobs, costs, schedule),
        missing_bytes=missing,
        machines=machines,
        makespan=span,
        core_use=core_seconds / (span * all_cores),
        gpu_use=gpu_seconds / (span * gpus) if gpus else None,
        path=[(name, tasks[name].seconds) for name in critical_path(tasks)],
        warnings=warnings,
    )


def rows_of(jobs: Iterable[Job], costs: Mapping[str, Cost], *, gpu: bool) -> list[Row]:
    """Sums by rule, and of `train` by stream, in the order a run goes through."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        name = f"train {job.wildcards[0]}" if job.rule == "train" else job.rule
        groups.setdefault(name, []).append(job)
    rows = []
    order = list(dict.fromkeys(members[0].rule for members in groups.values()))
    by_rule = sorted(groups.items(), key=lambda group: order.index(group[1][0].rule))
    for name, members in by_rule:
        cores = gpus = 0.0
        for job in members:
            seconds = costs[job.name].seconds
            if gpu and job.gpus:
                gpus += seconds * job.gpus / 3600
            else:
                cores += seconds * job.threads * job.nodes / 3600
        size = sum(costs[job.name].bytes for job in members)
        sources = tuple(dict.fromkeys(costs[job.name].source for job in members))
        rows.append(Row(name, len(members), len(made_files(members)), cores, gpus, size, sources))
    return rows


def peak_bytes(jobs: Sequence[Job], costs: Mapping[str, Cost], schedule: Schedule) -> float:
    """The most bytes on disk at once: what is temporary goes when its last reader has ended."""
    last_read: dict[str, float] = {}
    for job in jobs:
        for path in job.inputs:
            last_read[path] = max(last_read.get(path, 0.0), schedule.end[job.name])
    changes = [(schedule.end[job.name], costs[job.name].bytes) for job in jobs]
    changes += [
        (max(last_read[path] for path in job.outputs), -costs[job.name].bytes)
        for job in jobs
        if job.temporary
    ]
    most = now = 0.0
    for _, change in sorted(changes, key=lambda change: (change[0], -change[1])):
        now += change
        most = max(most, now)
    return most


def _only_missing(jobs: Sequence[Job], costs: Mapping[str, Cost]) -> dict[str, Cost]:
    """The costs without the bytes of what is there, or was and is not needed any more."""
    needed: set[str] = set()
    found = {}
    for job in reversed(jobs):
        cost = costs[job.name]
        wanted = not job.temporary or any(output in needed for output in job.outputs)
        missing = wanted and not cost.done
        if missing:
            needed.update(job.inputs)
        found[job.name] = cost if missing else Cost(cost.seconds, 0.0, cost.source, cost.done)
    return found


def _disk_warnings(results: str, missing: float, files: int) -> list[str]:
    folder = os.path.abspath(results)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free
    inodes = os.statvfs(folder)
    warnings = []
    if missing > free:
        warnings.append(
            f"results: {missing / 1e9:,.1f} GB more are needed and {folder} has "
            f"{free / 1e9:,.1f} GB free; set results to a larger disk, or go stream by stream with "
            "keep_features false, see docs/how-to/plan.md"
        )
    if inodes.f_files and files > inodes.f_favail:
        warnings.append(
            f"results: the run makes {files:,} files and {folder} has room for "
            f"{inodes.f_favail:,}; raise shard_size"
        )
    return warnings


def _command_warnings(config: Config, jobs: Iterable[Job]) -> list[str]:
    named = (job for job in jobs if job.rule != "report")  # which finds its files by the config
    longest = max(named, key=lambda job: sum(len(path) + 1 for path in job.inputs))
    length = SETTINGS_BYTES + sum(len(path) + 1 for path in longest.inputs)
    if length <= LONGEST_COMMAND:
        return []
    return [
        f"shard_size: {config.shard_size} makes a command of {length:,} bytes for "
        f"{longest.name}, which names each shard, and Linux takes {LONGEST_COMMAND:,}; raise it"
    ]


def _runtime_warnings(jobs: Iterable[Job], costs: Mapping[str, Cost]) -> Iterator[str]:
    """One for each rule whose longest job takes longer than it asks a cluster for."""
    longest: dict[str, Job] = {}
    for job in jobs:
        if costs[job.name].seconds > costs[longest.setdefault(job.rule, job).name].seconds:
            longest[job.rule] = job
    for rule, job in longest.items():
        minutes = costs[job.name].seconds / 60
        if job.minutes is not None and minutes > job.minutes:
            mend = "lower shard_size, or raise" if job.samples else "raise"
            yield (
                f"{rule}: {job.name} takes some {minutes:,.0f} minutes and asks a cluster for "
                f"{job.minutes:,}; {mend} its runtime in the profile"
            )
