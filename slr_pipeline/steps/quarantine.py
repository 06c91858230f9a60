"""List the samples that failed `verify`; stop the run if there are too many."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from slr_pipeline.config.checks import VerifySettings
from slr_pipeline.errors import DataError
from slr_pipeline.io.verified import read_verified, write_verified
from slr_pipeline.samples.videos import mark_stop

log = logging.getLogger(__name__)


def quarantine(
    settings: VerifySettings,
    verified: list[str],
    out: str,
    known: str | None = None,
) -> None:
    """Write quarantine.csv; DataError with the list if it is too long.

    The causes may then be gone at the next command: each shard with a failed sample is marked in
    the folder `known`, so that `verify` examines it again.
    """
    tables = {path: read_verified(path) for path in verified}
    rows = [row for table in tables.values() for row in table]
    failed = [row for row in rows if row.reason]
    try:
        stop_if_too_many(
            {row.sample: row.reason for row in failed},
            samples=len(rows),
            most=settings.max_quarantined,
            key="verify.max_quarantined",
            advice="repair the videos",
        )
    except DataError:
        for path, table in tables.items():
            if known and any(row.reason for row in table):
                mark_stop(os.path.join(known, *Path(path).parts[-2:]))
        raise
    write_verified(out, failed)
    log.info("%d of %d samples quarantined", len(failed), len(rows))


def stop_if_too_many(
    failed: Mapping[str, str], *, samples: int, most: float, key: str, advice: str
) -> None:
    """DataError with the failed samples and reasons if their share exceeds `most`."""
    share = len(failed) / samples
    if share > most:
        listed = "\n".join(f"  {sample}: {reason}" for sample, reason in failed.items())
        raise DataError(
            f"{len(failed)} of {samples} samples are quarantined ({share:.1%}), more than "
            f"{key} {most:.1%} allows; {advice} or raise it, then run the same command again:\n"
            f"{listed}"
        )
