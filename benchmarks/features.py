"""Bytes, time and memory of every feature of a finished run, with a forecast for AUTSL.

    snakemake features --cores 2 && python -m benchmarks.features

Prints a markdown table. Bytes are those of the HDF5 files. CPU time and memory (largest resident
set) come from Snakemake's benchmark files and include the start of the process. The forecast is
proportional to frames: 36,302 clips of 60 frames.
"""

import argparse
import csv
from pathlib import Path

from slr_pipeline.io.features import FeatureFile
from slr_pipeline.schema import FEATURES

PICTURES = ("frames", "hand_crops", "flow", "depth_flow", "hha")
"""Features that must stay under 150 GB in total for AUTSL."""


def main() -> None:
    """Parse the flags and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--clips", type=int, default=36302, help="clips of the forecast")
    parser.add_argument("--frames", type=int, default=60, help="frames per clip of the forecast")
    flags = parser.parse_args()
    forecast = flags.clips * flags.frames
    print(
        "| feature | frames | bytes per frame | kB per clip | AUTSL, GB | CPU ms per frame | ",
        end="",
    )
    print("AUTSL, core-days | memory, MB |\n|---|---:|---:|---:|---:|---:|---:|---:|")
    total = 0.0
    for feature in FEATURES:
        paths = sorted(flags.results.glob(f"features/{feature}/*/*.h5"))
        if not paths:
            print(f"| `{feature}` | not in {flags.results} |")
            continue
        clips, frames = video_frames(flags.results, feature)
        size = sum(path.stat().st_size for path in paths)
        seconds, memory = cost(flags.results, feature)
        # The size of heat-maps does not depend on the length of a clip.
        units = flags.clips / clips if FEATURES[feature].frames else forecast / frames
        total += size * units if feature in PICTURES else 0
        print(
            f"| `{feature}` | {frames} | {size / frames:.0f} | {size / clips / 1e3:.1f} "
            f"| {size * units / 1e9:.1f} | {1000 * seconds / frames:.1f} "
            f"| {seconds / frames * forecast / 86400:.2f} | {memory:.0f} |"
        )
    print(f"\n{', '.join(PICTURES)} together: {total / 1e9:.0f} GB")


def video_frames(results: Path, feature: str) -> tuple[int, int]:
    """Clips of a feature's files, and frames of their videos."""
    clips = frames = 0
    for path in sorted(results.glob("features/keypoints/*/*.h5")):
        if (results / "features" / feature / path.parent.name / path.name).exists():
            index = FeatureFile(path, "keypoints")
            clips += int((index.fps > 0).sum())
            frames += int(index.offset[-1])
    return clips, frames


def cost(results: Path, feature: str) -> tuple[float, float]:
    """CPU seconds of all jobs of a feature, and the largest memory of a job in MB."""
    rows = []
    for path in results.glob(f"benchmarks/{feature}/*/*.tsv"):
        with path.open(newline="") as file:
            rows += list(csv.DictReader(file, delimiter="\t"))
    return sum(float(row["cpu_time"]) for row in rows), max(float(row["max_rss"]) for row in rows)


if __name__ == "__main__":
    main()
