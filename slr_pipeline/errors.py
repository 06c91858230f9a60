"""The errors a user can mend: one line with what, where, found against expected, and what to do."""

import logging
import sys
from collections.abc import Callable


class SlrError(Exception):
    """Something the user can mend; shown as one line without a traceback."""


class ConfigError(SlrError):
    """A wrong configuration: the message names the key and the values that are known."""


class DataError(SlrError):
    """Wrong input data: the message names the table row, the sample or the file."""


class ArtifactError(SlrError):
    """A file of the pipeline that is short, foreign, or of another version."""


def run(command: Callable[[], None]) -> None:
    """Run a step or command: an SlrError ends it with exit status 1 and one line, no traceback."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        command()
    except SlrError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
