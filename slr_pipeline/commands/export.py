"""Write the keypoints of a run for other programs."""

import argparse
from pathlib import Path


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("feature", choices=("keypoints",))
    parser.add_argument("--to", required=True, choices=("pose", "openpose", "mmaction2"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--samples", nargs="+", help="all by default")
    parser.add_argument("--layout", help="see docs/estimators.md; all 133 points by default")


def main(given: argparse.Namespace) -> None:
    """Write the keypoints of a run as files of other programs."""
    from slr_pipeline.io.poses.exporting import export_keypoints  # noqa: PLC0415

    written, quarantined = export_keypoints(
        given.results, given.to, given.out, layout=given.layout, samples=given.samples
    )
    print(f"{given.out}: {written} samples, {quarantined} quarantined ones left out")
