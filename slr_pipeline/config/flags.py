"""The flags of a step: each setting is one section of the configuration, as JSON."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from slr_pipeline.config.estimators import KeypointsSettings
from slr_pipeline.config.experiment import AutslData, DataSettings, TableData, check_stream
from slr_pipeline.config.section import Section, parse, parse_json
from slr_pipeline.config.streams import TrainedStream

SectionT = TypeVar("SectionT", bound=Section)


def parse_section(section: type[SectionT], text: str) -> SectionT:
    """A section from a step's JSON flag."""
    parsed: SectionT = parse(section, parse_json(text), section.__name__)
    return parsed


def parse_data(text: str) -> AutslData | TableData:
    """The section `data` from a step's JSON flag."""
    data: AutslData | TableData = parse(DataSettings, parse_json(text), "data")
    return data


def parse_keypoints(text: str) -> KeypointsSettings:
    """The section `features: keypoints:` from a step's JSON flag."""
    settings: KeypointsSettings = parse(KeypointsSettings, parse_json(text), "keypoints")
    return settings


def parse_stream(text: str) -> TrainedStream:
    """The section of a stream with a model from a step's JSON flag."""
    return check_stream(parse_json(text))


def feature_flags(
    about: str | None, settings: type[Section], features: Sequence[str] = ()
) -> argparse.Namespace:
    """Parse the flags of a step that computes a feature of a shard from keypoints and videos.

    Args:
        about: description for `--help`.
        settings: section class of the feature.
        features: choices of `--feature` where one step computes several features.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--settings", required=True, type=partial(parse_section, settings))
    if features:
        parser.add_argument("--feature", required=True, choices=features)
    parser.add_argument("--verified", required=True)
    parser.add_argument("--keypoints", required=True)
    parser.add_argument("--out", required=True)
    return parser.parse_args()
