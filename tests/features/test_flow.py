"""Optical flow: bytes, direction, working size, and error against the true flow."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.flow import Pair, end_point_errors, on_crop
from slr_pipeline.errors import ConfigError
from slr_pipeline.features.flow import (
    crop_flow,
    flow_estimator,
    from_bytes,
    to_bytes,
    whole_frame_flow,
)
from slr_pipeline.features.frames import crop_signer, signer_box
from slr_pipeline.io.video import read_frames

DEMO = Path(__file__).parents[2] / "demo"
WHOLE = np.array([0, 0, 256, 256], np.int32)


def texture(size: int = 256, seed: int = 1) -> np.ndarray:
    """A grey picture with trackable texture: smooth noise of several scales."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.uniform(0, 1, (n, n)), (size, size), interpolation=cv2.INTER_CUBIC)
        for n in (8, 16, 32)
    ]
    total = sum(layers)
    return ((total - total.min()) / (total.max() - total.min()) * 255).astype(np.uint8)


def test_bytes_by_hand() -> None:
    flow = np.array([[[0, 20], [-20, 5], [99, -99], [0.1, -0.1]]], np.float32)
    # round(255 (v + 20) / 40); 0 is 127.5, which rounds to the even 128.
    x, y = to_bytes(flow, 20)
    assert x.tolist() == [[128, 0, 255, 128]]
    assert y.tolist() == [[255, 159, 0, 127]]


@given(st.floats(-20, 20, width=32), st.sampled_from([1.0, 10.0, 20.0]))
def test_bytes_are_right_to_half_a_step(value: float, bound: float) -> None:
    value = value * bound / 20
    flow = np.full((2, 3, 2), value, np.float32)
    actual = from_bytes(to_bytes(flow, bound), bound)
    assert actual.shape == flow.shape
    np.testing.assert_allclose(actual, flow, atol=bound / 255 + 1e-4)


@pytest.mark.parametrize("method", ["tvl1", "dis"])
@pytest.mark.parametrize("shift", [(3, 0), (-2, 0), (0, 4), (0, -3)])
def test_a_shifted_picture_flows_by_its_shift(method: str, shift: tuple[int, int]) -> None:
    before = texture()
    after = np.roll(before, shift[::-1], axis=(0, 1))
    estimate = flow_estimator(method, fidelity="corrected")
    frames = list(crop_flow([before, after], WHOLE, estimate, bound_px=20))
    assert [frame.shape for frame in frames] == [(2, 256, 256)] * 2
    assert (frames[0] == 128).all()
    middle = from_bytes(frames[1], 20)[64:192, 64:192]
    np.testing.assert_allclose(np.median(middle, axis=(0, 1)), shift, atol=0.2)


def test_a_crop_of_larger_pixels_has_smaller_flow() -> None:
    before = texture(512)
    after = np.roll(before, 6, axis=1)
    estimate = flow_estimator("tvl1", fidelity="corrected")
    box = np.array([0, 0, 512, 512], np.int32)
    _, flow = crop_flow([before, after], box, estimate, bound_px=20)
    assert np.median(from_bytes(flow, 20)[64:192, 64:192, 0]) == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("working_px", [256, 512])
def test_published_flow_is_in_pixels_of_the_working_size(working_px: int) -> None:
    before = texture(512)
    after = np.roll(before, 6, axis=1)
    estimate = flow_estimator("dis", fidelity="published")
    frames = whole_frame_flow(
        [np.stack([p] * 3, axis=-1) for p in (before, after)],
        np.array([0, 128, 512, 384], np.int32),
        estimate,
        bound_px=20,
        working_px=working_px,
    )
    still, flow = frames
    # The box is twice as wide as high: 64 rows of padding above and below, and padding is 0.
    assert (still[:, 64:192] == 128).all()
    assert (still[:, :63] == 0).all()
    assert (still[:, 193:] == 0).all()
    moved = np.median(from_bytes(flow, 20)[80:176, 64:192, 0])
    assert moved == pytest.approx(6 * working_px / 512, abs=0.3)


