"""Seconds and bytes of each job, from measured rates or from finished jobs of the run itself."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import pandas as pd

from slr_pipeline.config.experiment import Config
from slr_pipeline.config.streams import ImportedSettings, TrainedStream, recipe_of, test_views
from slr_pipeline.io.benchmarks import read_seconds
from slr_pipeline.planning import rates
from slr_pipeline.planning.dry_run import Job
from slr_pipeline.schema import PICTURE_FEATURES


@dataclass(frozen=True)
class Workload:
    """What costs depend on: samples by (split, shard), mean frames per clip, and the device."""

    config: Config
    classes: int
    shards: Mapping[tuple[str, str], int]
    frames: float
    gpu: bool

    def split(self, name: str) -> int:
        """Samples of a split."""
        return sum(count for (split, _), count in self.shards.items() if split == name)

    def shard(self, job: Job) -> int:
        """Samples of a job's shard; 0 for a job that does not work on a shard."""
        return self.shards.get((job.wildcards.get("split", ""), job.wildcards.get("shard", "")), 0)


def job_table(work: Workload, jobs: Sequence[Job]) -> pd.DataFrame:
    """One row per job, indexed by its name: costs, resources and number of files.

    Jobs with benchmark files give the rate of their group: a rule, or a stream of a rule with a
    model. A finished job counts with the size of its files, which include Snakemake's record of
    each output. Bytes of a `temporary` job are deleted after its last reader.
    """
    dropped = () if work.config.keep_features else PICTURE_FEATURES
    table = pd.DataFrame(
        {
            "name": job.name,
            "rule": job.rule,
            "row": f"train {job.wildcards['stream']}" if job.rule == "train" else job.rule,
            "group": f"{job.rule} {job.wildcards['stream']}" if _has_model(job) else job.rule,
            "threads": job.threads,
            "gpus": job.gpus if work.gpu else 0,
            "nodes": job.nodes,
            "minutes": job.minutes,
            "samples": work.shard(job),
            "files": 2 * len(job.outputs) + len(job.logs) + (job.benchmark is not None),
            "temporary": job.rule in dropped,
            "done": all(os.path.exists(output) for output in job.outputs),
            "measured": read_seconds(job.benchmark) if job.benchmark else None,
            **_forecast(work, job),
        }
        for job in jobs
    ).set_index("name")
    sums = table[table["measured"].notna()].groupby("group")[["measured", "units"]].sum()
    rate = table["group"].map(sums["measured"].astype(float) / sums["units"])
    table["seconds"] = (table["units"] * rate).fillna(table["seconds"])
    table["source"] = table["source"].mask(rate.notna(), "this run")
    sizes = [sum(map(os.path.getsize, job.outputs)) for job in jobs if table.loc[job.name, "done"]]
    table.loc[table["done"], "bytes"] = sizes
    return table


def _has_model(job: Job) -> bool:
    return job.rule == "train" or _predicts(job)


def _predicts(job: Job) -> bool:
    """Whether a job has logits as output; the rule depends on their splits."""
    return job.rule.startswith("predict")


def _predicted_splits(job: Job) -> list[str]:
    return [PurePath(output).stem for output in job.outputs]


def _forecast(work: Workload, job: Job) -> dict[str, object]:
    """Units of work of a job, seconds, their source, and bytes."""
    on_gpu = bool(work.gpu and job.gpus)
    size = 0.0
    if samples := work.shard(job):  # a unit is a frame
        units, features = samples * work.frames, work.config.features
        rate, measured = rates.ms_per_frame(job.rule, features, gpu=on_gpu)
        seconds = rates.STARTS[job.rule] + units * rate / 1000
        names = [output.split("/")[-3] for output in job.outputs]
        size = sum(rates.file_bytes(name, samples, units, features) for name in names)
    elif _has_model(job):  # a unit is 10^9 floating-point operations
        settings = work.config.streams[job.wildcards["stream"]]
        assert not isinstance(settings, ImportedSettings)
        units, measured = _passes(work, job, settings) * rates.forward_gflop(settings), not on_gpu
        speed = rates.CPU_GFLOPS[settings.model] * job.threads * job.nodes
        if on_gpu:
            speed = rates.GPU_GFLOPS[settings.model] * job.gpus
        seconds = units / speed + rates.START_SECONDS
        size = 4 * rates.parameters(settings)
        if _predicts(job):
            clips = sum(map(work.split, _predicted_splits(job)))
            size = clips * work.classes * rates.BYTES_PER_LOGIT
    else:  # a unit is a job
        units, measured = 1.0, False
        seconds = rates.JOB_SECONDS + rates.JOB_MS_PER_SAMPLE * sum(work.shards.values()) / 1000
    source = "measured" if measured else "assumed"
    return {"units": units, "seconds": seconds, "source": source, "bytes": float(size)}


def _passes(work: Workload, job: Job, settings: TrainedStream) -> float:
    """Items through the model; a training item counts three times, for forward and backward."""
    left_out = 1 / work.config.folds if work.config.folds else 0.0
    if _predicts(job):
        views = len(test_views(settings))
        part = {"train": left_out}  # a fold
        return (
            settings.seeds
            * views
            * sum(work.split(split) * part.get(split, 1.0) for split in _predicted_splits(job))
        )
    phase = job.wildcards["training"].partition("/")[0]  # without the seed
    train, val = work.split("train"), work.split("val")
    if phase == "finetune":
        return recipe_of(settings, "finetune").epochs * 3 * (train + val)
    share = 1.0 if phase == "train" else 1.0 - left_out
    return settings.training.epochs * (3 * share * train + val)
