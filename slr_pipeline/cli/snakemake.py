"""The console command `snakemake`: upstream's, where a target may follow `--resources gpu=1`.

Upstream gives every word after such an option to it, and ends in a traceback for a target.
`python -m snakemake`, which cluster jobs use, stays upstream's own.
"""

import sys
from collections.abc import Sequence

from snakemake.cli import main as upstream

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
"""Options of Snakemake that take any number of NAME=VALUE words."""


def main() -> None:
    """Run Snakemake on the command line, with the targets where it expects them."""
    upstream(targets_first(sys.argv[1:]))


def targets_first(words: Sequence[str]) -> list[str]:
    """The same words; those after a pair option that are no pair come first, as targets."""
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
