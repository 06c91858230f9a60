"""Check a submission (.csv or .zip) against its template."""

import argparse
import sys

from slr_pipeline.errors import ConfigError


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("file", help="rows `name,label`, or a zip with them as predictions.csv")
    parser.add_argument("--template", required=True, help="the organisers' file with all names")
    parser.add_argument(
        "--classes", type=int, default=226, help="number of classes (default: 226, AUTSL)"
    )


def main(arguments: argparse.Namespace) -> None:
    """Print that a submission fits its template, or every problem."""
    from slr_pipeline.io.submission import read_template, submission_problems

    if arguments.classes < 1:
        raise ConfigError(f"--classes {arguments.classes}: expected 1 or more")
    problems = submission_problems(arguments.file, arguments.template, arguments.classes)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    names = len(read_template(arguments.template))
    print(
        f"ok: {arguments.file} answers each of the {names} names of {arguments.template} once, "
        "in order"
    )
