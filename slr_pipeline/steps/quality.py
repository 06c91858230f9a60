"""Measure the keypoint quality of a split; stop the run if too many clips fail."""

import logging
from dataclasses import asdict

from slr_pipeline.config.checks import QualitySettings
from slr_pipeline.features.keypoint_quality import KeypointQuality, keypoint_quality, shoulders_px
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.tables import write_table
from slr_pipeline.steps.quarantine import stop_if_too_many

log = logging.getLogger(__name__)


def quality(settings: QualitySettings, keypoints: list[str], out: str) -> None:
    """Write the quality of every sample; DataError with the list if too many fail."""
    store = FeatureStore("keypoints", keypoints)
    rows = []
    for sample in sorted(store.samples):
        clip = store.read(sample)
        measured, shoulders = keypoint_quality(clip.values), shoulders_px(clip.values)
        numbers = {
            name: None if value is None else round(value, 4)
            for name, value in {**asdict(measured), "shoulders_px": shoulders}.items()
        }
        reason = "; ".join(faults(measured, settings))
        video = {"fps": clip.video_fps, "width": clip.width, "height": clip.height}
        frames = len(clip.values)
        rows.append({"sample": sample, "frames": frames, **video, **numbers, "reason": reason})
    failed = {str(row["sample"]): str(row["reason"]) for row in rows if row["reason"]}
    stop_if_too_many(
        failed,
        samples=len(rows),
        most=settings.max_quarantined,
        key="quality.max_quarantined",
        advice="check their keypoints, use another estimator, change the limits",
    )
    write_table(out, rows, list(rows[0]))
    log.info("%d of %d samples quarantined", len(failed), len(rows))


def faults(measured: KeypointQuality, settings: QualitySettings) -> list[str]:
    """Limits that the keypoints of a clip break; unknown values break none."""
    broken = []
    least = settings.min_person
    if measured.person is not None and least is not None and measured.person <= least:
        broken.append(f"a person in {measured.person:.4f} of the frames, min_person {least:g}")
    for name, value, most in (
        ("missing_hands", measured.missing_hands, settings.max_missing_hands),
        ("jitter", measured.jitter, settings.max_jitter),
        ("swapped", measured.swapped, settings.max_swapped),
        ("limb_spread", measured.limb_spread, settings.max_limb_spread),
    ):
        if value is not None and most is not None and value > most:
            broken.append(f"{name} {value:.4f}, max_{name} {most:g}")
    return broken
