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
    """A feature whose only choice is its fidelity."""

    fidelity: InheritedFidelity = "corrected"


class FlowSettings(Section):
    """Optical flow in bytes (SAM-SLR, section 3.3)."""

    fidelity: InheritedFidelity = "corrected"
    method: Literal["tvl1", "dis"] = Field(
        "tvl1", description="`tvl1`, or `dis`: many times faster and noisier."
    )
    bound_px: float = Field(20.0, gt=0, description="Largest flow that is kept, pixels a frame.")
    working_px: int = Field(
        512,
        ge=16,
        le=4096,
        description="Side of the whole frame that the flow of `published` is computed at; "
        "`corrected` computes it on the signer crop of 256.",
    )

    @model_validator(mode="after")
    def _published_is_tvl1(self) -> "FlowSettings":
        if self.fidelity == "published" and self.method != "tvl1":
            raise ValueError(f"fidelity published is TV-L1; found method {self.method}")
        return self


class CameraSettings(Section):
    """Pinhole camera of the depth video, in pixels of its frame; pixel centres are whole."""

    fx: float = Field(gt=0, description="Focal length in x, pixels.")
    fy: float = Field(gt=0, description="Focal length in y, pixels.")
    cx: float = Field(description="Principal point in x, pixels from the left pixel's centre.")
    cy: float = Field(description="Principal point in y, pixels from the top pixel's centre.")


class HhaSettings(Section):
    """Disparity, height and angle with gravity of a depth video (Gupta et al., 2014)."""

    fidelity: InheritedFidelity = "corrected"
    camera: CameraSettings | None = Field(
        None,
        description="The camera; null: NYU's as released in `published`, in `corrected` a focal "
        "length of the frame's longer side and the middle of the frame.",
    )
    grey_per_metre: float = Field(
        60.0, gt=0, description="Grey value of the depth video at one metre."
    )
    near_m: float = Field(
        0.5,
        ge=0,
        description="What is nearer is taken as missing in `corrected`: lossy coding leaves small "
        "grey values beside the signer. Metres.",
    )
    height_rule: Literal["lowest", "floor"] = Field(
        "lowest",
        description="Height above the lowest point seen (SAM-SLR), or `floor`: at least 130 cm "
        "under the camera where nothing is seen below 90 cm (the original code).",
    )


class HeatmapsSettings(Section):
    """Heat-maps of 33 keypoints in 60 frames for SSTCN (SAM-SLR, section 3.2)."""

    fidelity: InheritedFidelity = "corrected"
    sigma: float = Field(
        3.0, gt=0, description="Standard deviation of a keypoint's Gaussian, cells of 96 x 96."
    )
    stored: bool = Field(
        True, description="`false`: no file; training draws them from the keypoints instead."
    )
    source: Literal["drawn", "network"] = Field(
        "drawn",
        description="`drawn` from the keypoints, or the `network`'s own, of estimator `mmpose`.",
    )
    checkpoint: WeightsFile | None = Field(
        None,
        description="For `network` and `published`: weights of the keypoints' config that the maps "
        "are made with, as SAM-SLR's are; null: those of the keypoints.",
    )

    @model_validator(mode="after")
    def _network_is_stored(self) -> "HeatmapsSettings":
        if self.source == "network" and not self.stored:
            raise ValueError("source network: training cannot make these maps; set stored: true")
        if self.checkpoint and (self.source, self.fidelity) != ("network", "published"):
            raise ValueError("checkpoint: only source network with fidelity published takes one")
        return self


class FeatureSettings(Section):
    """Settings of each feature."""

    keypoints: KeypointsSettings = Field(
        default_factory=MediapipeSettings, description="Whole-body keypoints of every frame."
    )
    frames: FidelitySettings = Field(
        default_factory=FidelitySettings, description="Signer crops of the colour video."
    )
    hand_crops: FidelitySettings = Field(
        default_factory=FidelitySettings, description="Crops of both hands, colour."
    )
    depth_hand_crops: FidelitySettings = Field(
        default_factory=FidelitySettings, description="Crops of both hands, depth."
    )
    pose_flow: FidelitySettings = Field(
        default_factory=FidelitySettings, description="Movement of 53 keypoints."
    )
    flow: FlowSettings = Field(
        default_factory=FlowSettings, description="Optical flow of the colour video."
    )
    depth_flow: FlowSettings = Field(
        default_factory=FlowSettings, description="Optical flow of the depth video."
    )
    hha: HhaSettings = Field(
        default_factory=HhaSettings, description="Disparity, height and angle of the depth video."
    )
    heatmaps: HeatmapsSettings = Field(
        default_factory=HeatmapsSettings, description="Heat-maps of keypoints."
    )

    @model_validator(mode="after")
    def _network_heatmaps_have_a_network(self) -> "FeatureSettings":
        if self.heatmaps.source == "drawn":
            return self
        keypoints = self.keypoints
        if not isinstance(keypoints, MmposeSettings):
            raise ValueError(
                "heatmaps.source: network needs keypoints of estimator mmpose, found "
                f"{keypoints.estimator}; take source drawn"
            )
        if keypoints.config.rpartition("/")[2].startswith(SIMCC):
            raise ValueError(
                f"heatmaps.source: network needs a config with heat-maps, and {keypoints.config} "
                "gives SimCC vectors; take source drawn, or a config td-hm_*"
            )
        if keypoints.fidelity == "published" and self.heatmaps.fidelity == "corrected":
            raise ValueError(
                "heatmaps.fidelity: corrected maps come of corrected keypoints, found published "
                "ones; give both the same"
            )
        return self
