"""The report page of a run. Its text is in page.html.j2."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress

import cv2
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from slr_pipeline.errors import DataError
from slr_pipeline.io.video import sha256_of
from slr_pipeline.report import data_tables, figures, result_tables, tables
from slr_pipeline.report.finished_run import FinishedRun
from slr_pipeline.report.page_images import (
    Pair,
    Sheet,
    confused_pairs,
    duplicate_pairs,
    sample_sheet,
)
from slr_pipeline.report.summary import summary
from slr_pipeline.samples.duplicates import duplicate_warnings
from slr_pipeline.samples.shards import labels_digest
from slr_pipeline.samples.table import signer_warnings
from slr_pipeline.schema import DEPTH_FEATURES

PACKAGES = ("slr_pipeline", "snakemake", "torch", "numpy", "av")


def render_page(run: FinishedRun, shard: Sequence[str], features: Sequence[str]) -> str:
    """Render the page as self-contained HTML.

    `shard` are sample names; one of them is shown with those of `features` that the results have.
    The same run gives the same text.
    """
    environment = Environment(
        loader=PackageLoader("slr_pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sheet: Sheet | None = None
    pairs: list[Pair] = []
    copies: list[Pair] = []
    no_sheet = no_pairs = no_copies = ""
    if run.verified:
        try:
            sheet = sample_sheet(run, shard, features)
        except DataError as error:  # a video may have moved since
            no_sheet = str(error)
        try:
            pairs = confused_pairs(run)
        except DataError as error:
            no_pairs = str(error)
        try:
            copies = duplicate_pairs(run)
        except DataError as error:
            no_copies = str(error)
    spelling = [f"{warning[0].upper()}{warning[1:]}." for warning in run.table.warnings]
    content: str = environment.get_template("page.html.j2").render(
        run=run,
        models=(*run.tracks, *run.streams),
        warnings=[
            *duplicate_warnings(run.duplicates, excluded=run.config.data.duplicates == "exclude"),
            *signer_warnings(run.table),
            *spelling,
        ],
        summary=summary(run),
        figures=figures,
        tables=tables,
        data_tables=data_tables,
        result_tables=result_tables,
        sheet=sheet,
        no_sheet=no_sheet,
        shows_depth=not set(features).isdisjoint(DEPTH_FEATURES),
        pairs=pairs,
        no_pairs=no_pairs,
        copies=copies,
        no_copies=no_copies,
        versions={
            "Python": platform.python_version(),
            **versions(PACKAGES),
            "OpenCV": cv2.__version__,
        },
        hashes=_hashes(run),
        config=yaml.safe_dump(run.config.model_dump(), sort_keys=False, allow_unicode=True),
    )
    return content


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of the packages that are installed: a conda environment has no Snakemake."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _hashes(run: FinishedRun) -> dict[str, str]:
    """SHA-256 of inputs, models and submissions."""
    hashes = {"labels": labels_digest(run.table, ("train", "val", "test"))}
    if run.verified:
        sums = sorted(
            f"{row.sample} {row.source('color')} {row.source('depth')}" for row in run.verified
        )
        hashes["all videos"] = hashlib.sha256("\n".join(sums).encode()).hexdigest()
    for stream in run.streams:
        if stream.phase == "imported":
            continue
        for number, folder in enumerate(run.config.trainings(stream.name, stream.phase), start=1):
            seed = "" if number == 1 else f", seed {number}"
            path = run.results / folder / "model.safetensors"
            hashes[f"model of {stream.title}{seed}"] = sha256_of(path)
    for track in run.tracks:
        path = run.results / "tracks" / track.name / "submission.csv"
        hashes[f"submission of {track.name}"] = sha256_of(path)
    return hashes
