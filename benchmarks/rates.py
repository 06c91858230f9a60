"""Start of each job in seconds and its rate in ms per frame, as `slr plan` counts them.

Runs the step of each feature on few and on more clips of the demo, with the settings of its
config. CPU time: the machine may be shared. If the demo's run is finished, and nothing else ran
beside it, its benchmark files give the rate of each training on a CPU.
Copy the numbers into slr_pipeline/planning/rates.py.

snakemake --cores 2 && python -m benchmarks.rates
"""

import csv
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from slr_pipeline.config.experiment import Config, read_config
from slr_pipeline.io.features import FeatureFile
from slr_pipeline.planning.plan import make_plan
from slr_pipeline.planning.rates import CPU_GFLOPS, FRAME_COSTS, START_SECONDS, STARTS
from slr_pipeline.samples.table import load_samples

FEW, MORE = 3, 24
"""Clips of a shard."""


def main() -> None:
    config = read_config("config.yaml")
    with tempfile.TemporaryDirectory() as folder:
        (few, few_frames), (more, frames) = (
            costs(config, Path(folder, str(clips)), clips) for clips in (FEW, MORE)
        )
    print("| job | start, s | planned | ms per frame | planned |\n|---|---:|---:|---:|---:|")
    for rule, (planned, *_) in FRAME_COSTS.items():
        rate = (more[rule] - few[rule]) / (frames - few_frames)
        start = few[rule] - few_frames * rate
        print(f"| `{rule}` | {start:.1f} | {STARTS[rule]} | {1000 * rate:.1f} | {planned} |")
    print("\n| training | GFLOP/s of a core | planned |\n|---|---:|---:|")
    for stream, speed in training_speeds("config.yaml").items():
        planned = CPU_GFLOPS[config.streams[stream].model]
        print(f"| `{stream}` | {speed:.1f} | {planned} |")


def costs(config: Config, folder: Path, clips: int) -> tuple[dict[str, float], int]:
    """CPU seconds of each job on a number of clips, and their frames."""
    folder.mkdir()
    splits = {"train": clips, "val": 1, "test": 1}
    table = load_samples(config.data)
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "split", "label", "color", "depth"])
        for sample in (s for split, n in splits.items() for s in table.split(split)[:n]):
            videos = [Path(path).absolute() for path in (sample.color, sample.depth or "")]
            writer.writerow([sample.name, sample.split, sample.label, *videos])
    verified, keypoints = ("--verified", "verified.csv"), ("--keypoints", "keypoints.h5")
    data = json.dumps({"layout": "table", "table": "table.csv", "root": "/"})
    shard = ("--split", "train", "--shard", "all", "--shard-size", str(clips))
    flags = {
        "verify": ("--data", data, *shard, "--seconds-per-video", "60", "--out", verified[1]),
        "keypoints": ("--device", "cpu", *verified, "--out", keypoints[1]),
    }
    seconds = {}
    for rule in FRAME_COSTS:  # in the order of their inputs
        step = rule.removeprefix("depth_")
        words = flags.get(rule, (*verified, *keypoints, "--out", f"{rule}.h5"))
        if step in ("hand_crops", "flow"):
            words += ("--feature", rule)
        if rule != "verify":
            words += ("--settings", getattr(config.features, rule).model_dump_json())
        before = cpu_seconds()
        command = [sys.executable, "-P", "-m", "slr_pipeline.steps", step, *words]
        subprocess.run(command, cwd=folder, check=True, stderr=subprocess.PIPE)
        seconds[rule] = cpu_seconds() - before
    return seconds, int(FeatureFile(folder / keypoints[1], "keypoints").offset[-1])


def training_speeds(path: str) -> dict[str, float]:
    """10^9 floating-point operations per second of each finished training of a config.

    By the clock: the trainings of the demo have a core each, and Snakemake misses CPU time.
    """
    jobs = make_plan(path, nodes=1, cores=2, gpus=0).jobs
    speeds = {}
    for file in sorted(Path(read_config(path).results, "benchmarks/train").glob("*/train.tsv")):
        with file.open(newline="") as opened:
            seconds = sum(float(row["s"]) for row in csv.DictReader(opened, delimiter="\t"))
        stream = file.parent.name
        speeds[stream] = jobs.loc[f"train {stream} train", "units"] / (seconds - START_SECONDS)
    return speeds


def cpu_seconds() -> float:
    """CPU seconds of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
