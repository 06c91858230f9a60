"""The flags of a step: each setting is one section of the configuration, as JSON."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from slr_pipeline.config.estimators import KeypointsSettings
from slr_pipeline.config.experiment import AutslData, DataSettings, TableData, check_stream
from slr_pipeline.config.section import Section, checked, json_of
from slr_pipeline.config.streams import TrainedStream

SectionT = TypeVar("SectionT", bound=Section)


def parse_section(section: type[SectionT], text: str) -> SectionT:
    """A section from the JSON flag of a step."""
    parsed: SectionT = checked(section, json_of(text), section.__name__)
    return parsed


def parse_data(text: str) -> AutslData | TableData:
    """The section `data` from the JSON flag of a step."""
    data: AutslData | TableData = checked(DataSettings, json_of(text), "data")
    return data


def parse_keypoints(text: str) -> KeypointsSettings:
    """The section `features: keypoints:` from the JSON flag of a step."""
    settings: KeypointsSettings = checked(KeypointsSettings, json_of(text), "keypoints")
    return settings


def parse_stream(text: str) -> TrainedStream:
    """A stream with a model from the JSON flag of a step."""
    return check_stream(json_of(text))


def feature_flags(
    about: str | None, settings: type[Section], features: Sequence[str] = ()
) -> argparse.Namespace:
    """The flags of a step that makes a feature of a shard from its keypoints and videos.

    `settings` is the section of the feature; `features` are the names of twins, if it has any.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--settings", required=True, type=partial(parse_section, settings))
    if features:
        parser.add_argument("--feature", required=True, choices=features)
    parser.add_argument("--verified", required=True)
    parser.add_argument("--keypoints", required=True)
    parser.add_argument("--out", required=True)
    return parser.parse_args()
