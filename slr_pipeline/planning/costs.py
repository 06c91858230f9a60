"""What each job of a run takes: seconds and bytes, by measured rates or by the run's own past."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slr_pipeline.config.experiment import SPLITS, Config
from slr_pipeline.config.streams import ImportedSettings, R2plus1dSettings, TrainedStream, recipe_of
from slr_pipeline.io.benchmarks import read_seconds
from slr_pipeline.planning import rates
from slr_pipeline.planning.jobs import Job
from slr_pipeline.planning.schedule import Task
from slr_pipeline.samples.table import SampleTable

Source = Literal["measured", "assumed", "this run"]
"""On the machine of docs/RESULTS.md; not at all; or in the benchmark files of this run."""


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, bytes that stay, and whether the outputs are there already."""

    seconds: float
    bytes: float
    source: Source
    done: bool = False


@dataclass(frozen=True)
class Known:
    """What is known of a run: samples by split, mean frames of a clip, if there is a GPU."""

    config: Config
    classes: int
    samples: Mapping[str, int]
    frames: float
    gpu: bool

    @classmethod
    def of(cls, config: Config, table: SampleTable, frames: float, *, gpu: bool) -> "Known":
        """Those facts of a table; `frames` are the mean frames of a clip."""
        samples: dict[str, int] = {split: len(table.split(split)) for split in SPLITS}
        return cls(config, len(table.classes), samples, frames, gpu)


def job_costs(run: Known, jobs: Sequence[Job]) -> dict[str, Cost]:
    """The cost of each job by its name.

    A rule, or a stream of it, that has benchmark files in this run is forecast by them, and a file
    that is there by its size.
    """
    own = _own_rates(run, jobs)
    costs = {}
    for job in jobs:
        rate, source = _rate(run, job)
        seconds = _units(run, job) * rate
        if _group(job) in own:
            seconds, source = _units(run, job) * own[_group(job)], "this run"
        elif job.rule in ("train", "predict"):
            seconds += rates.START_SECONDS
        done = all(os.path.exists(output) for output in job.outputs)
        size = sum(map(os.path.getsize, job.outputs)) if done else _bytes(run, job)
        costs[job.name] = Cost(seconds, size, source, done)
    return costs


def tasks_of(jobs: Sequence[Job], costs: Mapping[str, Cost], *, gpu: bool) -> dict[str, Task]:
    """The jobs as a simulation takes them; where there is no GPU none is waited for."""
    maker = {output: job.name for job in jobs for output in job.outputs}
    return {
        job.name: Task(
            costs[job.name].seconds,
            tuple(dict.fromkeys(maker[path] for path in job.inputs)),
            job.threads,
            job.gpus // job.nodes if gpu else 0,
            job.nodes,
        )
        for job in jobs
    }


def _group(job: Job) -> tuple[str, ...]:
    """What shares a rate: jobs of a rule, and of a stream."""
    return (job.rule, job.wildcards[0]) if job.rule in ("train", "predict") else (job.rule,)


def _own_rates(run: Known, jobs: Sequence[Job]) -> dict[tuple[str, ...], float]:
    """Seconds a unit by the benchmark files that are there."""
    seconds: dict[tuple[str, ...], float] = defaultdict(float)
    units: dict[tuple[str, ...], float] = defaultdict(float)
    for job in jobs:
        taken = read_seconds(job.benchmark) if job.benchmark else None
        if taken is not None:
            seconds[_group(job)] += taken
            units[_group(job)] += _units(run, job)
    return {group: seconds[group] / units[group] for group in seconds if units[group]}


def _units(run: Known, job: Job) -> float:
    """How much a job handles: frames, 10^9 floating-point operations, or one job."""
    if job.samples:
        return job.samples * run.frames
    if job.rule in ("train", "predict"):
        return _passes(run, job) * rates.forward_gflop(_stream(run, job))
    return 1.0


def _rate(run: Known, job: Job) -> tuple[float, Source]:
    """Seconds a unit by what was measured elsewhere."""
    on_gpu = bool(run.gpu and job.gpus)
    if job.samples:
        milliseconds, measured = rates.ms_a_frame(job.rule, run.config.features, gpu=on_gpu)
        return milliseconds / 1000, "measured" if measured else "assumed"
    if job.rule in ("train", "predict"):
        if on_gpu:
            return 1 / (rates.GPU_GFLOPS * job.gpus), "assumed"
        cores = job.threads * job.nodes
        return 1 / (rates.CPU_GFLOPS[_stream(run, job).model] * cores), "measured"
    return rates.JOB_SECONDS + rates.JOB_MS_A_SAMPLE * sum(run.samples.values()) / 1000, "assumed"


def _bytes(run: Known, job: Job) -> float:
    if job.samples:
        frames, settings = _units(run, job), run.config.features
        features = [output.split("/")[-3] for output in job.outputs]
        return sum(rates.file_bytes(name, job.samples, frames, settings) for name in features)
    if job.rule == "train":
        return 4 * rates.parameters(_stream(run, job))
    if job.rule == "predict":
        return run.samples[job.wildcards[2]] * run.classes * rates.BYTES_A_LOGIT
    return 0.0


def _passes(run: Known, job: Job) -> float:
    """Items through the model; one trained on counts three times, for forward and backward."""
    settings, samples = _stream(run, job), run.samples
    left_out = 1 / run.config.folds if run.config.folds else 0.0
    phase = job.wildcards[1]
    if job.rule == "predict":
        clips = settings.test_clips if isinstance(settings, R2plus1dSettings) else 1
        split = job.wildcards[2]
        return samples[split] * clips * (left_out if split == "train" else 1.0)
    if phase == "finetune":
        return recipe_of(settings, "finetune").epochs * 3 * (samples["train"] + samples["val"])
    share = 1.0 if phase == "train" else 1.0 - left_out
    return settings.training.epochs * (3 * share * samples["train"] + samples["val"])


def _stream(run: Known, job: Job) -> TrainedStream:
    settings = run.config.streams[job.wildcards[0]]
    assert not isinstance(settings, ImportedSettings)
    return settings
