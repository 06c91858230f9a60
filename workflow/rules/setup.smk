"""Check the configuration and the sample table; set paths and environment for all jobs."""

import os
import sys
from pathlib import Path

from snakemake.dag import DAG
from snakemake.io import is_flagged
from snakemake.jobs import Job
from snakemake.logging import logger

from slr_pipeline.cli.check import header_problems
from slr_pipeline.cli.interpreter import check_code, check_writable, isolated
from slr_pipeline.config.experiment import Config, check_config, named_by, read_values
from slr_pipeline.errors import SlrError
from slr_pipeline.planning.remaining import TimeLeft
from slr_pipeline.samples.requirements import check_streams
from slr_pipeline.samples.table import SampleTable, load_samples

try:
    check_code(Path(workflow.basedir))
    values = config
    path = ""
    for path in map(os.path.relpath, workflow.configfiles):
        # Refuses duplicate keys: Snakemake silently takes the last one.
        values = named_by(read_values(path), values)
    CONFIG: Config = check_config(values, path)
    TABLE: SampleTable = load_samples(CONFIG.data)
    check_streams(CONFIG, TABLE)
    if not workflow.output_settings.dryrun:
        check_writable(CONFIG.results)
    # Jobs of a cluster parse this file too: they read no header. A dry run reads none of weights,
    # because PyTorch takes seconds to start, and `slr plan` works without weights.
    if workflow.is_main_process:
        weights = not workflow.output_settings.dryrun
        if problems := list(header_problems(CONFIG, TABLE, weights=weights)):
            raise SlrError("\n".join(problems))
        # Of a module, the jobs of the workflow around it are unknown.
        if len(workflow.modifier_stack) == 1:
            logger.addHandler(TimeLeft(workflow, CONFIG, TABLE))
except SlrError as error:
    sys.exit(f"error: {error}")


pathvars:
    results=CONFIG.results,
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",


os.environ.update(
    # Steps run with the Python that runs Snakemake, even if its environment is not activated.
    # With --sdm conda, the conda environment comes first.
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()]),
    # For what the steps start, and for the Snakemake of a cluster job; a step has -P besides, so
    # that its printed command means the same in a terminal.
    **isolated(),
    # Variables such as $TMPDIR are expanded on the node that runs the step.
    SLR_SCRATCH=CONFIG.scratch or "",
)

# A cluster signals every process of a job: the shell ignores the signal, so that the step can save.
shell.prefix("set -euo pipefail; trap : TERM USR1; ")


def looking_at_every_job(update_needrun):
    """Snakemake's search for the jobs to run, without its shortcut and its memory of params.

    It skips the jobs after a job that runs. One that depends on it only by an `ancient` input then
    does not run either, although its own settings have changed: they would wait for the next command.
    It also records the params of this search, but `verify` runs later and changes `content_digest`.
    """

    async def update(dag, *arguments, **options):
        dag.bfs = lambda *_, **__: ()
        try:
            await update_needrun(dag, *arguments, **options)
        finally:
            vars(dag).pop("bfs", None)
            dag.workflow.persistence._params.cache_clear()

    return update


DAG.update_needrun = looking_at_every_job(DAG.update_needrun)


def failed_is_incomplete(postprocess):
    """Snakemake's work after a job, for a job that failed and got its `update` files back.

    Snakemake records such earlier files as made by the failed job, which then never runs again.
    """

    async def process(job, *arguments, error=False, **options):
        await postprocess(job, *arguments, error=error, **options)
        if error and any(is_flagged(file, "update") for file in job.output):
            job.dag.workflow.persistence.started(job)

    return process


Job.postprocess = failed_is_incomplete(Job.postprocess)
