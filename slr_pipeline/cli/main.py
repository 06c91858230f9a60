"""`slr`: what people run beside the pipeline."""

import argparse
from collections.abc import Sequence
from typing import Protocol

from slr_pipeline.cli import (
    check,
    check_submission,
    contact_sheet,
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
from slr_pipeline.errors import run


class Command(Protocol):
    """A module of this folder. Its docstring is the help; heavy imports come late, in `main`."""

    __doc__: str | None

    def flags(self, parser: argparse.ArgumentParser) -> None:
        """Declare the flags of the command."""

    def main(self, given: argparse.Namespace) -> None:
        """Run the command."""


COMMANDS: dict[str, Command] = {
    "init": init,
    "check": check,
    "plan": plan,
    "predict": predict,
    "contact-sheet": contact_sheet,
    "overlay": overlay,
    "inspect": inspect,
    "export": export,
    "check-submission": check_submission,
    "make-split": make_split,
    "import-logits": import_logits,
    "import-checkpoint": import_checkpoint,
    "weights": weights,
    "docs": docs,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `slr`."""
    parser = argparse.ArgumentParser(prog="slr", description="Tools beside the pipeline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        about = str(command.__doc__)
        one = commands.add_parser(name, help=about, description=about)
        command.flags(one)
        one.set_defaults(command=command)
    given = parser.parse_args(arguments)
    run(lambda: given.command.main(given))


if __name__ == "__main__":
    main()
