"""How many clips of signs outside the list a track declines: the rate of `unsure` answers.

`--models` is a finished run, or the files of it that `slr predict` needs. `--clips` is another run
with the same settings of features, whose clips of other glosses are answered from its feature
files: no video is read. Without a threshold in the models' metrics.json nothing is declined; the
area under the ROC curve does not depend on it: the probability that an answer to a known sign of
test is more confident than an answer to an unknown one (0.5: no difference).

python -m benchmarks.unknown --models results/wlasl20 --clips results/wlasl100
"""

import argparse
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from slr_pipeline.cli.recognition import Track, choose_track, fused_scores, open_track
from slr_pipeline.config.experiment import SPLITS, Config, Split
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.documents import read_run_config
from slr_pipeline.io.predictions import read_answers
from slr_pipeline.io.quality import read_quarantined
from slr_pipeline.io.tables import write_table
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import SampleTable, load_samples
from slr_pipeline.scoring.accuracy import wilson
from slr_pipeline.scoring.rejection import answer_confidences, is_accepted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--track")
    parser.add_argument("--depth", action="store_true", help="the track reads depth")
    flags = parser.parse_args()
    config, other = read_run_config(flags.models), read_run_config(flags.clips)
    track = open_track(
        flags.models, config, choose_track(config, flags.track, depth=flags.depth), "cpu"
    )
    threshold = track.rejection["threshold"]
    reason = track.rejection["reason"] or f"at most {track.rejection['accept_error']:.1%} errors"
    print(f"track {track.name}, threshold {threshold} ({reason})\n")
    unknown = answers_to_unknown(track, other)
    print(f"| answers to | clips | declined |\n|---|---:|---:|\n{row('other signs', unknown)}")
    known_path = flags.models / "tracks" / track.name / "predictions.csv"
    if known_path.is_file():
        known = read_answers(known_path).query("split == 'test' and answered_by != 'class prior'")
        for verdict, name in ((True, "its signs in test, right"), (False, "wrong")):
            print(row(name, known[known["correct"].eq(verdict)]))
        area = mannwhitneyu(known["probability"], unknown["probability"].round(4)).statistic
        print(f"\narea under the ROC curve: {area / len(known) / len(unknown):.3f}")
    taken = unknown[unknown["accepted"]]
    pairs = Counter(zip(taken["gloss"], taken["answer"], strict=True))
    for (gloss, answer), count in pairs.most_common(5):
        print(f"accepted most often: {gloss} as {answer}, {count} times")


def answers_to_unknown(track: Track, other: Config) -> pd.DataFrame:
    """Gloss, answer, probability and `accepted` of the clips of `other` that no class fits."""
    for feature in track.features:
        if getattr(track.config.features, feature) != getattr(other.features, feature):
            raise ConfigError(
                f"{other.results}/config.yaml: features.{feature} differs from the models'; give "
                "clips whose features have the same settings"
            )
    table = load_samples(other.data)
    parts = [answers_of_split(track, other, table, split) for split in SPLITS]
    found = pd.concat(part for part in parts if part is not None)
    if found.empty:
        raise DataError(f"{other.results}: no usable clip of a sign that the models do not know")
    return found


def answers_of_split(
    track: Track, other: Config, table: SampleTable, split: Split
) -> pd.DataFrame | None:
    """The answers to the unknown signs of a split; None if it has none."""
    samples = table.split(split)
    glosses = {s.name: table.classes[s.label] for s in samples if s.label is not None}
    results = Path(other.results)
    quarantined = read_quarantined([f"{results}/quality/{split}.csv"])
    wanted = {
        name
        for name, gloss in glosses.items()
        if gloss not in track.classes and name not in quarantined
    }
    if not wanted:
        return None
    files = {
        feature: [
            f"{results}/features/{feature}/{split}/{shard}.h5"
            for shard in shards(samples, other.shard_size)
        ]
        for feature in track.features
    }
    names = [sample.name for sample in samples]
    reasons = [
        {"sample": name, "reason": "" if name in wanted else "not asked for"} for name in names
    ]
    with TemporaryDirectory(prefix="slr-unknown-") as folder:
        write_table(f"{folder}/quality.csv", reasons, ["sample", "reason"])
        fused = fused_scores(
            track, files, f"{folder}/quality.csv", names, folder, advance=lambda _: None
        )
    confidence = answer_confidences(fused)
    answers = pd.DataFrame(
        {
            "gloss": [glosses.get(name) for name in names],
            "answer": np.asarray(track.classes, dtype=object)[fused.scores.argmax(axis=1)],
            "probability": confidence,
            "accepted": is_accepted(confidence, track.rejection["threshold"]),
        }
    )
    return answers[fused.answers > 0]


def row(name: str, answers: pd.DataFrame) -> str:
    clips, declined = len(answers), int((~answers["accepted"]).sum())
    if not clips:
        return f"| {name} | 0 | |"
    low, high = wilson(declined, clips)
    return f"| {name} | {clips} | {declined / clips:.1%} ({low:.1%} to {high:.1%}) |"


if __name__ == "__main__":
    main()
