"""Tables of a run's samples and keypoints."""

import pandas as pd

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.io.messages import frequent
from slr_pipeline.report.finished_run import FinishedRun
from slr_pipeline.report.tables import Cell, Table, percent, table
from slr_pipeline.samples.duplicates import Duplicate


def splits_table(run: FinishedRun) -> Table | None:
    """Size of each split, and facts about its videos."""
    rows = []
    for split in SPLITS:
        samples = run.samples[run.samples["split"] == split]
        row = {
            "split": split,
            "clips": len(samples),
            "labelled": int(samples["sign"].count()),
            "signs": samples["sign"].nunique(),
            "signers": samples["signer"].nunique() or None,
            "excluded": int(samples["failed check"].count()),
        }
        rows.append(row | (_video_cells(samples) if run.verified else {}))
    return table("Splits", rows)


def _video_cells(samples: pd.DataFrame) -> dict[str, object]:
    clips = samples[samples["frames"] > 0]
    names = ("frames, median", "frames, range", "size, px", "frames per second")
    if clips.empty:
        return dict.fromkeys(names)
    frames = clips["frames"]
    low, high = int(frames.min()), int(frames.max())
    cells = (
        Cell(f"{frames.median():g}", frames.median()),
        Cell(f"{low} to {high}", low),
        frequent(clips[["width", "height"]].itertuples(index=False, name=None)),
        frequent((fps,) for fps in clips["fps"]),
    )
    return dict(zip(names, cells, strict=True))


def hands_table(run: FinishedRun) -> Table | None:
    """Keypoint quality: means over the frames of each split."""
    measures = {
        "person": "person",
        "missing_left": "no left hand",
        "missing_right": "no right hand",
        "missing_hands": "no hand",
        "swapped": "hands swapped",
    }
    return table(
        "Keypoint quality, in shares of the frames",
        [
            {"split": split}
            | {title: percent(_by_frame(quality, name)) for name, title in measures.items()}
            for split, quality in run.quality.items()
        ],
    )


def _by_frame(quality: pd.DataFrame, measure: str) -> float | None:
    """Mean of a measure over the frames of all samples that have it."""
    frames = quality["frames"].where(quality[measure].notna(), 0)
    total = frames.sum()
    return float((frames * quality[measure]).sum() / total) if total else None


def classes_table(run: FinishedRun) -> Table | None:
    """Clips of each sign by split."""
    labels = range(len(run.table.classes))
    counts = _counts(run, "label").reindex(labels, fill_value=0)
    counts.insert(0, "sign", run.table.classes)
    return table("Clips of each sign", counts)


def signers_table(run: FinishedRun) -> Table | None:
    """Clips of each signer by split; None if no signer is known."""
    return table("Clips of each signer", _counts(run, "signer").reset_index(names="signer"))


def _counts(run: FinishedRun, group: str) -> pd.DataFrame:
    """Clips of each group by split; clips of an unknown group are left out."""
    counts = pd.crosstab(run.samples[group], run.samples["split"])
    return counts.reindex(columns=list(SPLITS), fill_value=0)


def duplicates_table(run: FinishedRun) -> Table | None:
    """Samples that are copies of each other; None if there are none."""
    rows = pd.DataFrame(run.duplicates, columns=list(Duplicate._fields))
    return table("Clips that are copies", rows[list(Duplicate._fields[:8])])


def quarantine_table(run: FinishedRun) -> Table | None:
    """Excluded samples and why; None if there are none."""
    excluded = run.samples[run.samples["failed check"].notna()]
    return table("Excluded clips", excluded[["sample", "split", "failed check", "reason"]])
