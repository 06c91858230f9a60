"""The entry of a checkout. The workflow is where the Snakemake workflow catalog expects it."""


include: "workflow/Snakefile"


# Snakemake takes no default target from an included file.
use rule all as default
