"""Errors that the user can fix: one line with what, where, found against expected, what to do."""

import logging
import sys
from collections.abc import Callable

INSTALL_FORMATS = "pip install -c requirements/constraints.txt -e '.[formats]'"
"""The remedy where a library for a foreign format is missing."""


class SlrError(Exception):
    """An error the user can fix, shown as one line without a traceback."""


class ConfigError(SlrError):
    """A wrong configuration or flag; the message names the key."""


class DataError(SlrError):
    """Wrong input data; the message names the table row, the sample or the file."""


class ArtifactError(SlrError):
    """A file of the pipeline that is truncated, foreign, or of another version."""


def run(command: Callable[[], None]) -> None:
    """Run a step or command; an SlrError exits with status 1 and one line, without a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        command()
    except SlrError as error:
        sys.stderr.write(f"error: {error}\n")  # at once: other processes may write there, too
        sys.exit(1)
