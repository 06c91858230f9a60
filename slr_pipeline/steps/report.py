"""Write the report page of a finished run: a single file for the browser."""

import argparse
import logging

from slr_pipeline.errors import run
from slr_pipeline.io.atomic import write_text
from slr_pipeline.io.features import open_features
from slr_pipeline.io.verified import read_verified
from slr_pipeline.report.finished_run import read_run
from slr_pipeline.report.page import render_page

log = logging.getLogger(__name__)


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="config.yaml of the results")
    parser.add_argument(
        "--shown", nargs="+", help="verify table and feature files of a shard; one sample is shown"
    )
    parser.add_argument("--out", required=True)
    report(**vars(parser.parse_args()))


def report(config: str, shown: list[str] | None, out: str) -> None:
    """Write the page of the run with this configuration; `shown` is empty if no video was read."""
    samples, features = [], []
    if shown:
        samples = [row.sample for row in read_verified(shown[0])]
        features = list(open_features(shown[1:]))
    text = render_page(read_run(config), samples, features)
    write_text(out, text)
    log.info("%s: %.1f MB", out, len(text.encode()) / 1e6)


if __name__ == "__main__":
    run(main)
