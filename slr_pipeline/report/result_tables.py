"""Tables of the accuracy and answers of streams and tracks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from slr_pipeline.config.experiment import Split
from slr_pipeline.report.finished_run import FinishedRun, Scored
from slr_pipeline.report.tables import Cell, Table, interval, percent, share_of, table


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
                f"{track}, correct": share_of(int(right.at[gloss, track]), int(counts[gloss]))
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
                "correct": share_of(group["correct"], group["samples"]),
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
                "accepted": share_of(own["accepted"], own["samples"]),
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
