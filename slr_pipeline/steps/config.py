"""Write the checked configuration of a run beside its results."""

import os

import yaml

from slr_pipeline.config.experiment import Config
from slr_pipeline.io.atomic import write_text


def config(settings: Config, out: str) -> None:
    """Write the configuration as YAML, with paths relative to `out`."""
    values = settings.model_dump(context={"folder": os.path.dirname(out)})
    write_text(out, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
