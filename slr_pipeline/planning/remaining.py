"""How long the rest of a run takes: its forecast, corrected by what the run took so far."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from slr_pipeline.config.experiment import Config
from slr_pipeline.errors import SlrError
from slr_pipeline.io.progress import duration
from slr_pipeline.planning.dry_run import Job
from slr_pipeline.samples.table import SampleTable

FORECAST_COUNTS_S = 60.0
"""The forecast speed counts like this time of the run itself."""


def seconds_left(whole: float, left: float, taken: float) -> float:
    """Time for the rest of a run that `taken` seconds ago was `whole` by forecast and is `left`."""
    done = max(whole - left, 0.0)
    return left * (taken + FORECAST_COUNTS_S) / (done + FORECAST_COUNTS_S)


class TimeLeft(logging.Handler):
    """Adds a line to Snakemake's log after each finished job: how much of the run is left.

    On a cluster there is no line, because its free nodes are unknown.
    """

    def __init__(self, workflow: Any, config: Config, table: SampleTable) -> None:
        super().__init__()
        self._workflow, self._config, self._table = workflow, config, table
        self._began = time.monotonic()
        self._finished: set[int] = set()
        self._forecast: Callable[[Sequence[Job]], float] | None = None
        self._whole = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Follow Snakemake's records of finished jobs and of progress."""
        # Late: a parser of the workflow has imported Snakemake, others need not.
        from snakemake.settings.enums import Quietness  # noqa: PLC0415
        from snakemake_interface_logger_plugins.common import LogEvent  # noqa: PLC0415

        values = vars(record)
        event = values.get("event") if self._workflow.local_exec else None
        if event == LogEvent.JOB_FINISHED:
            self._finished.add(values["job_id"])
        elif event == LogEvent.PROGRESS and values["done"] < values["total"]:
            try:
                text = f"about {duration(self._seconds())} left"
            except SlrError:  # a damaged file, which the job that reads it names
                return
            except Exception:  # as every handler: a run does not fail for its log
                self.handleError(record)
                return
            logging.getLogger(record.name).info(text, extra={"quietness": Quietness.PROGRESS})

    def _seconds(self) -> float:
        needed = list(self._workflow.dag.needrun_jobs(exclude_finished=False))
        if self._forecast is None:
            self._forecast = self._forecast_of(_jobs(needed))
            self._whole = self._forecast(_jobs(needed))
        left = self._forecast(_jobs(job for job in needed if job.jobid not in self._finished))
        return seconds_left(self._whole, left, time.monotonic() - self._began)

    def _forecast_of(self, jobs: Sequence[Job]) -> Callable[[Sequence[Job]], float]:
        """A function that forecasts the duration of some of the jobs on this machine."""
        # Late: jobs of a cluster parse the workflow too and have no use for pandas.
        from slr_pipeline.planning.costs import job_table  # noqa: PLC0415
        from slr_pipeline.planning.fingerprint import measure_videos  # noqa: PLC0415
        from slr_pipeline.planning.plan import (  # noqa: PLC0415
            Machines,
            scheduled_seconds,
            workload,
        )

        most = max((job.gpus for job in jobs), default=0)
        given = self._workflow.global_resources.get("gpu").value
        gpus = most if given is None else min(given, most)
        machines = Machines(1, self._workflow.resource_settings.cores, gpus)
        videos = measure_videos(self._table, self._config.results, self._config.seed)
        costs = job_table(workload(self._config, self._table, videos, gpu=gpus > 0), jobs)
        return lambda some: scheduled_seconds(some, costs.loc[[job.name for job in some]], machines)


def _jobs(jobs: Iterable[Any]) -> list[Job]:
    """Snakemake's jobs that have outputs."""
    return [
        Job(
            rule=job.rule.name,
            wildcards=job.wildcards_dict,
            inputs=tuple(map(str, job.input)),
            outputs=tuple(map(str, job.output)),
            benchmark=None if job.benchmark is None else str(job.benchmark),
            threads=job.threads,
            gpus=resources.get("gpu", 0),
            nodes=resources.get("nodes") or 1,
        )
        for job in jobs
        if job.output and (resources := dict(job.resources.items()))
    ]
