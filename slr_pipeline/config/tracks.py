"""The sections under `tracks:`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from slr_pipeline.config.section import PlainPath, Section

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""The name of an experiment, stream or track."""
Weight = Annotated[float, Field(gt=0)]


class TrackSettings(Section):
    """An ensemble of weighted streams that makes one submission."""

    fusion: Literal["calibrated", "published"] = "calibrated"
    """`calibrated`: mean of log-probabilities, after temperature scaling of each stream (fitted on
    val or, with `folds`, out of fold). `published`: mean of raw logits, as in SAM-SLR."""
    streams: dict[Name, Weight | None] = Field(min_length=1)
    """Weight of each stream. Names alone, such as `{joint, bone}`: the weights are fitted as the
    temperatures are."""
    untuned: dict[Name, Weight] = Field(default_factory=dict)
    """Weights of streams before fine-tuning, in addition to `streams`; only for fusion `published`
    and protocol `challenge`, as in SAM-SLR's skeleton score of test."""
    template: PlainPath | None = None
    """Predictions CSV whose order of names the submission follows; null: the order of the sample
    table."""
    baseline: PlainPath | None = None
    """Predictions CSV of test to compare with, by McNemar's exact test."""

    accept_error: float | None = Field(0.05, gt=0, lt=1)
    """Largest share of errors to expect among accepted answers. Answers of lower probability are
    `unsure`. This probability is chosen on val or, with `folds`, out of fold; the submission keeps
    all answers. null: accept every answer."""

    @model_validator(mode="after")
    def _weights_are_all_given_or_all_fitted(self) -> "TrackSettings":
        fitted = [name for name, weight in self.streams.items() if weight is None]
        if fitted and self.fusion == "published":
            raise ValueError(f"fusion published needs the weight of each stream, not of {fitted}")
        if fitted and len(fitted) < len(self.streams):
            raise ValueError(f"give the weight of each stream or of none; without: {fitted}")
        if self.untuned and self.fusion != "published":
            raise ValueError(
                "untuned: fusion calibrated does not use streams before fine-tuning; set fusion "
                "published and weights, or leave it out"
            )
        return self
