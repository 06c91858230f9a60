"""Check a submission, .csv or .zip, against its template."""

import argparse
import sys

from slr_pipeline.errors import ConfigError


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("file", help="`name,label` lines, or a zip of them as predictions.csv")
    parser.add_argument("--template", required=True, help="the organisers' file of names")
    parser.add_argument("--classes", type=int, default=226, help="226 by default, those of AUTSL")


def main(given: argparse.Namespace) -> None:
    """Print that a submission is as its template wants it, or each thing that is wrong."""
    from slr_pipeline.io.submission import read_template, submission_problems  # noqa: PLC0415

    if given.classes < 1:
        raise ConfigError(f"--classes {given.classes}: expected 1 or more")
    problems = submission_problems(given.file, given.template, given.classes)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    names = len(read_template(given.template))
    print(f"ok: {given.file} answers each of the {names} names of {given.template} once, in order")
