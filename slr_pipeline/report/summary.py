"""The first sentences of a report: data, accuracy, and problems."""

from typing import Any

from slr_pipeline.report.finished_run import FinishedRun, Scored
from slr_pipeline.report.tables import percentage


def summary(run: FinishedRun) -> list[str]:
    """Paragraphs: data, each track, problems."""
    tracks = [_track(run, track) for track in run.tracks]
    return [_data(run), *tracks, _problems(run)]


def _data(run: FinishedRun) -> str:
    clips = {split: len(run.table.split(split)) for split in ("train", "val", "test")}
    trained = [name for name, s in run.config.streams.items() if s.model != "imported"]
    imported = _count(len(run.config.streams) - len(trained), "stream") + " of imported logits"
    signs, test = len(run.table.classes), f"{_count(clips['test'], 'clip')} of test"
    if not trained:
        return f"{imported}: {signs} signs, {test}."
    beside = f" (and {imported})" if len(trained) < len(run.config.streams) else ""
    streams = f"{_count(len(trained), 'stream')}{beside}"
    if "train" not in run.config.read_splits():
        return f"{streams} with weights as they were given: {signs} signs, {test}."
    return (
        f"{streams} learned {signs} signs from "
        f"{_count(clips['train'], 'clip')}, tuned on {clips['val']} of val, and answered {test}."
    )


def _track(run: FinishedRun, track: Scored) -> str:
    split, metrics = track.main_split(), track.main_metrics()
    if split is None:
        return f"Track {track.name}: accuracy unknown, because val and test have no labels."
    signers = {s.signer for s in run.table.split(split)} - {None}
    of_signers = f" by {_count(len(signers), 'signer')}" if signers else ""
    note = "" if split == "test" else " Test has no labels; accuracy on val is too optimistic."
    rejection = track.metrics["rejection"]
    if rejection["threshold"] is not None:
        own = rejection[split]
        note = (
            f" It is unsure of {own['samples'] - own['accepted']:,} of them; "
            f"{own['errors']:,} of the other {own['accepted']:,} answers are wrong.{note}"
        )
    return (
        f"Track {track.name} recognised {metrics['correct']} of "
        f"{_count(metrics['samples'], 'clip')} of {split}{of_signers}: "
        f"{percentage(metrics['top1'])} (95 % interval {percentage(metrics['top1_low'])} to "
        f"{percentage(metrics['top1_high'])}; chance {percentage(metrics['chance'])}).{note}"
    )


def _problems(run: FinishedRun) -> str:
    """Excluded clips, errors, missing answers and streams at chance level."""
    excluded = len(run.quarantined)
    sentences = [
        f"{_count(excluded, 'clip')} of {len(run.table.samples)} "
        f"{'was' if excluded == 1 else 'were'} unusable and excluded from training."
        if excluded
        else "No clip was excluded."
    ]
    if run.most_erring is not None and run.most_erring.phase:
        sentences.append(
            f"No track made an error; the worst single stream, {run.most_erring.title}, mistook "
            f"{_worst_error(run.most_erring)}."
        )
    for track in run.tracks:
        sentences += _errors(track)
        counts = track.metrics["answered_by"]["test"]
        streams = len(track.metrics["weights"])
        partial = sum(clips for answers, clips in counts.items() if int(answers) < streams)
        if partial:
            sentences.append(
                f"Track {track.name}: {_count(partial, 'clip')} of test "
                f"{'lacks' if partial == 1 else 'lack'} the answer of at least one stream."
            )
    chance = [
        stream.title
        for stream in run.streams
        if (metrics := stream.main_metrics()) and metrics["top1_low"] <= metrics["chance"]
    ]
    if chance:
        sentences.append(f"Streams not significantly better than chance: {', '.join(chance)}.")
    return "Problems: " + " ".join(sentences)


def _errors(track: Scored) -> list[str]:
    """The most frequent error of a track, and its signer of lowest accuracy."""
    metrics = track.main_metrics()
    if not metrics.get("most_confused"):
        return []
    sentences = [f"Track {track.name} mistook {_worst_error(track)}."]
    signers = sorted(metrics["per_signer"], key=_accuracy)
    if signers and _accuracy(signers[0]) < _accuracy(signers[-1]):
        worst = signers[0]
        sentences.append(
            f"Its accuracy is lowest for signer {worst['group']} "
            f"({worst['correct']} of {worst['samples']})."
        )
    return sentences


def _worst_error(scored: Scored) -> str:
    pair = scored.main_metrics()["most_confused"][0]
    sign, other = pair["sign"], pair["taken_for"]
    return f"“{sign}” for “{other}” most often ({pair['count']} of {pair['samples']})"


def _accuracy(group: dict[str, Any]) -> float:
    return float(group["correct"] / group["samples"])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
