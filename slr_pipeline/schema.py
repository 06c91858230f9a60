"""What every feature means: dims, shape, dtype, units and version. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureSchema:
    """One feature. `shape` is that of one frame; raise `version` when the values change meaning."""

    version: int
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    units: str


FEATURES: dict[str, FeatureSchema] = {
    "keypoints": FeatureSchema(
        version=1,
        dims=("frame", "keypoint", "channel"),
        shape=(133, 3),
        dtype="float32",
        units="px, px, score in [0, 1]",
    ),
}
