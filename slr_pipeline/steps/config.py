"""Write the checked configuration of a run beside its results."""

import argparse

import yaml

from slr_pipeline.config.experiment import Config
from slr_pipeline.config.flags import parse_section
from slr_pipeline.errors import run
from slr_pipeline.io.atomic import write_text


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    config = parse_section(Config, flags.config)
    write_text(flags.out, yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    run(main)
