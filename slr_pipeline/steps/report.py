"""Write the report page of a finished run: a single file for the browser."""

import logging

from slr_pipeline.io.atomic import write_text
from slr_pipeline.io.features import open_features
from slr_pipeline.io.verified import read_verified
from slr_pipeline.report.finished_run import read_run
from slr_pipeline.report.page import render_page

log = logging.getLogger(__name__)


def report(config: str, out: str, shown: list[str] | None = None) -> None:
    """Write the page of a run.

    `config` is config.yaml of its results; `shown` a verify table and feature files of one shard,
    whose first complete sample the page shows; None: the run read no video.
    """
    samples, features = [], []
    if shown:
        samples = [row.sample for row in read_verified(shown[0])]
        features = list(open_features(shown[1:]))
    text = render_page(read_run(config), samples, features)
    write_text(out, text)
    log.info("%s: %.1f MB", out, len(text.encode()) / 1e6)
