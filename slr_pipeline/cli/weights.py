"""Look at each file of weights that a config names."""

import argparse
import sys

from slr_pipeline.config.experiment import read_config
from slr_pipeline.config.weights import configured_weights, mismatch_problem, missing_problem


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("action", choices=("check",))
    parser.add_argument("config", nargs="?", default="config.yaml")


def main(given: argparse.Namespace) -> None:
    """Print each file of weights that a config names; list those missing or not as they must be."""
    from slr_pipeline.io.video import sha256_of  # noqa: PLC0415

    problems = []
    for weights in configured_weights(read_config(given.config)):
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
