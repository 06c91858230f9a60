"""List the samples that failed `verify`; stop the run if there are too many."""

import logging
from collections.abc import Mapping

from slr_pipeline.config.checks import VerifySettings
from slr_pipeline.config.flags import run_step
from slr_pipeline.errors import DataError
from slr_pipeline.io.verified import read_verified, write_verified

log = logging.getLogger(__name__)


def quarantine(settings: VerifySettings, verified: list[str], out: str) -> None:
    """Write quarantine.csv; DataError with the list if it is too long."""
    rows = [row for path in verified for row in read_verified(path)]
    failed = [row for row in rows if row.reason]
    stop_if_too_many(
        {row.sample: row.reason for row in failed},
        samples=len(rows),
        most=settings.max_quarantined,
        key="verify.max_quarantined",
        advice="repair the videos",
    )
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
            f"{key} {most:.1%} allows; {advice} or raise it:\n{listed}"
        )


if __name__ == "__main__":
    run_step(quarantine)
