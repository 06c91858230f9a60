"""The console command `snakemake`: Snakemake's own, but a target may follow `--resources gpu=1`.

Snakemake takes every word after such an option as its value, and a target there ends in a
traceback. `python -m snakemake`, which cluster jobs use, is unchanged.
"""

import sys
from collections.abc import Sequence

from slr_pipeline.cli.interpreter import start_console_script
from slr_pipeline.startup import lasting_imports

PAIR_OPTIONS = frozenset(
    {
        "--config",
        "-C",
        "--consider-ancient",
        "--default-res",
        "--default-resources",
        "--group-components",
        "--groups",
        "--res",
        "--resources",
        "--set-resource-scopes",
        "--set-resources",
        "--set-scatter",
        "--set-threads",
    }
)
"""Snakemake's options that take any number of NAME=VALUE words."""


def main() -> None:
    """Run Snakemake with the targets moved to where it expects them."""
    start_console_script()
    with lasting_imports():
        from snakemake.cli import main as upstream

    upstream(targets_first(sys.argv[1:]))


def targets_first(words: Sequence[str]) -> list[str]:
    """The same words, with targets first: the words after a pair option that are not pairs."""
    targets: list[str] = []
    others: list[str] = []
    taking_pairs = False
    for place, word in enumerate(words):
        if word == "--":
            return [*targets, *others, *words[place:]]
        if word.startswith("-"):
            taking_pairs = word in PAIR_OPTIONS
        if taking_pairs and not word.startswith("-") and "=" not in word:
            targets.append(word)
        else:
            others.append(word)
    return [*targets, *others]
