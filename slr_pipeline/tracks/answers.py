"""The answers of a track to each sample, and which of them are unsure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from slr_pipeline.config.experiment import Split
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.samples.table import SampleTable
from slr_pipeline.scoring.ensemble import Fused, Joined
from slr_pipeline.scoring.rejection import (
    answer_confidences,
    choose_threshold,
    is_accepted,
    least_samples,
    summarise,
)
from slr_pipeline.tracks.fusion import labels_of


def answer_rows(
    table: SampleTable,
    split: Split,
    joined: Joined,
    fused: Fused,
    threshold: float | None,
) -> list[dict[str, object]]:
    """Rows of predictions.csv of a split; the class prior answers clips that no stream answered."""
    accepted = is_accepted(answer_confidences(fused), threshold)
    glosses = dict(enumerate(table.classes))
    ranking = np.argsort(-fused.scores, axis=1, kind="stable")[:, :2].tolist()  # (N, 2)
    chances = softmax(fused.scores, axis=1).round(4)
    rows = []
    for n, (sample, (first, *rest)) in enumerate(zip(table.split(split), ranking, strict=True)):
        answered = [joined.streams[m] for m in np.flatnonzero(joined.answered[:, n])]
        row: dict[str, object] = {
            "sample": sample.name,
            "split": split,
            "signer": sample.signer,
            "gloss": None if sample.label is None else glosses[sample.label],
            "answer": glosses[first],
            "correct": None if sample.label is None else first == sample.label,
            "probability": chances[n, first],
            "accepted": bool(accepted[n]),
            "answered_by": " ".join(answered) or "class prior",
        }
        for second in rest:  # none with a single class
            row |= {"second": glosses[second], "second_probability": chances[n, second]}
        rows.append(row)
    return rows


def reject(
    table: SampleTable, track: TrackSettings, split: Split, fused: Mapping[Split, Fused]
) -> dict[str, Any]:
    """The threshold of a track, chosen on `split`, and its coverage and errors on every split.

    `threshold` is None if there is none, for this `reason`; then all answers are accepted. A split
    without labels is None. `fused` are answers of models that were not trained on their splits.
    """
    labelled = {name: labelled_confidences(table, name, own) for name, own in fused.items()}
    confidence, correct = labelled.get(split, (np.zeros(0), np.zeros(0, np.bool_)))
    target = track.accept_error
    threshold: float | None = None
    reason: str | None = None
    if target is None:
        reason = "accept_error is null"
    elif len(table.classes) == 1:
        reason = "no answer can be wrong with one class"
    elif (clips := int((confidence > 0).sum())) < least_samples(target):
        reason = (
            f"{least_samples(target)} labelled and answered clips of {split} are needed to expect "
            f"at most {100 * target:g} % errors, and there are {clips}"
        )
    elif (threshold := choose_threshold(confidence, correct, target)) is None:
        reason = f"at no confidence are at most {100 * target:g} % errors to be expected on {split}"
    return {
        "accept_error": target,
        "threshold": threshold,
        "reason": reason,
        "chosen_on": None if threshold is None else split,
        "val": None,
        **{
            name: summarise(*values, threshold) if len(values[0]) else None
            for name, values in labelled.items()
        },
    }


def labelled_confidences(
    table: SampleTable, split: Split, fused: Fused
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of the answer to each labelled sample of a split, and whether it is right."""
    labels = labels_of(table, split)
    rows = [row for row, label in enumerate(labels) if label is not None]
    right = fused.scores[rows].argmax(axis=1) == np.asarray([labels[row] for row in rows])
    return answer_confidences(fused)[rows], np.asarray(right, np.bool_)
