"""Samples and answers of a run as tiers of ELAN: an `.eaf` file per recording."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slr_pipeline.errors import INSTALL_FORMATS, ConfigError, DataError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.documents import read_run_config
from slr_pipeline.io.messages import listed
from slr_pipeline.io.predictions import read_answers
from slr_pipeline.io.verified import Verified, read_all_verified
from slr_pipeline.samples.clip_folder import sample_names
from slr_pipeline.samples.segments import Segment
from slr_pipeline.samples.table import Sample, load_samples

_MIME = {".mp4": "video/mp4", ".mpg": "video/mpeg", ".mpeg": "video/mpeg"}


def export_elan(results: Path, out: Path, samples: Sequence[str] | None = None) -> tuple[int, int]:
    """Write `out/{video}.eaf` with a tier of the signs and one per track of the answers.

    Tiers have the signer as participant, `sign@anna`, `rgb@anna`. Annotations of a tier do not
    overlap in ELAN: those that do are on more tiers, `sign@anna 2`. Returns the numbers of files
    and of samples. DataError for unknown samples and before `verify` has run, ConfigError without
    pympi-ling.
    """
    rows = {row.sample: row for row in read_all_verified(results) if not row.reason}
    config = read_run_config(results)
    table = load_samples(config.data)
    unknown = sorted(set(samples or ()) - set(rows))
    if unknown or not rows:
        raise DataError(
            f"{results}: no verified {listed(unknown) if unknown else 'samples'}; check the names, "
            "or run `snakemake` first"
        )
    answers: dict[str, Mapping[str, str]] = {}
    for track in config.tracks:
        path = results / "tracks" / track / "predictions.csv"
        if path.is_file():
            read = read_answers(path)
            texts = read["answer"].where(read["accepted"], "unsure: " + read["answer"])
            answers[track] = dict(zip(read["sample"], texts, strict=True))
    chosen = [s for s in table.samples if s.name in rows and (samples is None or s.name in samples)]
    by_video: dict[str, list[Sample]] = {}
    for sample in chosen:
        by_video.setdefault(rows[sample.name].color, []).append(sample)
    for video, name in zip(by_video, sample_names([*by_video]), strict=True):
        tiers = _tiers(by_video[video], rows, table.classes, answers)
        _write(out / f"{name}.eaf", Path(video), tiers)
    return len(by_video), len(chosen)


Tiers = dict[tuple[str, str], list[tuple[int, int, str]]]
"""Start and end in ms, and text, of the annotations of a name and signer."""


def _tiers(
    samples: Sequence[Sample],
    rows: Mapping[str, Verified],
    classes: Sequence[str],
    answers: Mapping[str, Mapping[str, str]],
) -> Tiers:
    tiers: Tiers = {}
    for sample in samples:
        row = rows[sample.name]
        segment = row.segment or Segment()
        start, end = segment.start_ms, segment.end_ms
        if math.isinf(end):
            end = start + 1000 * row.frames / (row.fps or 1)
        texts = {track: of_track.get(sample.name, "") for track, of_track in answers.items()}
        texts["sign"] = "" if sample.label is None else classes[sample.label]
        for name, text in sorted(texts.items()):
            if text:
                tiers.setdefault((name, sample.signer or ""), []).append((start, round(end), text))
    return tiers


def _without_overlap(annotations: list[tuple[int, int, str]]) -> list[list[tuple[int, int, str]]]:
    """The annotations in as few lists without overlaps as possible; each lasts 1 ms or longer."""
    lists: list[list[tuple[int, int, str]]] = []
    for start, end, text in sorted(annotations):
        fitting = next((own for own in lists if own[-1][1] <= start), None)
        if fitting is None:
            lists.append(fitting := [])
        fitting.append((start, max(end, start + 1), text))
    return lists


def _write(path: Path, video: Path, tiers: Tiers) -> None:
    try:
        from pympi.Elan import Eaf  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise ConfigError(f"--elan: needs pympi-ling; install it: {INSTALL_FORMATS}") from error
    document: Any = Eaf(author="slr_pipeline")
    document.adocument["DATE"] = "1970-01-01T00:00:00+00:00"  # the same run, the same bytes
    relative = Path(os.path.relpath(video, path.parent)).as_posix()
    mime = _MIME.get(video.suffix.lower(), "video/*")
    document.add_linked_file(video.absolute().as_uri(), f"./{relative}", mime)
    document.remove_tier("default")
    for (name, signer), annotations in sorted(tiers.items()):
        for number, apart in enumerate(_without_overlap(annotations), start=1):
            tier = f"{name}@{signer}" if signer else name
            tier = f"{tier} {number}" if number > 1 else tier
            document.add_tier(tier, part=signer or None)
            for start, end, text in apart:
                document.add_annotation(tier, start, end, text)
    with atomic_write(path) as partial:
        document.to_file(str(partial))
