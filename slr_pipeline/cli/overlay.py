"""Draw keypoints, hand boxes and answers into the video of a sample."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from slr_pipeline.config.experiment import Config
from slr_pipeline.errors import ConfigError
from slr_pipeline.samples.table import load_samples

if TYPE_CHECKING:
    from slr_pipeline.report.overlay import Note


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("sample", help="name of the sample")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="the .mp4 to write")


def main(arguments: argparse.Namespace) -> None:
    """Write the video of a sample with its keypoints, hand boxes, sign and answers."""
    from slr_pipeline.features.hand_crops import hand_boxes
    from slr_pipeline.io.documents import read_run_config
    from slr_pipeline.io.features import FeatureStore
    from slr_pipeline.io.shards import keypoints_of
    from slr_pipeline.report.contact_sheet import find_sample
    from slr_pipeline.report.overlay import write_overlay

    results: Path = arguments.results
    if arguments.out.suffix != ".mp4":
        raise ConfigError(f"--out {arguments.out}: expected a name that ends in .mp4; rename it")
    config = read_run_config(results)
    table, row = find_sample(arguments.sample, results)
    if arguments.out.resolve() == Path(row.color).resolve():
        raise ConfigError(f"--out {arguments.out}: is the sample's own video; use another name")
    shard = Path(table.parent.name, f"{table.stem}.h5")
    keypoints = FeatureStore("keypoints", [results / "features" / "keypoints" / shard])
    points = keypoints_of(keypoints, row)
    crops = results / "features" / "hand_crops" / shard
    if crops.is_file():
        boxes = FeatureStore("hand_crops", [crops]).read(row.sample).boxes
    else:  # the run has no hand crops: the boxes that they would have
        fidelity = config.features.hand_crops.fidelity
        boxes = hand_boxes(points, width=row.width, height=row.height, fidelity=fidelity).boxes
    write_overlay(arguments.out, row, points, boxes, list(answers(row.sample, results, config)))


def answers(sample: str, results: Path, config: Config) -> Iterator["Note"]:
    """The sign of the sample and the answer of each track, where they are known."""
    from slr_pipeline.io.predictions import read_answers
    from slr_pipeline.report.lettering import gloss_or_number
    from slr_pipeline.report.overlay import BAD, GOOD, PLAIN, Note

    table = load_samples(config.data)
    label = next((s.label for s in table.samples if s.name == sample), None)
    if label is not None:
        yield Note(f"sign: {gloss_or_number(table.classes[label], label)}")
    for track in config.tracks:
        path = results / "tracks" / track / "predictions.csv"
        if not path.is_file():
            continue
        read = read_answers(path)
        for row in read[read["sample"] == sample].to_dict("records"):
            gloss = gloss_or_number(row["answer"], table.classes.index(row["answer"]))
            unsure = "" if row["accepted"] else "unsure: "
            colour = {True: GOOD, False: BAD, "": PLAIN}[row["correct"]]
            yield Note(f"{track}: {unsure}{gloss}", colour)
