"""The tables of a report: facts of a run as rows of text, with the numbers they sort by."""

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from slr_pipeline.config.experiment import SPLITS, Split
from slr_pipeline.report.finished_run import FinishedRun, Scored


@dataclass(frozen=True)
class Cell:
    """What is shown, and what sorts; `value` None sorts by the text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table under its caption; the first cell of a row heads it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of texts, numbers, cells, and None for what is not known."""
    cells = tuple(tuple(map(_cell, row)) for row in rows)
    return Table(caption, tuple(columns), cells)


def percent(share: float | None) -> Cell:
    """A share as a percentage with one digit."""
    return Cell("-") if share is None else Cell(percentage(share), share)


def percentage(share: float) -> str:
    """A share as text, as in 12.5 %."""
    return f"{100 * share:.1f} %"


def interval(low: float, high: float) -> Cell:
    """Two shares as percentages; sorts by the lower."""
    return Cell(f"{100 * low:.1f} to {percentage(high)}", low)


def duration(seconds: float) -> Cell:
    """Hours, minutes, seconds."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return Cell(f"{hours}:{minutes:02}:{whole:02}", seconds)


def _cell(value: object) -> Cell:
    match value:
        case Cell():
            return value
        case None:
            return Cell("-")
        case int():
            return Cell(f"{value:,}", value)
        case float():
            return Cell(f"{value:.3f}", value)
        case _:
            return Cell(str(value))


# --- data ----------------------------------------------------------------------------------------


def splits_table(run: FinishedRun) -> Table:
    """What each split holds, by the sample table and by what `verify` decoded."""
    columns = ["split", "clips", "labelled", "signs", "signers", "left out"]
    if run.verified:
        columns += ["frames, median", "frames, range", "size, px", "frames per second"]
    rows = []
    for split in SPLITS:
        samples = run.table.split(split)
        names = {sample.name for sample in samples}
        signers = {sample.signer for sample in samples if sample.signer is not None}
        labels = {sample.label for sample in samples if sample.label is not None}
        row: list[object] = [
            split,
            len(samples),
            sum(sample.label is not None for sample in samples),
            len(labels),
            len(signers) or None,
            len(names & run.quarantined.keys()),
        ]
        rows.append(row + (_video_cells(run, names) if run.verified else []))
    return table("The splits", columns, rows)


def _video_cells(run: FinishedRun, names: set[str]) -> list[object]:
    clips = [row for row in run.verified if row.sample in names and not row.reason]
    if not clips:
        return [None] * 4
    frames = [clip.frames for clip in clips]
    sizes = Counter(f"{clip.width} x {clip.height}" for clip in clips)
    rates = Counter(f"{clip.fps:g}" for clip in clips)
    return [
        Cell(f"{statistics.median(frames):g}", statistics.median(frames)),
        Cell(f"{min(frames)} to {max(frames)}", min(frames)),
        _most(sizes),
        _most(rates),
    ]


def _most(counts: Counter[str]) -> Cell:
    """The most frequent value, and of how many."""
    ((first, _),) = counts.most_common(1)
    return Cell(first if len(counts) == 1 else f"{first} and {len(counts) - 1} more")


def hands_table(run: FinishedRun) -> Table:
    """How well keypoints were found: means over the frames of a split."""
    measures = {
        "person": "a person",
        "missing_left": "no left hand",
        "missing_right": "no right hand",
        "missing_hands": "no hand at all",
        "swapped": "hands swapped",
    }
    rows = [
        [split, *(percent(_by_frame(found, measure)) for measure in measures)]
        for split, found in run.quality.items()
    ]
    columns = ["split", *measures.values()]
    return table("Share of the frames with ...", columns, rows)


def _by_frame(quality: pd.DataFrame, measure: str) -> float | None:
    """Mean of a measure over the frames of all samples that have it."""
    frames = quality["frames"].where(quality[measure].notna(), 0)
    total = frames.sum()
    return float((frames * quality[measure]).sum() / total) if total else None


def classes_table(run: FinishedRun) -> Table:
    """Clips of each sign by split."""
    counts = {split: Counter(s.label for s in run.table.split(split)) for split in SPLITS}
    rows = (
        [gloss, *(counts[split][label] for split in SPLITS)]
        for label, gloss in enumerate(run.table.classes)
    )
    return table("Clips of each sign", ["sign", *SPLITS], rows)


def signers_table(run: FinishedRun) -> Table | None:
    """Clips of each signer by split; None where no signer is known."""
    counts = {split: Counter(s.signer for s in run.table.split(split)) for split in SPLITS}
    signers = sorted({name for found in counts.values() for name in found if name is not None})
    rows = ([signer, *(counts[split][signer] for split in SPLITS)] for signer in signers)
    return table("Clips of each signer", ["signer", *SPLITS], rows) if signers else None


def quarantine_table(run: FinishedRun) -> Table | None:
    """Every sample that was left out, and why; None where there is none."""
    checks = {"verify": "the videos", "quality": "the keypoints"}
    rows = [
        [sample.name, sample.split, checks[check], reason]
        for sample in run.table.samples
        for check, reason in [run.quarantined.get(sample.name, ("", ""))]
        if check
    ]
    columns = ["sample", "split", "failed by", "reason"]
    return table("Clips that were left out", columns, rows) if rows else None


# --- results -------------------------------------------------------------------------------------


def accuracy_table(run: FinishedRun) -> Table | None:
    """Tracks and streams on val and test; None where nothing has labels."""
    columns = [
        *("model", "kind", "split", "clips", "right", "accuracy", "95 %, clips", "95 %, signers"),
        *("top 5", "mean over signs", "calibration error", "guessing"),
    ]
    rows = [
        [scored.title, kind, split, *_accuracy_cells(found)]
        for kind, scored, split, found in _by_split(run)
    ]
    return table("How often the first answer is right", columns, rows) if rows else None


def _by_split(run: FinishedRun) -> Iterator[tuple[str, Scored, Split, dict[str, Any]]]:
    """Tracks, then streams: kind, the model, a split with labels, its metrics there."""
    splits: tuple[Split, ...] = ("test", "val")
    for kind, group in (("track", run.tracks), ("stream", run.streams)):
        for scored in group:
            for split in splits:
                if (found := scored.metrics_of(split)) is not None:
                    yield kind, scored, split, found


def _accuracy_cells(found: dict[str, Any]) -> list[object]:
    signers = found["bootstrap_signers"]
    return [
        found["samples"],
        found["correct"],
        percent(found["top1"]),
        interval(found["top1_low"], found["top1_high"]),
        None if signers is None else interval(signers["low"], signers["high"]),
        percent(found["top5"]),
        percent(found["macro_recall"]),
        found["calibration"]["ece"],
        percent(found["chance"]),
    ]


def signs_table(run: FinishedRun) -> Table | None:
    """Of each sign how many test clips each track has right, the worst of the first track first."""
    samples = [sample for sample in run.table.split("test") if sample.label is not None]
    if not samples:
        return None
    counts = Counter(sample.label for sample in samples)
    right = {
        track: Counter(s.label for s in samples if answers[s.name] == s.label)
        for track, answers in run.predictions.items()
    }
    rows = [
        [
            run.table.classes[label],
            counts[label],
            *(_share(right[track][label], counts[label]) for track in right),
        ]
        for label in range(len(run.table.classes))
        if counts[label]
    ]
    rows.sort(key=lambda row: row[2].value if isinstance(row[2], Cell) and row[2].value else 0.0)
    columns = ["sign", "clips", *(f"{track}, right" for track in right)]
    return table("Each sign on test, the worst first", columns, rows)


def per_signer_table(run: FinishedRun) -> Table | None:
    """Right answers of each track by signer; None where no signer is known or nothing labelled."""
    rows = [
        [
            share["group"],
            split,
            track.name,
            share["samples"],
            _share(share["correct"], share["samples"]),
        ]
        for track in run.tracks
        for split in ("test", "val")
        for share in (track.metrics_of(split) or {}).get("per_signer", ())
    ]
    columns = ["signer", "split", "track", "clips", "right"]
    return table("Each signer", columns, rows) if rows else None


def _share(right: int, samples: int) -> Cell:
    return Cell(f"{percentage(right / samples)} ({right} of {samples})", right / samples)


def confusion_table(run: FinishedRun) -> Table | None:
    """The errors that each track and stream makes most; None without errors or labels."""
    rows = [
        [
            pair["sign"],
            pair["taken_for"],
            scored.title,
            kind,
            split,
            pair["count"],
            pair["samples"],
        ]
        for kind, scored, split, found in _by_split(run)
        for pair in found["most_confused"]
    ]
    columns = ["sign", "taken for", "model", "kind", "split", "times", "of clips"]
    return table("Signs taken for others", columns, rows) if rows else None


def weights_table(track: Scored) -> Table:
    """Weight and temperature of each stream of a track, and the accuracy without it."""
    without = track.metrics["top1_without"]
    temperatures = track.metrics["temperatures"] or {}
    splits = [split for split in ("test", "val") if without.get(split)]
    columns = ["stream", "weight", *(["temperature"] if temperatures else [])]
    rows = []
    for stream, weight in track.metrics["weights"].items():
        row: list[object] = [stream, float(weight)]
        row += [temperatures[stream]] if temperatures else []
        row += [percent(without[split][stream]) for split in splits]
        rows.append(row)
    columns += [f"accuracy without it, {split}" for split in splits]
    return table(f"Streams of track {track.name}", columns, rows)


def baseline_table(run: FinishedRun) -> Table | None:
    """McNemar's test of each track against its baseline; None where no track has one."""
    rows = [
        [
            track.name,
            found["file"],
            percent(found["top1"]),
            found["only_a"],
            found["only_b"],
            Cell(f"{found['p']:.2g}", found["p"]),
        ]
        for track in run.tracks
        if (found := track.metrics["baseline"]) is not None
    ]
    columns = ["track", "baseline", "its accuracy", "only the track right", "only it right", "p"]
    caption = "Against a baseline on test, by McNemar's exact test"
    return table(caption, columns, rows) if rows else None


