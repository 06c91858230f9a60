"""The settings of each feature: the sections under `features:`."""

from typing import Literal

from pydantic import Field, model_validator

from slr_pipeline.config.estimators import (
    SIMCC,
    KeypointsSettings,
    MediapipeSettings,
    MmposeSettings,
    WeightsFile,
)
from slr_pipeline.config.section import InheritedFidelity, Section


class FidelitySettings(Section):
    """A feature whose only setting is its fidelity."""

    fidelity: InheritedFidelity = "corrected"


class FlowSettings(Section):
    """Optical flow, quantised to bytes (SAM-SLR, section 3.3)."""

    fidelity: InheritedFidelity = "corrected"
    method: Literal["tvl1", "dis"] = "tvl1"
    """`tvl1`, or `dis`, which is much faster and noisier."""
    bound_px: float = Field(20.0, gt=0)
    """Largest flow, in pixels per frame; larger values are clipped."""
    working_px: int = Field(512, ge=16, le=4096)
    """`published` only: side the whole frame is resized to before flow is computed. `corrected`
    uses the signer crop of 256 x 256."""

    @model_validator(mode="after")
    def _published_is_tvl1(self) -> "FlowSettings":
        if self.fidelity == "published" and self.method != "tvl1":
            raise ValueError(f"fidelity published needs method tvl1, found {self.method}")
        return self


class CameraSettings(Section):
    """Pinhole camera of the depth video, in pixels; pixel centres have integer coordinates."""

    fx: float = Field(gt=0)
    """Focal length in x."""
    fy: float = Field(gt=0)
    """Focal length in y."""
    cx: float
    """Principal point in x, from the centre of the leftmost pixel."""
    cy: float
    """Principal point in y, from the centre of the topmost pixel."""


class HhaSettings(Section):
    """Disparity, height and angle with gravity of a depth video (Gupta et al., 2014)."""

    fidelity: InheritedFidelity = "corrected"
    camera: CameraSettings | None = None
    """Camera of the depth video. null: `published` uses NYU's camera as released, `corrected` a
    focal length of the frame's longer side and the frame's centre."""
    grey_per_metre: float = Field(60.0, gt=0)
    """Grey value of the depth video at one metre."""
    near_m: float = Field(0.5, ge=0)
    """`corrected` only: nearer depth, in metres, counts as missing, because lossy video has small
    grey values beside the signer."""
    height_rule: Literal["lowest", "floor"] = "lowest"
    """Where height is 0. `lowest`: at the lowest visible point (SAM-SLR). `floor`: the same, but
    130 cm below the camera if nothing is visible 90 cm below it (the original HHA code)."""


class HeatmapsSettings(Section):
    """Heat-maps of 33 keypoints in 60 frames, for SSTCN (SAM-SLR, section 3.2)."""

    fidelity: InheritedFidelity = "corrected"
    sigma: float = Field(3.0, gt=0)
    """Standard deviation of a drawn Gaussian, in cells of a grid of 96 x 96."""
    stored: bool = True
    """`false`: store no file; training draws the maps from the keypoints."""
    source: Literal["drawn", "network"] = "drawn"
    """`drawn` from the keypoints, or output of the pose `network` (needs estimator `mmpose`)."""
    checkpoint: WeightsFile | None = None
    """Weights of the pose network for the maps, as in SAM-SLR, with the keypoints' `config`; only
    for source `network` and fidelity `published`. null: those of the keypoints."""

    @model_validator(mode="after")
    def _network_is_stored(self) -> "HeatmapsSettings":
        if self.source == "network" and not self.stored:
            raise ValueError("source network: training cannot compute these maps; set stored: true")
        if self.checkpoint and (self.source, self.fidelity) != ("network", "published"):
            raise ValueError("checkpoint: only source network with fidelity published uses one")
        return self


class FeatureSettings(Section):
    """Settings of each feature."""

    keypoints: KeypointsSettings = Field(default_factory=MediapipeSettings)
    """Whole-body keypoints of every frame."""
    frames: FidelitySettings = Field(default_factory=FidelitySettings)
    """Crops of the signer from the colour video."""
    hand_crops: FidelitySettings = Field(default_factory=FidelitySettings)
    """Crops of both hands from the colour video."""
    depth_hand_crops: FidelitySettings = Field(default_factory=FidelitySettings)
    """Crops of both hands from the depth video."""
    pose_flow: FidelitySettings = Field(default_factory=FidelitySettings)
    """Motion of 53 keypoints."""
    flow: FlowSettings = Field(default_factory=FlowSettings)
    """Optical flow of the colour video."""
    depth_flow: FlowSettings = Field(default_factory=FlowSettings)
    """Optical flow of the depth video."""
    hha: HhaSettings = Field(default_factory=HhaSettings)
    """Disparity, height and angle, from the depth video."""
    heatmaps: HeatmapsSettings = Field(default_factory=HeatmapsSettings)
    """Heat-maps of 33 keypoints."""

    @model_validator(mode="after")
    def _network_heatmaps_have_a_network(self) -> "FeatureSettings":
        if self.heatmaps.source == "drawn":
            return self
        keypoints = self.keypoints
        if not isinstance(keypoints, MmposeSettings):
            raise ValueError(
                "heatmaps.source: network needs keypoints of estimator mmpose, found "
                f"{keypoints.estimator}; set source drawn"
            )
        if keypoints.config.rpartition("/")[2].startswith(SIMCC):
            raise ValueError(
                f"heatmaps.source: network needs a config with heat-maps, and {keypoints.config} "
                "outputs SimCC vectors; set source drawn, or use a config td-hm_*"
            )
        if keypoints.fidelity == "published" and self.heatmaps.fidelity == "corrected":
            raise ValueError(
                "heatmaps.fidelity: corrected maps need corrected keypoints, found published; give "
                "both the same fidelity"
            )
        return self
