"""`.npy` files of SAM-SLR's program: what is read, what is refused, and that nothing is run."""

import io
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.errors import SlrError
from slr_pipeline.io.foreign.samslr import read_samslr
from tests.io.foreign.pickles import Runs


def points(frames: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 1, (frames, 133, 3)).astype(np.float32)


def saved(path: Path, values: object) -> Path:
    np.save(path, values, allow_pickle=True)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_person_a_frame(tmp_path: Path, dtype: type) -> None:
    values = points().astype(dtype)
    values[2] = 0
    clip = read_samslr(saved(tmp_path / "x.npy", values))
    assert clip.size == (512, 512)
    assert [len(frame) for frame in clip.frames] == [1, 1, 0, 1]
    assert np.array_equal(clip.frames[3][0], values[3].astype(np.float32))


def test_heat_map_values_beyond_zero_and_one(tmp_path: Path) -> None:
    values = points()
    values[0, :2, 2] = (-0.01, 1.02)
    clip = read_samslr(saved(tmp_path / "x.npy", values)).frames[0][0]
    assert not clip[0].any()
    assert clip[1].tolist() == [values[0, 1, 0], values[0, 1, 1], 1]


def changed(index: tuple[int, ...], value: float) -> np.ndarray:
    values = points()
    values[index] = value
    return values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (points()[:, :27], "float32 (4, 27, 3); expected keypoints (T, 133, 3) of floats"),
        (points()[0], "float32 (133, 3); expected"),
        (points().astype(np.int64), "int64 (4, 133, 3); expected"),
        (
            np.array([Runs("os.system", "touch trap")], dtype=object),
            "not a complete .npy of numbers",
        ),
        (changed((0, 0, 2), np.nan), "scores are NaN or infinite"),
        (changed((0, 0, 0), np.inf), "NaN or infinite coordinates"),
        (changed((0, 0, 2), 255), "scores from 0.1"),
        (changed((0, 0, 2), -9), "scores from -9 to"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    with pytest.raises(SlrError) as caught:
        read_samslr(saved(tmp_path / "x.npy", values))
    assert message in str(caught.value)
    assert not Path("trap").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SlrError, match="No such file"):
        read_samslr(tmp_path / "none.npy")
    np.savez(tmp_path / "x.npz", points())
    with pytest.raises(SlrError, match=r"an archive of arrays; expected a single \.npy"):
        read_samslr(tmp_path / "x.npz")
    text = io.BytesIO()
    np.save(text, points())
    promise = text.getvalue().replace(b"(4, 133, 3)", b"(9999999999, 133, 3)")
    (tmp_path / "x.npy").write_bytes(promise)
    with pytest.raises(SlrError, match=r"not a complete \.npy of numbers"):
        read_samslr(tmp_path / "x.npy")
