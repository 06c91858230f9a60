"""Layouts in memory, and a convolution that is safe in them."""

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from slr_pipeline.models.layout import PointConv, channels_last
from slr_pipeline.models.r2plus1d import FactorConv

NARROW = """
import torch
from slr_pipeline.models.layout import PointConv, channels_last
from slr_pipeline.models.r2plus1d import FactorConv

for conv, size in (
    (PointConv(4, 8, stride=2), (16, 16)),
    (FactorConv(4, 8, (1, 1, 1), stride=(2, 2, 2)), (4, 16, 16)),
):
    for _ in range(60):
        y = conv(channels_last(torch.randn(4, 4, *size)))
        y.backward(torch.randn_like(y))
        others = [torch.randn(n) for n in (7, 33, 100, 1000, 5000)]
"""


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_a_strided_point_convolution_has_the_values_of_torch(size: tuple[int, int]) -> None:
    x = channels_last(torch.randn(2, 4, *size))
    conv = PointConv(4, 8, stride=2)
    expected = functional.conv2d(x, conv.weight, stride=2)
    torch.testing.assert_close(conv(x), expected)
    clip = channels_last(torch.randn(2, 4, 3, *size))
    factor = FactorConv(4, 8, (1, 1, 1), stride=(2, 2, 2))
    expected = functional.conv3d(clip, factor.weight, stride=2)
    torch.testing.assert_close(factor(clip), expected)


def test_few_channels_do_not_damage_memory_on_a_cpu_with_avx2() -> None:
    environment = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", NARROW], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
