"""torchvision beside any build of torch, and in one module only."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import slr_pipeline
from slr_pipeline.models.vision import ImageBlock

IMPORT_TWICE = """
try:
    import torchvision  # fails beside a CPU build of torch
except RuntimeError:
    pass
import slr_pipeline.models.vision
import torchvision
import torchvision.transforms.v2
assert slr_pipeline.models.vision.torchvision is torchvision
"""


def test_the_block_runs() -> None:
    assert ImageBlock(4, 4)(torch.rand(2, 4, 5, 6)).shape == (2, 4, 5, 6)


def test_import_after_a_failed_import() -> None:
    subprocess.run([sys.executable, "-c", IMPORT_TWICE], check=True, timeout=120)


def test_missing_operators_say_so() -> None:
    from torchvision import extension, ops

    if extension._has_ops():
        pytest.skip("torchvision's compiled operators are here")
    with pytest.raises(RuntimeError, match="C\\+\\+ ops"):
        ops.nms(torch.rand(1, 4), torch.rand(1), 0.5)


def test_no_other_module_imports_torchvision() -> None:
    package = Path(slr_pipeline.__file__).parent
    importing = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"^\s*(import|from) torchvision", path.read_text(), re.MULTILINE)
    ]
    assert importing == ["models/vision.py"]
