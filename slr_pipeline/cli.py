"""What steps and commands share: how they end, flags of features, provenance."""

import argparse
import importlib.metadata
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from slr_pipeline.config import parse_section
from slr_pipeline.errors import SlrError
from slr_pipeline.section import Section


def run(command: Callable[[], None]) -> None:
    """Run a step or command: an SlrError ends it with exit status 1 and one line, no traceback."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        command()
    except SlrError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def feature_flags(
    about: str | None, settings: type[Section], features: Sequence[str] = ()
) -> argparse.Namespace:
    """The flags of a step that makes a feature of a shard from its keypoints and videos.

    `settings` is the section of the feature; `features` are the names of twins, if it has any.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--settings", required=True, type=partial(parse_section, settings))
    if features:
        parser.add_argument("--feature", required=True, choices=features)
    parser.add_argument("--verified", required=True)
    parser.add_argument("--keypoints", required=True)
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def provenance(**facts: Any) -> dict[str, Any]:
    """What made an artifact: package version, given settings and inputs; no clock, no path."""
    return {"package": f"slr_pipeline {importlib.metadata.version('slr_pipeline')}", **facts}
