"""Ground truth files of the demo: `truth/{split}.h5`, one group per clip."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from renderer.clips import Clip, Truth
from renderer.scene import SIZE, Camera
from slr_pipeline.errors import ArtifactError, DataError

FORMAT = "slr-demo-truth-1"
TOLERANCE_PX = 0.02
"""Largest difference of keypoints between machines; on one machine they are equal."""
TOLERANCE_M = 0.0003
TOLERANCE_VISIBLE = 0.002
"""Share of visibility flags that may differ: points on a silhouette."""


@dataclass(frozen=True)
class FrameTruth:
    """Dense ground truth of one frame t: `depth` (2,H,W) m of t-1 and t, 0 outside the signer.

    `flow` (H,W,2) px from t-1 to t on the grid of t-1, `valid` (H,W): where flow is defined.
    """

    frame: int
    depth: npt.NDArray[np.float64]
    flow: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Recorded:
    """Ground truth and camera of a clip; a few clips also have a frame of dense ground truth."""

    clip: Clip
    truth: Truth
    camera: Camera
    dense: FrameTruth | None = None


def write_truth(path: Path, records: list[Recorded]) -> None:
    """Write the ground truth of one split."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver=("earliest", "v110"), track_order=True) as file:
        file.attrs["format"] = FORMAT
        file.attrs["layout"] = "coco_wholebody_133"
        file.attrs["units"] = "keypoints: x px, y px, visible 0 or 1; depth: m, camera z"
        file.attrs["image_size"] = np.array([SIZE, SIZE])
        file.attrs["mirrored"] = False
        for record in records:
            _write_clip(file.create_group(record.clip.sample), record)


def _write_clip(group: Any, record: Recorded) -> None:
    clip, camera = record.clip, record.camera
    packing = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
    group.create_dataset("keypoints", data=record.truth.keypoints, **packing)
    group.create_dataset("depth", data=record.truth.depth, **packing)
    c = camera.principal_px
    f = camera.focal_px
    group.attrs["intrinsics"] = np.array([[f, 0, c], [0, f, c], [0, 0, 1]])
    group.attrs["rotation"] = camera.rotation
    group.attrs["centre"] = camera.centre
    group.attrs["label"] = clip.sign.label
    group.attrs["gloss"] = clip.sign.gloss
    group.attrs["signer"] = clip.signer.number
    group.attrs["left_handed"] = clip.signer.left_handed
    group.attrs["take"] = clip.take


def write_frames(path: Path, records: list[Recorded]) -> None:
    """Write the dense ground truth of records that have it: depth in 0.1 mm, flow in 0.01 px."""
    import h5py

    with h5py.File(path, "w", libver=("earliest", "v110"), track_order=True) as file:
        file.attrs["format"] = "slr-demo-frames-1"
        file.attrs["units"] = "depth: 0.1 mm, camera z, 0 beside the signer; flow: 0.01 px"
        for record in records:
            dense = record.dense
            if dense is None:
                continue
            group = file.create_group(record.clip.sample)
            group.attrs["frame"] = dense.frame
            depth = np.rint(dense.depth * 1e4).astype(np.uint16)
            flow = np.rint(dense.flow * 100).astype(np.int16)
            for name, values in (("depth", depth), ("flow", flow), ("valid", dense.valid)):
                group.create_dataset(name, data=values, compression="gzip", shuffle=True)


def read_truth(folder: Path, split: str, sample: str) -> Truth:
    """Read the ground truth of a clip from a demo folder.

    Raises:
        ArtifactError: the file has another format. DataError: it lacks the sample.
    """
    import h5py

    path = folder / "truth" / f"{split}.h5"
    with h5py.File(path, "r") as file:
        if file.attrs.get("format") != FORMAT:
            raise ArtifactError(
                f"{path}: format {file.attrs.get('format')!r}, expected {FORMAT!r}; render it "
                "again with python -m renderer.dataset"
            )
        if sample not in file:
            raise DataError(f"{path}: no sample {sample}")
        return Truth(file[sample]["keypoints"][:], file[sample]["depth"][:])


def difference(actual: Truth, expected: Truth) -> str | None:
    """Describe a difference beyond the tolerances; None if the two agree."""
    if actual.keypoints.shape != expected.keypoints.shape:
        return f"shape {actual.keypoints.shape}, expected {expected.keypoints.shape}"

    def largest(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
        return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())

    px = largest(actual.keypoints[..., :2], expected.keypoints[..., :2])
    metres = largest(actual.depth, expected.depth)
    flags = float(np.mean(actual.keypoints[..., 2] != expected.keypoints[..., 2]))
    if px > TOLERANCE_PX + 1e-4:
        return f"keypoints differ by {px:.3f} px, allowed {TOLERANCE_PX}"
    if metres > TOLERANCE_M:
        return f"depth differs by {metres:.4f} m, allowed {TOLERANCE_M}"
    if flags > TOLERANCE_VISIBLE:
        return f"visibility differs in {flags:.2%} of the points, allowed {TOLERANCE_VISIBLE:.2%}"
    return None
