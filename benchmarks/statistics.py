"""Time and memory of fusing, calibrating and bootstrapping an ensemble of AUTSL's size.

    python -m benchmarks.statistics

Prints a markdown table for random logits: 6 streams x 226 classes, 4,418 samples of val to fit and
3,742 of test to score, of six signers each. Memory is the peak beyond the inputs (tracemalloc, in a
second run); the last line is the largest resident set, imports included.
"""

import argparse
import resource
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from sklearn.metrics import confusion_matrix

from slr_pipeline.scoring.confusion import confusable_signs
from slr_pipeline.scoring.ensemble import (
    calibrated,
    drop_one_stream,
    fit_calibration,
    fuse,
    join,
    leave_one_signer_out,
)
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.scoring.statistics import (
    bootstrap,
    bootstrap_signers,
    confidences,
    mcnemar_exact,
    reliability,
)

SIGNERS = 6
T = TypeVar("T")


def main() -> None:
    """Parse the flags and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=6)
    parser.add_argument("--val", type=int, default=4418, help="samples to fit")
    parser.add_argument("--test", type=int, default=3742, help="samples to score")
    parser.add_argument("--classes", type=int, default=226)
    parser.add_argument("--draws", type=int, default=10_000, help="resamples of each bootstrap")
    flags = parser.parse_args()
    val, val_labels = random_logits(flags.streams, flags.val, flags.classes, seed=1)
    test, test_labels = random_logits(flags.streams, flags.test, flags.classes, seed=2)
    names, val_names = next(iter(test.values())).samples, next(iter(val.values())).samples
    prior = np.full(flags.classes, 1 / flags.classes)
    weights = dict.fromkeys(test, 1.0)
    signers = [f"signer{n % SIGNERS}" for n in range(flags.test)]
    val_signers = [f"signer{n % SIGNERS}" for n in range(flags.val)]

    print("| part | seconds | memory, MB |\n|---|---:|---:|")
    raw = measured("fuse as published", lambda: fuse(join(test, names), weights, prior))
    fitted = measured("calibrate", lambda: fit_calibration(join(val, val_names), val_labels))
    fused = measured(
        "fuse calibrated",
        lambda: fuse(calibrated(join(test, names), fitted), fitted.weights, prior),
    )
    picked = fused.scores.argmax(axis=1)
    right = picked == test_labels
    measured("bootstrap by samples", lambda: bootstrap(right, flags.draws))
    measured("bootstrap by signers", lambda: bootstrap_signers(right, signers, flags.draws))
    before = raw.scores.argmax(axis=1) == test_labels
    measured("McNemar", lambda: mcnemar_exact(right, before))
    measured("reliability", lambda: reliability(confidences(fused.scores), right))
    truth = np.asarray(test_labels)
    measured(
        "confusable signs",
        lambda: confusable_signs(confusion_matrix(truth, picked, labels=range(flags.classes))),
    )
    joined = join(test, names)
    measured("drop one stream", lambda: drop_one_stream(joined, weights, prior, test_labels))
    inputs = join(val, val_names)
    measured("leave one signer out", lambda: leave_one_signer_out(inputs, val_labels, val_signers))
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nlargest resident set: {largest:.0f} MB")


def measured(part: str, work: Callable[[], T]) -> T:
    """Print a row and return the result of the work."""
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    tracemalloc.start()
    work()
    memory = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    print(f"| {part} | {seconds:.2f} | {memory:.0f} |", flush=True)
    return result


def random_logits(streams: int, N: int, K: int, seed: int) -> tuple[dict[str, Logits], list[int]]:
    """Logits of streams with different scales, each right for about 80 to 95 % of the samples."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, K, N)
    blank = Logits(
        samples=tuple(f"sample{n}" for n in range(N)),
        values=np.zeros((N, K), np.float32),
        answered=np.ones(N, bool),
        classes=tuple(f"sign{k}" for k in range(K)),
        protocol="strict",
    )
    logits = {}
    for m in range(streams):
        values = generator.normal(0, 1, (N, K)).astype(np.float32)
        values[np.arange(N), labels] += 4.5 - 0.2 * m
        logits[f"stream{m}"] = replace(blank, values=values * (4 if m == 0 else 1))
    return logits, labels.tolist()


if __name__ == "__main__":
    main()
