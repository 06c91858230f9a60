"""`slr`: the commands beside the pipeline."""

import argparse
import importlib.metadata
import os
import select
import signal
import sys
from collections.abc import Sequence
from types import ModuleType

from slr_pipeline.cli import (
    add,
    check,
    check_submission,
    contact_sheet,
    cross_validate,
    docs,
    export,
    import_checkpoint,
    import_logits,
    init,
    inspect,
    make_split,
    overlay,
    plan,
    predict,
    weights,
)
from slr_pipeline.cli.interpreter import start_console_script
from slr_pipeline.errors import run

COMMANDS: dict[str, ModuleType] = {
    "init": init,
    "add": add,
    "check": check,
    "plan": plan,
    "predict": predict,
    "contact-sheet": contact_sheet,
    "overlay": overlay,
    "inspect": inspect,
    "export": export,
    "check-submission": check_submission,
    "make-split": make_split,
    "cross-validate": cross_validate,
    "import-logits": import_logits,
    "import-checkpoint": import_checkpoint,
    "weights": weights,
    "docs": docs,
}
"""The commands in the order of `slr --help`: modules with functions `flags` and `main`.

The docstring of a module is its help text. They import heavy packages late.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `slr`; without `arguments` it takes those of the process.

    Ends without a message if the reader of the output, such as `head`, has closed the pipe.
    """
    if arguments is None:
        start_console_script()
    try:
        try:
            _run_command(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        stdout = select.poll()
        stdout.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always reported
        if not stdout.poll(0):
            raise  # another pipe is broken
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        sys.exit(128 + signal.SIGPIPE)


def _run_command(arguments: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="slr",
        description="Commands beside the pipeline: before a run, on its results, and on files of "
        "other programs.",
    )
    version = f"slr_pipeline {importlib.metadata.version('slr_pipeline')}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        summary = str(command.__doc__)
        command_parser = commands.add_parser(name, help=summary, description=summary)
        command.flags(command_parser)
        command_parser.set_defaults(command=command)
    parsed = parser.parse_args(arguments)
    run(lambda: parsed.command.main(parsed))


if __name__ == "__main__":
    main()
