"""Forecast jobs, files, disk and hours of a run."""

import argparse
import os

from slr_pipeline.errors import ConfigError


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("config", nargs="?", default="config.yaml")
    parser.add_argument("--cores", type=int, help="cores per node; default: those of this machine")
    parser.add_argument("--gpus", type=int, help="GPUs in total; default: those of the largest job")
    parser.add_argument("--nodes", type=int, default=1, help="number of machines; default: 1")


def main(given: argparse.Namespace) -> None:
    """Forecast jobs, files, disk and hours of a run on the given machines."""
    cores = len(os.sched_getaffinity(0)) if given.cores is None else given.cores
    for name, value, least in (
        ("cores", cores, 1),
        ("gpus", given.gpus or 0, 0),
        ("nodes", given.nodes, 1),
    ):
        if value < least:
            raise ConfigError(f"--{name} {value}: expected {least} or more")
    from slr_pipeline.planning.plan import make_plan
    from slr_pipeline.planning.tables import plan_text

    for part in plan_text(make_plan(given.config, given.nodes, cores, given.gpus)):
        print(part)
