"""Write the generated pages of docs/reference/."""

import argparse
from pathlib import Path

from slr_pipeline.config.reference import write_docs


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    default = "docs/reference"
    parser.add_argument("folder", nargs="?", type=Path, default=default, help=f"default: {default}")


def main(arguments: argparse.Namespace) -> None:
    """Write the pages."""
    write_docs(arguments.folder)
