"""A job imports what it needs: the start of a job is most of the time of a short one."""

import subprocess
import sys
from pathlib import Path

from slr_pipeline import steps

STEPS = {path.stem for path in Path(steps.__path__[0]).glob("[a-z]*.py")}
MODELS = {"train", "predict"}
SLOW = ("torch", "torchvision", "lightning_fabric", "sklearn", "scipy.stats", "rich", "matplotlib")


def imported(*names: str) -> set[str]:
    """The slow packages that the steps import in a process of their own."""
    code = f"import sys, {', '.join(f'slr_pipeline.steps.{name}' for name in sorted(names))}\n"
    code += f"print(*sys.modules.keys() & {set(SLOW)})"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_jobs_without_a_model_import_no_torch() -> None:
    assert imported(*STEPS - MODELS - {"report"}) == set()
    assert imported("report") == {"matplotlib"}


def test_a_prediction_imports_torch_alone() -> None:
    """torchvision takes longer than torch: only models with its blocks import it."""
    assert imported("predict") == {"torch"}


def test_an_unknown_step_lists_the_others() -> None:
    command = [sys.executable, "-P", "-m", "slr_pipeline.steps", "rain"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: argument step: invalid choice: 'rain' (choose from" in done.stderr
