"""Check the files of weights that a config names."""

import argparse
import sys

from slr_pipeline.config.experiment import read_config
from slr_pipeline.config.weights import configured_weights, mismatch_problem, missing_problem


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("action", choices=("check",), help="compare each file with its SHA-256")
    parser.add_argument("config", nargs="?", default="config.yaml", help="default: config.yaml")


def main(arguments: argparse.Namespace) -> None:
    """Print the state of each file; exit with status 1 if one is missing or has another SHA-256."""
    from slr_pipeline.io.video import sha256_of

    problems = []
    for weights in configured_weights(read_config(arguments.config)):
        problem, sha256 = missing_problem(weights), ""
        if problem is None:
            sha256 = sha256_of(weights.path)
            problem = mismatch_problem(weights, sha256)
        state = "bad" if sha256 and problem else "ok" if sha256 else "missing"
        print(f"{state:8}{weights.key}: {weights.path} {sha256}".rstrip())
        problems += [] if problem is None else [problem]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
