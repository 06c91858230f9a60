"""The sections `verify` and `quality`: limits that a clip must keep, else it is quarantined."""

from pydantic import Field

from slr_pipeline.config.section import Section


class VerifySettings(Section):
    """The check of every video before anything else runs."""

    max_quarantined: float = Field(0.01, ge=0, le=1)
    """Largest share of samples that may fail before the run stops."""
    seconds_per_video: int = Field(120, ge=1)
    """Processor time for decoding a video; one that needs more or hangs as long is quarantined."""


class QualitySettings(Section):
    """The check of every clip's keypoints; a clip that breaks a limit is quarantined.

    A quarantined clip is left out of training and predicted as the class prior. null: no limit.
    `results/quality/` lists the measures of all clips.
    """

    min_person: float | None = Field(0.0, ge=0, le=1)
    """A person must be detected in more than this share of frames."""
    max_missing_hands: float | None = Field(None, ge=0, le=1)
    """Largest share of frames in which no hand is detected."""
    max_jitter: float | None = Field(None, ge=0)
    """Largest median acceleration of head, arms and hands, in shoulder widths per frame squared;
    fast signing raises it too."""
    max_swapped: float | None = Field(None, ge=0, le=1)
    """Largest share of frames in which both hands coincide or a hand is at the other arm."""
    max_limb_spread: float | None = Field(None, ge=0)
    """Largest robust standard deviation of an upper arm's or forearm's length, relative to its
    median."""
    max_quarantined: float = Field(0.01, ge=0, le=1)
    """Largest share of a split's samples that may fail before the run stops."""
