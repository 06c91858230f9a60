"""A run in plain words: what was recognised, how well, and what went wrong."""

from typing import Any

from slr_pipeline.report.finished_run import FinishedRun, Scored
from slr_pipeline.report.tables import percentage


def summary(run: FinishedRun) -> list[str]:
    """Sentences, one a paragraph: data, each track, what went wrong."""
    return [_about(run), *(_track(run, track) for track in run.tracks), _problems(run)]


def _about(run: FinishedRun) -> str:
    clips = {split: len(run.table.split(split)) for split in ("train", "val", "test")}
    trained = [name for name, s in run.config.streams.items() if s.model != "imported"]
    elsewhere = len(run.config.streams) - len(trained)
    signs, answered = len(run.table.classes), f"{_count(clips['test'], 'clip')} of test"
    if not trained:
        return f"{_count(elsewhere, 'stream')} of logits made elsewhere: {signs} signs, {answered}."
    beside = f" beside {_count(elsewhere, 'stream')} of logits made elsewhere" if elsewhere else ""
    return (
        f"{_count(len(trained), 'stream')} learnt {signs} signs from "
        f"{_count(clips['train'], 'clip')}{beside}; {clips['val']} more picked the epochs, and "
        f"{answered} were answered."
    )


def _track(run: FinishedRun, track: Scored) -> str:
    split, found = track.main_split(), track.main_metrics()
    if split is None:
        return f"Track {track.name}: no labels, so nobody knows how many answers are right."
    signers = {s.signer for s in run.table.split(split)} - {None}
    whose = f" of {_count(len(signers), 'signer')}" if signers else ""
    note = "" if split == "test" else " Test has no labels; what val says is too good."
    return (
        f"Track {track.name} named the right sign for {found['correct']} of "
        f"{_count(found['samples'], 'clip')} of {split}{whose}: {percentage(found['top1'])} "
        f"(95 % interval {percentage(found['top1_low'])} to {percentage(found['top1_high'])}; "
        f"guessing gives {percentage(found['chance'])}).{note}"
    )


def _problems(run: FinishedRun) -> str:
    """What went wrong, or that nothing did."""
    left_out = len(run.quarantined)
    said = [
        f"{_count(left_out, 'clip')} of {len(run.table.samples)} could not be used and "
        f"{'was' if left_out == 1 else 'were'} left out of training."
        if left_out
        else "No clip was left out."
    ]
    if run.most_erring is not None and run.most_erring.phase:
        said.append(
            f"No track took a sign for another; of the streams alone {run.most_erring.title} erred "
            f"most: it took {_worst_error(run.most_erring)}."
        )
    for track in run.tracks:
        said += _errors(track)
        rows = track.metrics["answered_by"]["test"]
        fewer = sum(count for streams, count in rows.items() if int(streams) < _streams(track))
        if fewer:
            said.append(
                f"Track {track.name}: not every stream could answer {_count(fewer, 'row')} of test."
            )
    guessing = [stream.title for stream in run.streams if _guesses(stream)]
    if guessing:
        said.append(
            f"Streams not better than guessing, as far as the clips tell: {', '.join(guessing)}."
        )
    return "What went wrong: " + " ".join(said)


def _streams(track: Scored) -> int:
    return len(track.metrics["weights"])


def _errors(track: Scored) -> list[str]:
    """The most frequent error of a track, and the signer it understands least."""
    found = track.main_metrics()
    if not found.get("most_confused"):
        return []
    said = [f"Track {track.name} took {_worst_error(track)}."]
    shares = sorted(found["per_signer"], key=_accuracy)
    if shares and _accuracy(shares[0]) < _accuracy(shares[-1]):
        worst = shares[0]
        said.append(
            f"Of its signers {worst['group']} was understood least "
            f"({worst['correct']} of {worst['samples']})."
        )
    return said


def _worst_error(scored: Scored) -> str:
    pair = scored.main_metrics()["most_confused"][0]
    sign, other = pair["sign"], pair["taken_for"]
    return f"“{sign}” for “{other}” most often ({pair['count']} of {pair['samples']})"


def _accuracy(share: dict[str, Any]) -> float:
    return float(share["correct"] / share["samples"])


def _guesses(stream: Scored) -> bool:
    """Whether its interval reaches down to guessing."""
    found = stream.main_metrics()
    return bool(found) and bool(found["top1_low"] <= found["chance"])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
