"""`make test-gpu` needs little: a GPU, and these packages beside the wheels it carries."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu_machine import gpu_tests

ROOT = Path(__file__).parents[2]

PRESENT = """
    attrs charset-normalizer cloudpickle contourpy cycler filelock fonttools fsspec h5py hypothesis
    iniconfig jinja2 joblib kiwisolver lightning-fabric markupsafe matplotlib mpmath networkx numpy
    opencv-python-headless packaging pandas pillow pluggy psutil pygments pyparsing pytest
    pytest-xdist python-dateutil pyyaml rich safetensors scikit-learn scipy setuptools six
    sortedcontainers sympy threadpoolctl torch torchvision tqdm triton
"""
"""Packages of the machine: a usual environment for PyTorch, without Snakemake and PyAV."""

IMPORTS = """
import importlib, sys
from importlib.metadata import packages_distributions
for name in {modules}:
    importlib.import_module(name)
known = packages_distributions()
tops = {{name.partition(".")[0] for name in sys.modules}}
print(*sorted({{known[top][0].lower().replace("_", "-") for top in tops if top in known}}))
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_one_line_says_so() -> None:
    command = ["make", "--silent", "test-gpu", f"GPU_PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode != 0
    assert [re.sub(r"torch \S+", "torch X", line) for line in lines] == [
        "error: no GPU: torch X finds none; make test-gpu needs one"
    ]


def test_nothing_else_is_imported() -> None:
    folders = {Path(path).parent for path in gpu_tests()}
    conftests = [path / "conftest.py" for path in (Path("tests"), *folders)]
    files = [*map(Path, gpu_tests()), *(path for path in conftests if (ROOT / path).exists())]
    modules = [".".join(path.with_suffix("").parts) for path in files]
    code = IMPORTS.format(modules=[*modules, "benchmarks.gpu", "xdist"])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    carried = re.search(r"GPU_PACKAGES := ((?:.|\\\n)*?)\n\S", (ROOT / "Makefile").read_text())
    assert carried
    ours = {"slr-pipeline", "opencv-contrib-python-headless"}  # contrib is not needed there
    allowed = {*PRESENT.split(), *carried[1].replace("\\", "").split(), *ours}
    assert set(done.stdout.split()) <= allowed
