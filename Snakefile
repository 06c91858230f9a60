"""From videos to submissions: the configuration, the rules and the default target."""

from snakemake.utils import min_version

min_version("9.17")  # pathvars


# The demo. Another experiment is a whole file: --configfile replaces this one, without a merge.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/setup.smk"
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
        start_message("{rule}: all files are complete")


onerror:
    # Snakemake does not cancel a SLURM job that it is submitting while it stops.
    shell("{workflow.basedir:q}/profiles/slurm/cancel {log:q}")
