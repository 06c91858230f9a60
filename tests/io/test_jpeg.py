"""JPEG pictures are read as OpenCV reads them, or faster; damage is an error."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.jpeg import Encoded, Jpeg, decode_jpeg, encode_jpeg

Picture = NDArray[np.uint8]


def picture(seed: int, *channels: int) -> Picture:
    """Smooth noise, 48 px high and 64 px wide."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, *channels), np.uint8)
    return np.asarray(cv2.resize(noise, (64, 48), interpolation=cv2.INTER_CUBIC), np.uint8)


def encoded(pictures: list[list[Picture]]) -> Encoded:
    files = [encode_jpeg(each, Jpeg(90)) for frame in pictures for each in frame]
    ends = np.cumsum([0, *map(len, files)])
    spans = np.stack([ends[:-1], ends[1:]], axis=1).reshape(len(pictures), -1, 2)
    return Encoded(np.concatenate(files), spans, pictures[0][0].shape, "a.h5: sample a")


@pytest.mark.parametrize("subsampled", [True, False])
@pytest.mark.parametrize(
    ("channels", "flag", "half_flag"),
    [
        ((3,), cv2.IMREAD_COLOR_RGB, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2),
        ((), cv2.IMREAD_GRAYSCALE, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    ],
)
def test_values_equal_those_of_opencv(
    channels: tuple[int, ...], flag: int, half_flag: int, subsampled: bool
) -> None:
    file = encode_jpeg(picture(0, *channels), Jpeg(90, subsampled))
    whole, half = np.empty((48, 64, *channels), np.uint8), np.empty((24, 32, *channels), np.uint8)
    decode_jpeg(file, whole)
    decode_jpeg(file, half, halved=True)
    np.testing.assert_array_equal(whole, cv2.imdecode(file, flag))
    np.testing.assert_array_equal(half, cv2.imdecode(file, half_flag))


def test_chroma_is_repeated_where_it_is_not_interpolated() -> None:
    """Pairs of columns have one chroma, and it is near the interpolated one."""
    grey = picture(1)
    color = np.stack([grey, grey, np.full_like(grey, 200)], axis=-1)
    file, out = encode_jpeg(color, Jpeg(95)), np.empty((48, 64, 3), np.uint8)
    decode_jpeg(file, out, repeat_chroma=True)
    blue = cv2.cvtColor(out, cv2.COLOR_RGB2YCrCb)[..., 2].astype(int)
    pairs = np.abs(np.diff(blue, axis=1))
    assert pairs[:, ::2].mean() < 0.1 * pairs[:, 1::2].mean()
    interpolated = np.empty_like(out)
    decode_jpeg(file, interpolated)
    np.testing.assert_allclose(out, interpolated, atol=40)
    assert np.abs(out.astype(int) - interpolated).mean() < 8


def garbled(file: Picture) -> Picture:
    """A marker in the middle of the picture's data."""
    return np.concatenate([file[: len(file) // 2], np.array([0xFF, 0xD3], np.uint8), file[-2:]])


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda file: file[:0], "expected a JPEG picture"),
        (lambda file: file[:100], "expected a JPEG picture"),
        (lambda file: file[: len(file) // 2], "Premature end of JPEG file"),
        (garbled, "expected a JPEG picture"),
        (np.zeros_like, "expected a JPEG picture"),
        (
            lambda file: encode_jpeg(picture(0, 3)[:, :32], Jpeg(90)),
            r"\(48, 64\): found \(48, 32\)",
        ),
    ],
)
def test_damage_is_an_error(damage: Callable[[Picture], Picture], line: str) -> None:
    file = encode_jpeg(picture(0, 3), Jpeg(90))
    with pytest.raises(ArtifactError, match=line):
        decode_jpeg(damage(file), np.empty((48, 64, 3), np.uint8))


def test_a_picture_that_is_not_twice_as_large_is_not_halved() -> None:
    file = encode_jpeg(picture(0, 3), Jpeg(90))
    with pytest.raises(
        ArtifactError, match=r"expected a JPEG picture \(24, 32\): found \(48, 64\)"
    ):
        decode_jpeg(file, np.empty((12, 16, 3), np.uint8), halved=True)


def test_the_pictures_of_a_clip() -> None:
    """One after the other they are in one memory; all of them are not."""
    shown = [[picture(2 * frame + hand, 3) for hand in (0, 1)] for frame in (0, 1, 2)]
    pictures = encoded(shown)
    all_of_them = pictures.decoded()
    for frame, hand in np.ndindex(3, 2):
        assert np.abs(all_of_them[frame, hand].astype(int) - shown[frame][hand]).mean() < 8
        np.testing.assert_array_equal(pictures[frame, hand], all_of_them[frame, hand])
    assert pictures[0, 0] is pictures[2, 1]
    assert pictures[0, 0].ctypes.data % 32 == 16  # libjpeg-turbo keeps it in the cache
    assert pictures.halved()[1, 1].shape == (24, 32, 3)
    np.testing.assert_array_equal(pictures[0, 0], all_of_them[0, 0])


def test_damage_names_the_file() -> None:
    pictures = encoded([[picture(0)], [picture(1)]])
    pictures.stored[pictures.spans[1, 0, 0] :] = 0
    pictures[0, 0]
    line = "^a.h5: sample a cannot be read .*; delete the file and run again$"
    with pytest.raises(ArtifactError, match=line):
        pictures[1, 0]
    with pytest.raises(ArtifactError, match=line):
        pictures.decoded()
