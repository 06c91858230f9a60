"""The tables of a report, as rows of text with the numbers they sort by."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from slr_pipeline.config.experiment import SPLITS, Split
from slr_pipeline.io.messages import frequent
from slr_pipeline.report.finished_run import FinishedRun, Scored
from slr_pipeline.samples.duplicates import Duplicate


@dataclass(frozen=True)
class Cell:
    """Text that is shown and the number it sorts by; without a number it sorts by the text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table with its caption; the first cell of a row is its heading."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def table(caption: str, rows: pd.DataFrame | Iterable[Mapping[str, object]]) -> Table | None:
    """Make a table of texts, numbers, cells and None (unknown); None without rows."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), dtype=object)
    if frame.empty:
        return None
    cells = tuple(tuple(map(_cell, row)) for row in frame.itertuples(index=False, name=None))
    return Table(caption, tuple(frame.columns), cells)


def percent(share: float | None) -> Cell:
    """A share as a percentage with one digit."""
    return Cell("-") if share is None else Cell(percentage(share), share)


def percentage(share: float) -> str:
    """A share as text, such as 12.5 %."""
    return f"{100 * share:.1f} %"


def interval(low: float, high: float) -> Cell:
    """Two shares as percentages; sorts by the lower one."""
    return Cell(f"{100 * low:.1f} to {percentage(high)}", low)


def duration(seconds: float) -> Cell:
    """Hours, minutes, seconds."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return Cell(f"{hours}:{minutes:02}:{whole:02}", seconds)


def _share(correct: int, samples: int) -> Cell:
    return Cell(f"{percentage(correct / samples)} ({correct} of {samples})", correct / samples)


def _cell(value: object) -> Cell:
    match value:
        case Cell():
            return value
        case int():
            return Cell(f"{value:,}", value)
        case float() if not math.isnan(value):
            return Cell(f"{value:.3f}", value)
        case str():
            return Cell(value)
        case _:
            return Cell("-")


# --- data ----------------------------------------------------------------------------------------


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


def without_twins_table(run: FinishedRun) -> Table | None:
    """Accuracy of each track on test without copies of training clips; None without copies."""
    scored = [(track, track.metrics.get("test_without_twins")) for track in run.tracks]
    return table(
        "Accuracy on test without copies of training clips",
        [
            {
                "track": track.name,
                "copies": own["twins"],
                "clips": own["samples"],
                "accuracy without them": percent(own.get("top1")),
                "accuracy": percent(track.main_metrics()["top1"]),
            }
            for track, own in scored
            if own is not None and own["twins"]
        ],
    )


def quarantine_table(run: FinishedRun) -> Table | None:
    """Excluded samples and why; None if there are none."""
    excluded = run.samples[run.samples["failed check"].notna()]
    return table("Excluded clips", excluded[["sample", "split", "failed check", "reason"]])


# --- results -------------------------------------------------------------------------------------


def accuracy_table(run: FinishedRun) -> Table | None:
    """Tracks and streams on val and test; None without labels."""
    return table(
        "Accuracy",
        [
            {"model": scored.title, "kind": kind, "split": split} | _accuracy_cells(metrics)
            for kind, scored, split, metrics in _by_split(run)
        ],
    )


def _by_split(run: FinishedRun) -> Iterator[tuple[str, Scored, Split, dict[str, Any]]]:
    """Kind, model, labelled split and metrics of tracks, then streams."""
    splits: tuple[Split, ...] = ("test", "val")
    for kind, group in (("track", run.tracks), ("stream", run.streams)):
        for scored in group:
            for split in splits:
                if (metrics := scored.metrics_of(split)) is not None:
                    yield kind, scored, split, metrics


