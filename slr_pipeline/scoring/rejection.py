"""The reject option: which answers are confident enough to be accepted. Pure. N samples.

An answer is accepted if its confidence, the probability of its class, is at least a threshold
(Chow, 1970; El-Yaniv and Wiener, 2010). Coverage is the share of the answers that are accepted,
risk the share of errors among these.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slr_pipeline.scoring.accuracy import wilson
from slr_pipeline.scoring.ensemble import Fused
from slr_pipeline.scoring.statistics import confidences

CURVE_POINTS = 50
"""Points of a risk-coverage curve in a summary."""


def answer_confidences(fused: Fused) -> NDArray[np.float64]:
    """Probability (N,) of each sample's top-1 class; 0 for an answer of the class prior."""
    return np.where(fused.answers > 0, confidences(fused.scores), 0.0)


def is_accepted(confidence: NDArray[np.floating], threshold: float | None) -> NDArray[np.bool_]:
    """Which answers of these confidences (N,) are accepted; all without a threshold."""
    return confidence >= (0.0 if threshold is None else threshold)


def choose_threshold(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], target: float
) -> float | None:
    """The lowest threshold at which at most a share `target` of the accepted is expected wrong.

    `confidence`, `correct` (N,) of samples that the models were not trained on. It is the lowest
    confidence t > 0 with (errors + 1) / accepted <= target, counted at confidences >= t; None if
    there is none, as for fewer than `least_samples`.

    The threshold is the best of many, so the plain share of errors at it is too low. The added
    error corrects this (Barber and Candes, 2015, theorem 2; Jin and Candes, 2023): for a new sample
    exchangeable with these, 1[accepted and wrong] / (1 + errors) is a supermartingale in t that
    starts at an expectation of at most 1 / (N + 1), so the expectation of 1[accepted and wrong] /
    (accepted / (N + 1)) is at most `target`. This bounds an expectation: a single choice may have
    more errors, the more so on few samples. SGR (Geifman and El-Yaniv, 2017) bounds them with high
    probability instead, but at 5 % and 338 clips it needs the 101 best answers to be right, and
    rarely finds a threshold.
    """
    curve = risk_coverage(confidence[confidence > 0], correct[confidence > 0])
    allowed = curve[(curve["errors"] + 1) / curve["accepted"] <= target]
    return None if allowed.empty else float(allowed["confidence"].iloc[-1])


def least_samples(target: float) -> int:
    """Fewest accepted samples that a threshold can be chosen on: all of them are right."""
    return math.ceil(1 / target)


def risk_coverage(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> pd.DataFrame:
    """Risk-coverage curve: a row per threshold, each distinct confidence, the highest first.

    `confidence`, `correct` (N,). Columns: `confidence`; `accepted` samples and `errors` among them;
    `coverage` = accepted / N; `risk` = errors / accepted (El-Yaniv and Wiener, 2010).
    """
    negative, place = np.unique(-confidence, return_inverse=True)
    accepted = np.bincount(place, minlength=len(negative)).cumsum()
    errors = np.bincount(place[~correct], minlength=len(negative)).cumsum()
    return pd.DataFrame(
        {
            "confidence": -negative,
            "accepted": accepted,
            "errors": errors,
            "coverage": accepted / max(len(confidence), 1),
            "risk": errors / accepted,
        }
    )


def area_under(curve: pd.DataFrame) -> float:
    """Area under a risk-coverage curve (AURC), the mean risk over all coverages.

    Source: Geifman et al., 2019, section 2. Samples of equal confidence count with their risk
    together. 0 without errors; the share of errors if the confidence says nothing.
    """
    widths = np.diff(curve["coverage"].to_numpy(), prepend=0.0)
    return float(widths @ curve["risk"].to_numpy())


def summarise(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], threshold: float | None
) -> dict[str, Any]:
    """Coverage and errors at a threshold (None: all are accepted), and the risk-coverage curve.

    `confidence`, `correct` (N,), N > 0. `error` is the share of errors among the accepted, with its
    95 % Wilson interval; None if nothing is accepted. `area` is that under the curve, `best_area`
    that of the same answers in the best order. `curve` has at most CURVE_POINTS of its points.
    """
    N = len(correct)
    taken = is_accepted(confidence, threshold)
    accepted, errors = int(taken.sum()), int((taken & ~correct).sum())
    low, high = wilson(errors, accepted) if accepted else (None, None)
    curve = risk_coverage(confidence, correct)
    best = risk_coverage(np.arange(N, 0, -1.0), np.sort(correct)[::-1])
    shown = curve.iloc[np.unique(np.linspace(0, len(curve) - 1, CURVE_POINTS).round().astype(int))]
    return {
        "samples": N,
        "accepted": accepted,
        "coverage": accepted / N,
        "errors": errors,
        "error": errors / accepted if accepted else None,
        "error_low": low,
        "error_high": high,
        "area": area_under(curve),
        "best_area": area_under(best),
        "curve": shown[["coverage", "risk"]].to_dict("list"),
    }
