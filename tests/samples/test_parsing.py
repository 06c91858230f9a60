"""What Snakemake parses again in every job stays light."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARSE = """
import sys
from slr_pipeline.config.experiment import read_config
from slr_pipeline.samples.requirements import check_streams
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import load_samples
config = read_config("config.yaml")
table = load_samples(config.data)
check_streams(config, table)
shards(table.split("train"), config.shard_size)
heavy = {"numpy", "pandas", "torch", "h5py", "cv2", "scipy", "sklearn"} & set(sys.modules)
print(*heavy)
"""


def test_parsing_the_demo_imports_no_heavy_package() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARSE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