@pytest.mark.parametrize("shape", [(720, 1280), (240, 320), (513, 511)])
def test_a_still_clip_has_zero_flow(shape: tuple[int, int]) -> None:
    still = np.full((*shape, 3), 90, np.uint8)
    box = np.array([0, 0, shape[1], shape[0]], np.int32)
    estimate = flow_estimator("tvl1", fidelity="corrected")
    for frames in (0, 1, 2, 17):
        flows = list(crop_flow((still for _ in range(frames)), box, estimate, bound_px=20))
        assert len(flows) == frames
        assert all((flow == 128).all() for flow in flows)


@pytest.mark.parametrize("method", ["tvl1", "dis"])
def test_pictures_without_texture_give_finite_flow(method: str) -> None:
    frames = [np.full((240, 320), grey, np.uint8) for grey in (0, 0, 255, 7)]
    box = np.array([0, 0, 320, 240], np.int32)
    estimate = flow_estimator(method, fidelity="corrected")
    flows = list(crop_flow(frames, box, estimate, bound_px=20))
    assert len(flows) == 4
    assert (flows[1] == 128).all()
    for before, after in ((frames[0], frames[2]), (frames[2], frames[3])):
        assert np.isfinite(estimate(before, after)).all()


def test_an_opencv_without_tvl1_is_refused_with_the_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2.optflow, "DualTVL1OpticalFlow_create")
    with pytest.raises(ConfigError, match=r"has no TV-L1.* pip install --force-reinstall"):
        flow_estimator("tvl1", fidelity="corrected")
    flow_estimator("dis", fidelity="corrected")


def true_pairs() -> Iterator[Pair]:
    """Cropped pairs of frames with their true flow, from the demo."""
    with h5py.File(DEMO / "truth" / "frames.h5") as file:
        for sample, truth in file.items():
            path = next(DEMO.glob(f"*/{sample}_color.mp4"))
            with h5py.File(DEMO / "truth" / f"{path.parent.name}.h5") as clips:
                keypoints = clips[sample]["keypoints"][:]
            keypoints[..., 2] = 1
            box = signer_box(keypoints, width=512, height=512, fidelity="corrected")
            frame = int(truth.attrs["frame"])
            pictures = list(read_frames(path))[frame - 1 : frame + 1]
            greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
            before, after = (crop_signer(grey, box, interpolation=cv2.INTER_AREA) for grey in greys)
            flow, valid = truth["flow"][:] / 100, truth["valid"][:].astype(bool)
            yield Pair(before, after, *on_crop(flow, valid, box))


def test_the_error_is_at_most_that_of_opencvs_settings() -> None:
    default = cv2.optflow.DualTVL1OpticalFlow_create()
    methods = (
        flow_estimator("tvl1", fidelity="corrected"),
        lambda before, after: default.calc(before, after, None),
        lambda before, after: np.zeros((*before.shape, 2), np.float32),
    )
    pairs = list(true_pairs())
    assert len(pairs) == 3
    # Errors over all valid pixels, and over the moving ones.
    ours, of_default, of_still = (
        np.mean([end_point_errors(method(p.before, p.after), p) for p in pairs], axis=0)
        for method in methods
    )
    assert (ours <= of_default).all()
    assert (ours < 0.8 * of_still).all()


@pytest.mark.parametrize(
    ("fidelity", "fast"), [("corrected", (9.0, 0.0)), ("published", (2.7, 0.58))]
)
def test_golden_numbers(fidelity: str, fast: tuple[float, float]) -> None:
    """Two patches move; only the start from DIS finds the fast one."""

    def picture(t: int) -> np.ndarray:
        picture = texture(seed=3)
        picture[60:120, 40 + 9 * t : 100 + 9 * t] = texture(60, seed=4)
        picture[150:190, 150 - 2 * t : 190 - 2 * t] = texture(40, seed=5)
        return picture

    flow = flow_estimator("tvl1", fidelity=fidelity)(picture(0), picture(1))
    np.testing.assert_allclose(flow[70:110, 55:85].mean(axis=(0, 1)), fast, atol=0.05)
    np.testing.assert_allclose(flow[160:180, 160:180].mean(axis=(0, 1)), (-2, 0), atol=0.05)
    np.testing.assert_allclose(flow[200:250, 20:120], 0, atol=0.05)
