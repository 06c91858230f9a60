"""How parsing, dry run, jobs, files and memory grow with the number of samples, without videos.

Writes a table with the number of samples, up to 2,000 classes and 5,000 signers, with depth, for a
config (protocol challenge). `parse` is what every job repeats: Python's start, config, table and
shards, without Snakemake. Times are CPU times, the minimum of `--repeats`: the machine may be
shared.

python -m benchmarks.size
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from slr_pipeline.planning.plan import make_plan

ROOT = Path(__file__).parents[1]
SIZES = [(1_000, 512), (36_302, 512), (100_000, 2048), (1_000_000, 4096)]
PARSE = """
import sys
from slr_pipeline.config.experiment import SPLITS, read_config
from slr_pipeline.samples.requirements import check_streams
from slr_pipeline.samples.shards import labels_digest, shards
from slr_pipeline.samples.table import load_samples
config = read_config(sys.argv[1])
table = load_samples(config.data)
check_streams(config, table)
for split in SPLITS:
    shards(table.split(split), config.shard_size)
labels_digest(table, SPLITS)
"""

# A process of its own: RUSAGE_CHILDREN covers all children of a process.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config/autsl.yaml")
    parser.add_argument("--repeats", type=int, default=3)
    flags = parser.parse_args()
    print(
        "| samples | shard_size | parse, CPU s | dry run, CPU s | memory, MB | jobs | files "
        "| folders |\n|" + "---:|" * 8
    )
    for samples, shard_size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            print(row(Path(folder), flags.config, samples, shard_size, flags.repeats), flush=True)


def row(folder: Path, config: str, samples: int, shard_size: int, repeats: int) -> str:
    path = write_experiment(folder, config, samples, shard_size)
    parse = [sys.executable, "-c", PARSE, str(path)]
    parsing = min(measured(parse, folder)[0] for _ in range(repeats))
    runs = [measured(dry_run(path), folder) for _ in range(repeats)]
    plan = make_plan(str(path), nodes=1, cores=8, gpus=1)
    return (
        f"| {samples:,} | {shard_size:,} | {parsing:.1f} | {min(run[0] for run in runs):.1f} "
        f"| {max(run[1] for run in runs):,.0f} | {len(plan.jobs):,} "
        f"| {plan.jobs['files'].sum():,} | {plan.folders:,} |"
    )


def dry_run(config: Path) -> list[str]:
    """The command that plans all jobs of a config."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "all", "--quiet", "all"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(config.parent)]
    return [*command, "--configfile", str(config), "--cores", "8", "--resources", "gpu=1"]


def write_experiment(folder: Path, config: str, samples: int, shard_size: int) -> Path:
    """The config with a table of `samples` rows: 80 % train, 10 % val, 10 % test."""
    table = folder / "samples.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sample", "split", "label", "signer", "color", "depth"])
        for number in range(samples):
            split = {8: "val", 9: "test"}.get(number % 10, "train")
            video = f"videos/{number % 1000}/clip{number}"
            place = (f"{video}.mp4", f"{video}_depth.mp4")
            rows.writerow(
                [f"clip{number}", split, number // 10 % 2000, f"p{number % 5000}", *place]
            )
    values = yaml.safe_load(Path(config).read_text())
    values |= {"protocol": "challenge", "shard_size": shard_size, "results": "results"}
    values["data"] = {"layout": "table", "table": str(table)}
    for stream in values["streams"].values():
        if "init" in stream:
            weights = folder / stream["init"]["path"]
            weights.parent.mkdir(exist_ok=True)
            weights.touch()
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of a command; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


if __name__ == "__main__":
    main()
