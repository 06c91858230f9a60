"""The jobs of a run, from a dry run of Snakemake. Nothing is executed and no video is opened."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slr_pipeline.config.experiment import Config
from slr_pipeline.config.weights import configured_weights, missing_problem
from slr_pipeline.errors import ConfigError

SNAKEFILE = Path(__file__).parents[2] / "Snakefile"
CORES = 4096
"""More than any rule asks for: a dry run lowers the threads of a job to the available cores."""


@dataclass(frozen=True)
class Job:
    """A job with its files. `threads` are those of one node, `gpus` those of all `nodes`."""

    rule: str
    wildcards: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    logs: tuple[str, ...] = ()
    benchmark: str | None = None
    minutes: int | None = None
    threads: int = 1
    gpus: int = 0
    nodes: int = 1

    @property
    def name(self) -> str:
        """The rule and the values of its wildcards."""
        return " ".join([self.rule, *self.wildcards.values()])


class _JobCollector(logging.Handler):
    """Collects the job records of Snakemake's logger."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of a job that writes files; `all` and other targets write none."""
        values = vars(record)
        if values.get("rule_name") is None or not values.get("output"):
            return
        resources = dict(values["resources"].items())
        self.jobs.append(
            Job(
                rule=values["rule_name"],
                wildcards=values["wildcards"],
                inputs=tuple(values["input"]),
                # Snakemake names the flags of a file behind its path.
                outputs=tuple(path.removesuffix(" (update)") for path in values["output"]),
                logs=tuple(values["log"]),
                benchmark=values["benchmark"],
                minutes=resources.get("runtime"),
                threads=values["threads"],
                gpus=resources.get("gpu", 0),
                nodes=resources.get("nodes", 1),
            )
        )


def planned_jobs(path: str, config: Config) -> list[Job]:
    """All jobs of the target `all`, finished ones included; `path` is the file of `config`.

    Missing weights are allowed. ConfigError if Snakemake refuses the configuration.
    """
    # Late: only this function needs Snakemake, which takes a second to import.
    from snakemake.api import SnakemakeApi  # noqa: PLC0415
    from snakemake.logging import logger  # noqa: PLC0415
    from snakemake.settings.types import (  # noqa: PLC0415
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
    )

    if not SNAKEFILE.exists():
        raise ConfigError(f"{SNAKEFILE} is not there; run slr plan from a checkout of the project")
    collector = _JobCollector()
    try:
        with SnakemakeApi(OutputSettings(dryrun=True, enable_file_logging=False)) as api:
            logger.handlers, logger.propagate = [collector], False  # nothing is printed
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=CORES),
                config_settings=ConfigSettings(
                    configfiles=[Path(path).resolve()], config=_weights_in_place(path, config)
                ),
                snakefile=SNAKEFILE,
            )
            dag = workflow.dag(DAGSettings(targets={"all"}, forceall=True, force_incomplete=True))
            dag.execute_workflow(executor="dryrun")
    except SystemExit as error:  # the Snakefile refuses the config or the table
        raise ConfigError(str(error).removeprefix("error: ")) from error
    except Exception as error:
        raise ConfigError(f"{path}: Snakemake cannot plan this run: {error}") from error
    return _in_order(collector.jobs)


def _in_order(jobs: list[Job]) -> list[Job]:
    """The jobs sorted by the length of the chain before them, then by name."""
    maker = {output: job for job in jobs for output in job.outputs}
    level: dict[str, int] = {}
    for job in jobs:  # Snakemake lists a job after the jobs that it waits for
        before = [level[maker[path].name] for path in job.inputs if path in maker]
        level[job.name] = 1 + max(before, default=-1)
    return sorted(jobs, key=lambda job: (level[job.name], job.name))


def _weights_in_place(path: str, config: Config) -> dict[str, Any]:
    """Config values that replace each missing file of weights by the config file, which exists."""
    changes: dict[str, Any] = {}
    for named in configured_weights(config):
        if missing_problem(named) is not None:
            section = changes
            for key in named.key.split("."):
                section = section.setdefault(key, {})
            section["path"] = path
    return changes