def answers_table(run: FinishedRun) -> Table:
    """How many streams answered the rows of each track."""
    rows = [
        [
            track.name,
            split,
            len(track.metrics["weights"]),
            int(streams),
            count,
            "the share of each sign in train" if streams == "0" else "streams",
        ]
        for track in run.tracks
        for split, counts in track.metrics["answered_by"].items()
        for streams, count in counts.items()
    ]
    columns = ["track", "split", "streams", "that answered", "rows", "answered by"]
    return table("How rows were answered", columns, rows)


# --- provenance ----------------------------------------------------------------------------------


def costs_table(run: FinishedRun) -> Table | None:
    """Time and memory of each rule, the longest first; None where nothing was measured."""
    rows = [
        [
            cost.rule,
            cost.jobs,
            duration(cost.seconds),
            duration(cost.cpu_seconds),
            Cell(f"{cost.most_mb:,.0f} MB", cost.most_mb),
        ]
        for cost in sorted(run.costs, key=lambda cost: -cost.seconds)
    ]
    columns = ["rule", "jobs", "time, summed", "CPU time, summed", "most memory"]
    return table("What each rule took (h:min:s)", columns, rows) if rows else None


def pairs_table(caption: str, columns: Sequence[str], pairs: Mapping[str, str]) -> Table:
    """Names and what belongs to them."""
    return table(caption, columns, pairs.items())
