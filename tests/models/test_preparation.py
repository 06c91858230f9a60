"""Colour jitter, by hand and against Pillow; the other steps are tested with their transforms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from slr_pipeline.models.preparation import jittered, jittered_as_pillow

Factors = tuple[float, float, float]

GREYS = [[100] * 3, [200] * 3]
RED = [[255, 0, 0]]  # its grey is 76


@pytest.mark.parametrize(
    ("pixels", "factors", "expected"),
    [
        (GREYS, (1, 1, 1), GREYS),
        (GREYS, (0.5, 1, 1), [[50] * 3, [100] * 3]),
        (GREYS, (1.5, 1, 1), [[150] * 3, [255] * 3]),
        (GREYS, (1, 0.5, 1), [[125] * 3, [175] * 3]),
        (GREYS, (1, 0, 1), [[150] * 3, [150] * 3]),
        (GREYS, (1, 1, 0.3), GREYS),  # grey has no saturation
        # Brightness first clips to 150 and 255; then contrast scales about the mean 202.5 -> 203.
        (GREYS, (1.5, 0.5, 1), [[176] * 3, [229] * 3]),
        (RED, (1, 1, 0), [[76] * 3]),
        (RED, (1, 1, 0.5), [[165, 38, 38]]),
    ],
)
def test_jitter_by_hand(
    pixels: list[list[int]], factors: Factors, expected: list[list[int]]
) -> None:
    picture = torch.tensor([pixels]).permute(2, 0, 1).float()
    exact = jittered_as_pillow(picture, factors)
    assert exact.permute(1, 2, 0).tolist() == [expected]
    # Without rounding, and the mean grey is a half less.
    torch.testing.assert_close(jittered(picture, factors), exact, rtol=0, atol=1.01)


@settings(max_examples=50, deadline=None)
@given(factors=st.tuples(*[st.floats(0, 2, width=32)] * 3), seed=st.integers(0, 1000))
def test_jitter_equals_pillow(factors: Factors, seed: int) -> None:
    """Within two levels where integers are kept.

    `corrected` keeps fractions: three truncations, which later factors of up to 2 enlarge, are 7.
    """
    picture = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    expected = Image.fromarray(picture)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for enhance, factor in zip(enhancers, factors, strict=True):
        expected = enhance(expected).enhance(factor)
    values = torch.from_numpy(picture).permute(2, 0, 1).float()
    wanted = torch.from_numpy(np.array(expected)).permute(2, 0, 1)
    difference = (jittered_as_pillow(values, factors) - wanted).abs()
    assert difference.max() <= 2  # Pillow rounds a few greys differently
    assert (difference > 0).float().mean() < 0.02
    assert (jittered(values, factors) - wanted).abs().max() < 7
