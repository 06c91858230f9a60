"""Draw keypoints, hand boxes and answers into the video of a sample."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from slr_pipeline.config.experiment import Config
from slr_pipeline.errors import ConfigError
from slr_pipeline.samples.table import load_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slr_pipeline.io.verified import Verified
    from slr_pipeline.report.overlay import Note


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("sample")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="the mp4")


def main(given: argparse.Namespace) -> None:
    """Write the video of a sample with what the run found in it and answered."""
    # Late: the other commands stay light.
    from slr_pipeline.io.documents import read_run_config  # noqa: PLC0415
    from slr_pipeline.io.features import FeatureStore  # noqa: PLC0415
    from slr_pipeline.io.shards import keypoints_of  # noqa: PLC0415
    from slr_pipeline.report.contact_sheet import find_sample  # noqa: PLC0415
    from slr_pipeline.report.overlay import write_overlay  # noqa: PLC0415

    results: Path = given.results
    if given.out.suffix != ".mp4":
        raise ConfigError(f"--out {given.out}: expected a name that ends in .mp4; rename it")
    config = read_run_config(results)
    table, row = find_sample(given.sample, results)
    if given.out.resolve() == Path(row.color).resolve():
        raise ConfigError(f"--out {given.out}: is the sample's own video; name another place")
    shard = Path(table.parent.name, f"{table.stem}.h5")
    keypoints = FeatureStore("keypoints", [results / "features" / "keypoints" / shard])
    points = keypoints_of(keypoints, row)
    boxes = hand_boxes_of(row, points, results / "features" / "hand_crops" / shard, config)
    write_overlay(given.out, row, points, boxes, list(answers(given.sample, results, config)))


def hand_boxes_of(
    row: "Verified", points: "NDArray[np.float32]", crops: Path, config: Config
) -> "NDArray[np.int32]":
    """The boxes (T, 2, 4) that hand crops were cut from, or would be."""
    from slr_pipeline.features.hand_crops import hand_boxes  # noqa: PLC0415
    from slr_pipeline.io.features import FeatureStore  # noqa: PLC0415

    if crops.is_file():
        return FeatureStore("hand_crops", [crops]).read(row.sample).boxes
    fidelity = config.features.hand_crops.fidelity
    return hand_boxes(points, width=row.width, height=row.height, fidelity=fidelity).boxes


def answers(sample: str, results: Path, config: Config) -> Iterator["Note"]:
    """What the sample is, and what each track took it for; nothing of what is not known."""
    from slr_pipeline.io.submission import read_predictions  # noqa: PLC0415
    from slr_pipeline.report.overlay import BAD, GOOD, PLAIN, Note  # noqa: PLC0415

    table = load_samples(config.data)
    label = next((s.label for s in table.samples if s.name == sample), None)
    if label is not None:
        yield Note(f"sign: {table.classes[label]}")
    for track in config.tracks:
        path = results / "tracks" / track / "submission.csv"
        found = dict(read_predictions(path, len(table.classes))) if path.is_file() else {}
        if sample in found:
            colour = PLAIN if label is None else GOOD if found[sample] == label else BAD
            yield Note(f"{track}: {table.classes[found[sample]]}", colour)
