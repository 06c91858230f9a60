"""List the samples that are copies of each other; stop the run if the config says so."""

import logging
from itertools import chain

from slr_pipeline.config.experiment import DataSettings
from slr_pipeline.errors import DataError
from slr_pipeline.features.near_duplicates import near_duplicates
from slr_pipeline.features.perceptual_hash import hashes_from_text
from slr_pipeline.io.duplicates import write_duplicates
from slr_pipeline.io.verified import read_verified, sums_of
from slr_pipeline.samples.duplicates import (
    Twins,
    duplicate_problems,
    duplicate_warnings,
    duplicates_of,
    equal_twins,
)
from slr_pipeline.samples.table import load_samples

log = logging.getLogger(__name__)

MOST_LINES = 20
"""Groups that an error names."""


def duplicates(data: DataSettings, verified: list[str], out: str) -> None:
    """Write duplicates.csv. DataError with a line per group if `data.duplicates` is `error`.

    `verified` are the tables of `verify`.
    """
    rows = [row for path in verified for row in read_verified(path)]
    near = near_duplicates([hashes_from_text(row.perceptual_hash) for row in rows])
    similar = (
        Twins(
            rows[pair.first].sample,
            rows[pair.second].sample,
            "mirrored" if pair.mirrored else "near",
            pair.distance,
        )
        for pair in near
    )
    # Equal ones first: of two at the same distance, the first is named.
    found = duplicates_of(load_samples(data), chain(equal_twins(sums_of(rows)), similar))
    for warning in duplicate_warnings(found, excluded=data.duplicates == "exclude"):
        log.warning("%s", warning)
    if data.duplicates == "error" and (problems := duplicate_problems(found)):
        listed = "\n".join(f"  {line}" for line in problems[:MOST_LINES])
        more = f"\n  and {len(problems) - MOST_LINES} more" if len(problems) > MOST_LINES else ""
        raise DataError(
            f"{len(problems)} videos are several samples, in several splits or with several "
            "labels, and data.duplicates is error; keep one sample of each, or set data.duplicates "
            f"to exclude or warn:\n{listed}{more}"
        )
    write_duplicates(out, found)
    log.info("%d of %d samples have a duplicate", len(found), len(rows))
