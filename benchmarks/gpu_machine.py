"""Run the GPU's tests, then its benchmark, on a machine with PyTorch and little else.

    make test-gpu                     # or, without make: python3 -m benchmarks.gpu_machine

It needs no network, no .venv and changes nothing on the machine: packages that are missing are
installed from build/gpu-wheels into a temporary folder. `make gpu-wheels` fills that folder on a
machine with network; `tests/benchmarks/test_gpu_machine.py` lists what the machine must have. Flags
that are not listed go to `benchmarks.gpu`: `--device cpu --small --steps 2` tries the path without
a GPU.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
WHEELS = ROOT / "build" / "gpu-wheels"
CARRIED = ("lightning_fabric", "lightning_utilities", "pydantic", "simplejpeg", "zlib_ng")
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider")
TESTS_SECONDS = 180


def main() -> None:
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=540, help="seconds for everything")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu.md", help="the table")
    parser.add_argument("--device", default="cuda")
    flags, more = parser.parse_known_args()
    if problem := missing(flags.device):
        sys.exit(f"error: {problem}")
    with tempfile.TemporaryDirectory() as site:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([site, str(ROOT)])}
        if not all(map(find_spec, CARRIED)):
            install(site)
        tests = run([*PYTEST, "-m", "gpu", *gpu_tests()], environment, TESTS_SECONDS)
        left = flags.budget - (time.monotonic() - started)
        limits = ["--budget", f"{left:.0f}", "--device", flags.device, "--out", str(flags.out)]
        rows = run(["-m", "benchmarks.gpu", *limits, *more], environment, left + 30)
    print(f"tests: {'passed' if tests else 'FAILED'}; table: {flags.out}")
    sys.exit(0 if tests and rows else 1)


def missing(device: str) -> str | None:
    """What the machine lacks, and what to do; None: nothing."""
    if find_spec("torch") is None:
        return f"no PyTorch in {sys.executable}; set GPU_PYTHON to a Python that has it"
    import torch  # noqa: PLC0415 - only now it is known to be there

    if device.startswith("cuda") and not torch.cuda.is_available():
        return f"no GPU: torch {torch.__version__} finds none; make test-gpu needs one"
    if not all(map(find_spec, CARRIED)) and not list(WHEELS.glob("*.whl")):
        return (
            f"{', '.join(CARRIED)} are missing; run make gpu-wheels on a machine with network and "
            f"copy {WHEELS.relative_to(ROOT)} here"
        )
    return None


def install(site: str) -> None:
    """Unpack the wheels into a folder."""
    options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir"]
    wheels = map(str, sorted(WHEELS.glob("*.whl")))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, *options, "--target", site, *wheels], check=True)


def gpu_tests() -> list[str]:
    """Files with tests marked `gpu`: others may import packages that are not here."""
    return [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "pytest.mark.gpu" in path.read_text(encoding="utf-8")
    ]


def run(arguments: list[str], environment: dict[str, str], seconds: float) -> bool:
    """Run Python in the root; whether it succeeds in time."""
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        print(f"error: more than {seconds:.0f} s: {' '.join(arguments)}", file=sys.stderr)
        return False
    return done.returncode == 0


if __name__ == "__main__":
    main()
