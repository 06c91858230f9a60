"""From videos to submissions: checks the config, includes the rules, names the targets."""

import os
import sys

from slr_pipeline.config.experiment import Config, check_config, read_values
from slr_pipeline.errors import SlrError
from slr_pipeline.samples.table import SampleTable, check_streams, load_samples

# Steps run with the interpreter that runs Snakemake, activated or not; conda comes before it.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()])
)

# A cluster sends its signals to every process of a job: the shell waits for the step, which saves.
shell.prefix("set -euo pipefail; trap : TERM USR1; ")

# Other experiments are whole files: --configfile replaces the demo and is not merged into it.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


report: "workflow/report/workflow.rst"


try:
    for file in workflow.configfiles:
        read_values(file)  # Snakemake takes the last of two equal keys
    CONFIG: Config = check_config(config)
    TABLE: SampleTable = load_samples(CONFIG.data)
    check_streams(CONFIG, TABLE)
except SlrError as error:
    sys.exit(f"error: {error}")

# Variables in it, such as $TMPDIR, are those of the node that a step runs on.
os.environ.update(SLR_SCRATCH=CONFIG.scratch or "")


include: "workflow/rules/common.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/streams.smk"
include: "workflow/rules/ensemble.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        rules.submission.input,
        rules.report.output,
    message:
        told("{rule}: everything is there")


onerror:
    # What was being submitted while Snakemake was told to stop is not cancelled by Snakemake.
    shell("{workflow.basedir:q}/profiles/slurm/cancel {log:q}")
