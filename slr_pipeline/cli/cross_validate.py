"""Estimate the calibrated fusion of tracks on test, fitted on the other signers of test."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from slr_pipeline.config.experiment import Config, read_config
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.samples.table import SampleTable, load_samples

if TYPE_CHECKING:
    from slr_pipeline.scoring.ensemble import Joined, LeftOut

FITTED_ON = "the other signers of test"


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("config", nargs="?", default="config.yaml", help="default: config.yaml")
    parser.add_argument(
        "--track", nargs="+", metavar="TRACK", help="tracks of the config (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def main(arguments: argparse.Namespace) -> None:
    """Print the estimate of each track and its comparison with the configured weights."""
    config = read_config(arguments.config)
    names = arguments.track or list(config.tracks)
    if unknown := [name for name in names if name not in config.tracks]:
        raise ConfigError(
            f"--track {unknown[0]}: no such track; choose from {', '.join(config.tracks)}"
        )
    table = load_samples(config.data)
    estimates = []
    for name in dict.fromkeys(names):
        estimates.append(estimate(config, table, name))
        if not arguments.json:
            print("\n".join(lines_of(estimates[-1])), flush=True)
    note = (
        f"Temperatures and weights are fitted on {FITTED_ON}: an estimate for new signers, not a "
        "submission, which must not use labels of test."
    )
    if arguments.json:
        print(json.dumps({"fitted_on": FITTED_ON, "note": note, "tracks": estimates}, indent=2))
    else:
        print("\n".join([*compared(estimates), note]))


def estimate(config: Config, table: SampleTable, name: str) -> dict[str, Any]:
    """Accuracy of a track's streams on signers of test that the fit did not use.

    Compared with the track's own fusion if that is `published`. DataError without labels and two
    known signers of test, or without logits of a stream.
    """
    from slr_pipeline.scoring.ensemble import leave_one_signer_out
    from slr_pipeline.scoring.statistics import accuracy_by, bootstrap, bootstrap_signers
    from slr_pipeline.tracks.fusion import join_split, labels_of, read_streams, signers_of

    track = config.tracks[name]
    paths = [test_logits(config, stream, config.phases(stream)[-1]) for stream in track.streams]
    paths += [untuned_logits(config, stream) for stream in track.untuned]
    logits = read_streams(track, paths, config.protocol)
    joined = join_split(table, "test", {stream: logits[stream] for stream in track.streams})
    signers = signers_of(table, "test")
    labels, left_out = labels_of(table, "test"), None
    if any(label is not None for label in labels):
        left_out = leave_one_signer_out(joined, labels, signers)
    if left_out is None:
        raise DataError(
            "test: an estimate without logits of val needs labels and the signer of each sample, "
            "of two signers or more; add them to the sample table, or fit on val"
        )
    correct = left_out.picked == left_out.labels
    people = [signers[row] for row in left_out.rows]
    by_signer = bootstrap_signers(correct, people, seed=config.seed)
    configured = None
    if track.fusion == "published":
        configured = compare(join_split(table, "test", logits), config, name, left_out)
    return {
        "track": name,
        "streams": list(track.streams),
        "fitted_on": FITTED_ON,
        "samples": len(correct),
        "correct": int(correct.sum()),
        "top1": float(correct.mean()),
        "bootstrap_samples": asdict(bootstrap(correct, seed=config.seed)),
        "bootstrap_signers": None if by_signer is None else asdict(by_signer),
        "per_signer": accuracy_by(people, correct).to_dict("records"),
        "weights": left_out.weights,
        "configured": configured,
    }


def compare(joined: "Joined", config: Config, name: str, left_out: "LeftOut") -> dict[str, Any]:
    """McNemar's exact test of the estimate against the configured weights, on the same samples."""
    import numpy as np

    from slr_pipeline.scoring.ensemble import fuse
    from slr_pipeline.scoring.statistics import mcnemar_exact
    from slr_pipeline.tracks.fusion import untuned_name

    track = config.tracks[name]
    weights = {stream: weight for stream, weight in track.streams.items() if weight is not None}
    weights |= {untuned_name(stream): weight for stream, weight in track.untuned.items()}
    K = joined.values.shape[2]
    picked = fuse(joined, weights, np.full(K, 1 / K)).scores.argmax(axis=1)[left_out.rows]
    correct = picked == left_out.labels
    test = mcnemar_exact(left_out.picked == left_out.labels, correct)
    return {"weights": weights, "top1": float(correct.mean()), **asdict(test)}


def test_logits(config: Config, stream: str, phase: str) -> str:
    """File of a stream's logits of test."""
    settings = config.streams[stream]
    if isinstance(settings, ImportedSettings):
        return settings.test
    return f"{config.results}/streams/{stream}/{phase}/logits/test.h5"


def untuned_logits(config: Config, stream: str) -> str:
    """File of a stream's logits of test from before its fine-tuning."""
    settings = config.streams[stream]
    if isinstance(settings, ImportedSettings) and settings.untuned is not None:
        return settings.untuned
    return test_logits(config, stream, "train")


def lines_of(found: dict[str, Any]) -> Iterator[str]:
    """The estimate of a track as text."""
    yield f"track {found['track']}: {', '.join(found['streams'])}; fitted on {found['fitted_on']}"
    by_clip, by_signer = (_interval(found[f"bootstrap_{by}"]) for by in ("samples", "signers"))
    yield (
        f"  {100 * found['top1']:.3f} % ({found['correct']} of {found['samples']} clips of "
        f"{len(found['per_signer'])} signers); 95 % interval by clip {by_clip}, by signer "
        f"{by_signer}"
    )
    if (own := found["configured"]) is not None:
        yield (
            f"  configured weights: {100 * own['top1']:.3f} %; right only when fitted "
            f"{own['only_a']}, only as configured {own['only_b']}; McNemar's exact p {own['p']:.3f}"
        )


def compared(estimates: list[dict[str, Any]]) -> Iterator[str]:
    """The smallest p after Bonferroni's correction, if several tracks were compared."""
    tests = [found["configured"]["p"] for found in estimates if found["configured"] is not None]
    if len(tests) > 1:
        p = min(1.0, len(tests) * min(tests))
        yield (
            f"smallest p after Bonferroni's correction for these {len(tests)} sets of streams: "
            f"{p:.2f}; earlier tries count too"
        )


def _interval(interval: dict[str, float]) -> str:
    return f"{100 * interval['low']:.2f} to {100 * interval['high']:.2f}"
