"""Forecast jobs, files, disk and hours of a run."""

import argparse
import os

from slr_pipeline.config.experiment import read_config
from slr_pipeline.errors import ConfigError


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("config", nargs="?", default="config.yaml")
    parser.add_argument("--cores", type=int, help="of a node; those of this machine by default")
    parser.add_argument("--gpus", type=int, help="in all; by default what the largest job takes")
    parser.add_argument("--nodes", type=int, default=1, help="machines; 1 by default")


def main(given: argparse.Namespace) -> None:
    """Print what a run is made of, what it takes, and how long it takes on given machines."""
    from slr_pipeline.planning.plan import Machines, default_gpus, make_plan  # noqa: PLC0415
    from slr_pipeline.planning.tables import print_plan  # noqa: PLC0415

    config = read_config(given.config)
    cores = len(os.sched_getaffinity(0)) if given.cores is None else given.cores
    gpus = default_gpus(config) if given.gpus is None else given.gpus
    for name, value, least in (("cores", cores, 1), ("gpus", gpus, 0), ("nodes", given.nodes, 1)):
        if value < least:
            raise ConfigError(f"--{name} {value}: expected {least} or more")
    print_plan(make_plan(config, Machines(given.nodes, cores, gpus)))
