"""The contact sheet of one sample: its features beside its videos."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError, ConfigError, DataError
from slr_pipeline.features.flow import from_bytes
from slr_pipeline.features.heatmaps import sixty_frames
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.features import FeatureFile, FeatureStore
from slr_pipeline.io.shards import video_frames
from slr_pipeline.io.verified import Verified, Video, read_verified
from slr_pipeline.io.video import Picture
from slr_pipeline.report import drawing
from slr_pipeline.report.drawing import LEFT, MIDDLE, RIGHT, Row
from slr_pipeline.report.lettering import FSI, PDI
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES, Fidelity

SMALLEST_WHEEL_PX = 1.0
"""Smallest scale of the colour wheel: noise of a still clip does not look like motion."""


@dataclass(frozen=True)
class _FeatureFrames:
    """A feature at the shown frames; `values` (columns, ...), `boxes` (columns, boxes, 4)."""

    values: NDArray[Any]
    boxes: NDArray[np.int32]
    fidelity: Fidelity
    bound_px: float


Features = dict[str, _FeatureFrames]


def write_contact_sheet(
    out: str | Path,
    sample: str,
    results: str | Path,
    *,
    columns: int = 6,
    tile_px: int = 192,
    features: Sequence[str] | None = None,
) -> None:
    """Write the features of a sample of the run in `results` as a PNG, atomically.

    Draws at most `columns` frames with a longer side of `tile_px`, and `features` (None: all in the
    folder).

    DataError for an unknown or quarantined sample or a video that has changed, ArtifactError for a
    feature file that is damaged or has another length, ConfigError for numbers out of range and
    unknown features.
    """
    unknown = sorted(set(features or ()) - set(FEATURES))
    if unknown:
        raise ConfigError(f"--features: unknown {', '.join(unknown)} (known: {' '.join(FEATURES)})")
    if columns < 1 or tile_px < 16:
        raise ConfigError(f"--columns {columns} --tile {tile_px}: at least 1 column and 16 px")
    row, frames, rows = sample_rows(sample, Path(results), columns, features or list(FEATURES))
    heading = f"{FSI}{sample}{PDI} {row.frames} frames, {row.width}x{row.height}, {row.fps:g} fps"
    titles = [f"frame {frame}" for frame in frames]
    sheet = drawing.lay_out(rows, titles, heading=heading, tile_px=tile_px)
    _, encoded = cv2.imencode(
        ".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )
    with atomic_write(out) as partial:
        partial.write_bytes(encoded.tobytes())


def sample_rows(
    sample: str, results: Path, columns: int, features: Sequence[str]
) -> tuple[Verified, list[int], list[Row]]:
    """Videos of a sample, the shown frames, and the rows of its sheet.

    Draws those of `features` that the folder has. Errors as in `write_contact_sheet`.
    """
    shard, row = find_sample(sample, results)
    frames = drawing.moments(len(row.feature_frames()), columns)
    deep = row.depth and not set(features).isdisjoint(DEPTH_FEATURES)
    color = _pick(row, "color", frames)
    depth = _pick(row, "depth", frames) if deep else []
    available: Features = {}
    for feature in features:
        path = results / "features" / feature / shard.parent.name / f"{shard.stem}.h5"
        if path.is_file():
            available[feature] = _read(feature, path, row, frames)
    return row, frames, list(_rows(color, depth, available))


def find_sample(sample: str, results: Path) -> tuple[Path, Verified]:
    """The verify table that has the sample, and its row. DataError as in `write_contact_sheet`."""
    tables = sorted(results.glob("verify/*/*.csv"))
    for path in tables:
        for row in read_verified(path):
            if row.sample == sample and row.reason:
                raise DataError(f"sample {sample} is quarantined: {row.reason}")
            if row.sample == sample:
                return path, row
    raise DataError(
        f"sample {sample} is in none of the {len(tables)} tables {results}/verify/*/*.csv; "
        "check its name and --results"
    )


def _pick(row: Verified, video: Video, frames: list[int]) -> list[Picture]:
    """The given frames of a video, in order."""
    return [f for number, f in enumerate(video_frames(row, video)) if number in frames]


def _read(feature: str, path: Path, row: Verified, frames: list[int]) -> _FeatureFrames:
    """A feature at the shown frames."""
    store, attributes = FeatureStore(feature, [path]), FeatureFile(path, feature).attributes
    T = len(row.feature_frames())
    expected = FEATURES[feature].frames or T
    if store.frames(row.sample) != expected:
        raise ArtifactError(
            f"{path}: sample {row.sample} has {store.frames(row.sample)} frames, its video "
            f"{expected}; delete the file and run again"
        )
    settings = json.loads(attributes["provenance"]).get("settings", {})
    fidelity = cast(Fidelity, settings.get("fidelity", "corrected"))
    if feature == "heatmaps":
        source = sixty_frames(T, fidelity=fidelity)
        # The nearest of the 60: a long clip does not have a map for every frame.
        frames = [int(np.abs(source - frame).argmin()) for frame in frames]
    clip = store.read(row.sample, frames)
    return _FeatureFrames(clip.values, clip.boxes, fidelity, float(attributes.get("bound_px", 0)))


def _rows(color: list[Picture], depth: list[Picture], features: Features) -> Iterator[Row]:
    """Rows of the sheet, from the video to the features derived last."""
    yield Row("video", color)
    if "keypoints" in features:
        points = features["keypoints"].values
        yield Row("keypoints\n(left: blue)", list(map(drawing.draw_skeleton, color, points)))
        if "pose_flow" in features:
            yield _pose_flow_row(color, points, features["pose_flow"])
    if "heatmaps" in features:
        draw = partial(drawing.draw_heatmaps, fidelity=features["heatmaps"].fidelity)
        yield Row("heatmaps\n(max of 33)", list(map(draw, color, features["heatmaps"].values)))
    yield from _box_rows(color, features)
    yield from _hand_rows("hand_crops", "hand_crops", features)
    if "frames" in features:
        yield Row("frames", list(features["frames"].values))
    yield from _flow_rows("flow", features)
    if depth:
        yield Row("depth video", depth)
    yield from _hand_rows("depth_hand_crops", "depth crops", features)
    yield from _flow_rows("depth_flow", features)
    if "hha" in features:
        values = features["hha"].values
        yield Row("hha\nas RGB", list(values))
        for channel, name in enumerate(("disparity", "height", "angle")):
            yield Row(f"hha\n{name}", list(values[..., channel]))


def _pose_flow_row(color: list[Picture], points: NDArray[Any], flow: _FeatureFrames) -> Row:
    draw = partial(drawing.draw_steps, fidelity=flow.fidelity)
    direction = "to next frame" if flow.fidelity == "published" else "from previous"
    return Row(f"pose_flow\n{direction}", list(map(draw, color, points, flow.values)))


def _box_rows(pictures: list[Picture], features: Features) -> Iterator[Row]:
    """Boxes of the signer and the hands, drawn on the video."""
    names = []
    for feature, colours in (("frames", (MIDDLE,)), ("hand_crops", (LEFT, RIGHT))):
        if feature in features:
            boxes = features[feature].boxes
            pictures = [
                drawing.draw_boxes(*pair, colours) for pair in zip(pictures, boxes, strict=True)
            ]
            names.append(feature)
    if names:
        yield Row("\n".join(["boxes:", *names]), pictures)


def _hand_rows(feature: str, label: str, features: Features) -> Iterator[Row]:
    if feature in features:
        for hand, side in enumerate(("left", "right")):
            yield Row(f"{label}\n{side}", list(features[feature].values[:, hand]))


def _flow_rows(feature: str, features: Features) -> Iterator[Row]:
    """Coloured flow; the wheel reaches to the 99.9th percentile of the shown magnitudes."""
    if feature not in features:
        return
    flows = [from_bytes(values, features[feature].bound_px) for values in features[feature].values]
    lengths = np.concatenate([np.hypot(flow[..., 0], flow[..., 1]).ravel() for flow in flows])
    largest_px = max(float(np.percentile(lengths, 99.9)), SMALLEST_WHEEL_PX)
    pictures = [drawing.flow_colours(flow, largest_px) for flow in flows]
    yield Row(f"{feature}\nwheel {largest_px:.1f} px", pictures, drawing.colour_wheel(48))