def _accuracy_cells(metrics: dict[str, Any]) -> dict[str, object]:
    signers = metrics["bootstrap_signers"]
    return {
        "clips": metrics["samples"],
        "correct": metrics["correct"],
        "accuracy": percent(metrics["top1"]),
        "95 % interval, clips": interval(metrics["top1_low"], metrics["top1_high"]),
        "95 % interval, signers": signers and interval(signers["low"], signers["high"]),
        "top-5 accuracy": percent(metrics["top5"]),
        "mean over signs": percent(metrics["macro_recall"]),
        "calibration error": metrics["calibration"]["ece"],
        "chance": percent(metrics["chance"]),
    } | _seed_cells(metrics.get("seeds", ()))


def _seed_cells(seeds: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """Accuracy of each seed alone, in a column that only streams with several seeds have."""
    if not seeds:
        return {}
    shares = [seed["top1"] for seed in seeds]
    text = ", ".join(f"{100 * share:.1f}" for share in shares)
    return {"accuracy of each seed": Cell(f"{text} %", sum(shares) / len(shares))}


def signs_table(run: FinishedRun) -> Table | None:
    """Accuracy of each track by sign on test, ordered by the first track; None without labels."""
    labelled = {
        track: answers[(answers["split"] == "test") & (answers["gloss"] != "")]
        for track, answers in run.answers.items()
    }
    right = pd.DataFrame(
        {track: answers.groupby("gloss")["correct"].sum() for track, answers in labelled.items()}
    )
    right = right.reindex([gloss for gloss in run.table.classes if gloss in right.index])
    right = right.astype(float)  # without a labelled clip, its columns are text
    counts = next(iter(labelled.values()))["gloss"].value_counts().reindex(right.index)
    order = right.div(counts, axis=0).iloc[:, 0].sort_values(kind="stable").index
    return table(
        "Accuracy by sign on test, worst first",
        [
            {"sign": gloss, "clips": int(counts[gloss])}
            | {
                f"{track}, correct": _share(int(right.at[gloss, track]), int(counts[gloss]))
                for track in right
            }
            for gloss in order
        ],
    )


def per_signer_table(run: FinishedRun) -> Table | None:
    """Accuracy of each track by signer; None if no signer is known or nothing is labelled."""
    return table(
        "Accuracy by signer",
        [
            {
                "signer": group["group"],
                "split": split,
                "track": track.name,
                "clips": group["samples"],
                "correct": _share(group["correct"], group["samples"]),
            }
            for track in run.tracks
            for split in ("test", "val")
            for group in (track.metrics_of(split) or {}).get("per_signer", ())
        ],
    )


def confusion_table(run: FinishedRun) -> Table | None:
    """Most frequent errors of each track and stream; None without errors or labels."""
    return table(
        "Most frequent confusions",
        [
            {
                "sign": pair["sign"],
                "mistaken for": pair["taken_for"],
                "model": scored.title,
                "kind": kind,
                "split": split,
                "times": pair["count"],
                "of clips": pair["samples"],
            }
            for kind, scored, split, metrics in _by_split(run)
            for pair in metrics["most_confused"]
        ],
    )


def weights_tables(run: FinishedRun) -> list[Table | None]:
    """Weight and temperature of each stream of each track, and the accuracy without it."""
    return [_weights_table(track) for track in run.tracks]


def _weights_table(track: Scored) -> Table | None:
    without = track.metrics["top1_without"]
    temperatures = track.metrics["temperatures"]
    rows = []
    for stream, weight in track.metrics["weights"].items():
        row: dict[str, object] = {"stream": stream, "weight": float(weight)}
        if temperatures:
            row["temperature"] = temperatures[stream]
        for split in ("test", "val"):
            if without.get(split):
                row[f"accuracy without it, {split}"] = percent(without[split][stream])
        rows.append(row)
    return table(f"Streams of track {track.name}", rows)


def rejection_table(run: FinishedRun) -> Table | None:
    """Accepted answers of each track, errors among them, and AURC; None without labels."""
    return table(
        "Accepted answers",
        [
            {
                "track": track.name,
                "split": split,
                "clips": own["samples"],
                "accepted": _share(own["accepted"], own["samples"]),
                "errors among them": percent(own["error"]),
                "95 % interval": (
                    interval(own["error_low"], own["error_high"]) if own["accepted"] else None
                ),
                "errors among all": percent(own["curve"]["risk"][-1]),
                "area under the curve": own["area"],
                "in the best order": own["best_area"],
            }
            for track in run.tracks
            for split in ("test", "val", "train")
            if (own := track.metrics["rejection"].get(split)) is not None
        ],
    )


def baseline_table(run: FinishedRun) -> Table | None:
    """McNemar's test of each track against its baseline; None without baselines."""
    return table(
        "Comparison with a baseline on test (McNemar's exact test)",
        [
            {
                "track": track.name,
                "baseline": test["file"],
                "accuracy of the baseline": percent(test["top1"]),
                "only the track correct": test["only_a"],
                "only the baseline correct": test["only_b"],
                "p": Cell(f"{test['p']:.2g}", test["p"]),
            }
            for track in run.tracks
            if (test := track.metrics["baseline"]) is not None
        ],
    )


def clips_tables(run: FinishedRun) -> list[Table | None]:
    """Answer of each track to each clip of test: errors first, the most confident one on top."""
    return [_clips_table(run, track) for track in run.tracks]


def _clips_table(run: FinishedRun, track: Scored) -> Table | None:
    answers = run.answers[track.name]
    answers = answers[answers["split"] == "test"]
    wrong = answers["correct"].eq(False)
    rank = pd.DataFrame(
        {"right": ~wrong, "doubt": answers["probability"].where(~wrong, -answers["probability"])}
    )
    answers = answers.loc[rank.sort_values(["right", "doubt"], kind="stable").index]
    everyone = " ".join(track.metrics["weights"])
    verdict = {True: "right", False: "wrong", "": "-"}
    rejects = track.metrics["rejection"]["threshold"] is not None
    return table(
        f"Answers of track {track.name} to the clips of test",
        [
            {
                "clip": row["sample"],
                "signer": row["signer"] or None,
                "sign": row["gloss"] or None,
                "answer": row["answer"],
                "verdict": verdict[row["correct"]],
                "probability": percent(row["probability"]),
                **({"accepted": "yes" if row["accepted"] else "unsure"} if rejects else {}),
                "second answer": row["second"] or None,
                "answered by": "all streams" if (by := row["answered_by"]) == everyone else by,
            }
            for row in answers.to_dict("records")
        ],
    )


def answers_table(run: FinishedRun) -> Table | None:
    """Number of streams that answered the clips of each track."""
    return table(
        "Clips by number of streams that answered",
        [
            {
                "track": track.name,
                "split": split,
                "streams": len(track.metrics["weights"]),
                "streams that answered": int(streams),
                "clips": clips,
                "answer from": "most frequent sign of train" if streams == "0" else "streams",
            }
            for track in run.tracks
            for split, counts in track.metrics["answered_by"].items()
            for streams, clips in counts.items()
        ],
    )


# --- provenance ----------------------------------------------------------------------------------


def costs_table(run: FinishedRun) -> Table | None:
    """Time and memory of each rule, longest first; None without benchmark files."""
    return table(
        "Time and memory of each rule (h:min:s)",
        [
            {
                "rule": cost.rule,
                "jobs": cost.jobs,
                "time, total": duration(cost.seconds),
                "CPU time, total": duration(cost.cpu_seconds),
                "peak memory": Cell(f"{cost.most_mb:,.0f} MB", cost.most_mb),
            }
            for cost in sorted(run.costs, key=lambda cost: -cost.seconds)
        ],
    )


def pairs_table(caption: str, columns: tuple[str, str], pairs: Mapping[str, str]) -> Table | None:
    """A table of names and values."""
    return table(caption, pd.DataFrame(pairs.items(), columns=list(columns)))
