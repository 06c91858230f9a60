"""Write the generated pages of docs/reference/."""

import argparse
from pathlib import Path

from slr_pipeline.config.reference import write_docs


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/reference"))


def main(given: argparse.Namespace) -> None:
    """Write them."""
    write_docs(given.folder)
