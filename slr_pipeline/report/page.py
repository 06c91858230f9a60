"""The report page of a run."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from slr_pipeline.errors import DataError
from slr_pipeline.io.video import sha256_of
from slr_pipeline.report import figures, tables
from slr_pipeline.report.figures import PageImage
from slr_pipeline.report.finished_run import FinishedRun
from slr_pipeline.report.page_images import Pair, Sheet, confused_pairs, sample_sheet
from slr_pipeline.report.summary import summary
from slr_pipeline.report.tables import Table, pairs_table
from slr_pipeline.samples.shards import labels_digest
from slr_pipeline.schema import DEPTH_FEATURES

PACKAGES = ("slr_pipeline", "snakemake", "torch", "numpy", "opencv-contrib-python-headless", "av")

NO_VIDEOS = "All streams have imported logits, so no video was read."
NO_LABELS = "Val and test have no labels, so the accuracy is unknown."


@dataclass(frozen=True)
class Section:
    """A section of the page; `missing` says what it cannot show, and why."""

    key: str
    title: str
    about: str = ""
    missing: Sequence[str] = ()
    tables: Sequence[Table | None] = ()
    figures: Sequence[PageImage | None] = ()
    sheet: Sheet | None = None
    pairs: Sequence[Pair] = ()
    text: str = ""


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
    sections = [
        _data(run),
        _quarantine(run),
        _features(run, shard, features),
        _training(run),
        _accuracy(run),
        _confusion(run),
        _groups(run),
        _calibration(run),
        _ensemble(run),
        _answers(run),
        _provenance(run),
    ]
    content: str = environment.get_template("page.html.j2").render(
        name=run.config.name, summary=summary(run), sections=sections
    )
    return content


# --- sections ------------------------------------------------------------------------------------


def _data(run: FinishedRun) -> Section:
    signers = tables.signers_table(run)
    missing = [] if run.verified else [NO_VIDEOS]
    missing += [] if signers else ["The sample table has no signers."]
    return Section(
        "data",
        "Data",
        "Contents of the sample table, and facts about the decoded videos.",
        missing,
        [
            tables.splits_table(run),
            tables.hands_table(run) if run.quality else None,
            tables.classes_table(run),
            signers,
        ],
        [figures.classes_figure(run), figures.length_figure(run), figures.hands_figure(run)],
    )


def _quarantine(run: FinishedRun) -> Section:
    excluded = tables.quarantine_table(run)
    nothing = "No clip was excluded." if run.verified else NO_VIDEOS
    about = (
        "Clips whose videos or keypoints failed a check. They are excluded from training; the "
        "submission still answers them."
    )
    return Section("quarantine", "Quarantine", about, [] if excluded else [nothing], [excluded])


def _features(run: FinishedRun, shard: Sequence[str], features: Sequence[str]) -> Section:
    about = (
        "One sample, chosen by the seed, as the streams see it. Blue is the signer's left side, "
        "orange the right."
    )
    if not run.verified:
        return Section("features", "Features", about, [NO_VIDEOS])
    missing = []
    if not run.config.keep_features:
        missing.append("Image features were deleted after use (keep_features: false).")
    if not set(features) & set(DEPTH_FEATURES):
        missing.append("No depth features: no stream reads them, or they were deleted.")
    sheet = None
    try:
        sheet = sample_sheet(run, shard, features)
        if sheet is None:
            missing.append("All samples of the shard are excluded.")
    except DataError as error:  # a video may have moved since
        missing.append(f"No images: {error}")
    return Section("features", "Features", about, missing, sheet=sheet)


def _training(run: FinishedRun) -> Section:
    shown = {stream.title: figures.training_figure(stream) for stream in run.streams}
    about = "Accuracy and loss by epoch; a loss of wide range has a logarithmic axis."
    missing = [
        f"Stream {name} has imported logits, so it has no training history."
        for name, figure in shown.items()
        if not figure
    ]
    return Section("training", "Training", about, missing, figures=list(shown.values()))


def _accuracy(run: FinishedRun) -> Section:
    accuracy = tables.accuracy_table(run)
    missing = [NO_LABELS] if accuracy is None else _unlabelled(run)
    against = tables.baseline_table(run)
    missing += [] if against else ["No baseline is configured."]
    about = (
        "The interval by clips (Wilson) assumes independent clips, but clips of one signer are not "
        "independent; the interval by signers resamples whole signers. Training and fusion are "
        "tuned on val (epochs, learning rate, temperatures, weights), so only test is unbiased."
    )
    drawn = [figures.accuracy_figure(run)]
    return Section("accuracy", "Accuracy", about, missing, [accuracy, against], drawn)


def _unlabelled(run: FinishedRun) -> list[str]:
    return [
        f"Split {split}: no labels, or no logits of any stream or track."
        for split in ("val", "test")
        if not any(scored.metrics.get(split) for scored in (*run.tracks, *run.streams))
    ]


def _confusion(run: FinishedRun) -> Section:
    confusions = tables.confusion_table(run)
    judged = any(scored.main_metrics() for scored in (*run.tracks, *run.streams))
    missing = [] if confusions else ["No sign was mistaken for another." if judged else NO_LABELS]
    pairs: list[Pair] = []
    if confusions and run.verified:
        try:
            pairs = confused_pairs(run)
        except DataError as error:
            missing.append(f"No images: {error}")
    about = "The most frequent errors of each track and each single stream."
    if run.most_erring is not None:
        about += f" The images show errors of {run.most_erring.label}, with clips of train."
    return Section("confusion", "Confused signs", about, missing, [confusions], pairs=pairs)


def _groups(run: FinishedRun) -> Section:
    signers, signs = tables.per_signer_table(run), tables.signs_table(run)
    judged = any(track.main_split() for track in run.tracks)
    missing = [] if signers else ["No signer is known." if judged else NO_LABELS]
    missing += [] if signs else ["Test has no labels, so its accuracy by sign is unknown."]
    return Section("groups", "Signers and signs", "", missing, [signers, signs])


def _calibration(run: FinishedRun) -> Section:
    shown = [figures.reliability_figure(scored) for scored in (*run.tracks, *run.streams)]
    about = (
        "Accuracy by confidence: on the dashed line both are equal. Larger dots hold more clips. "
        "The temperature of a stream is fitted on val."
    )
    missing = [] if any(shown) else [NO_LABELS]
    return Section("calibration", "Calibration", about, missing, figures=shown)


def _ensemble(run: FinishedRun) -> Section:
    notes = []
    for track in run.tracks:
        fitted = track.metrics["fitted_on"]
        notes.append(
            f"Track {track.name}: fusion {track.metrics['fusion']}, "
            + (f"fitted on {fitted}." if fitted else "with configured weights.")
        )
        held_out = track.metrics["val_left_out"]
        if held_out is not None:
            notes.append(
                f"Track {track.name} on the {held_out['samples']} clips of val: "
                f"{tables.percentage(held_out['in_sample'])} with weights fitted to them, "
                f"{tables.percentage(held_out['held_out'])} with weights fitted to other signers."
            )
    weights = [tables.weights_table(track) for track in run.tracks]
    return Section("ensemble", "Ensemble", " ".join(notes), (), weights)


def _answers(run: FinishedRun) -> Section:
    about = (
        "If a stream cannot use a clip, the other streams answer it. If none can, the answer is "
        "the most frequent sign of train."
    )
    return Section("answers", "Answered clips", about, (), [tables.answers_table(run)])


def _provenance(run: FinishedRun) -> Section:
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    costs = tables.costs_table(run)
    return Section(
        "provenance",
        "Provenance",
        f"Protocol {run.config.protocol}, seed {run.config.seed}. The configuration is below.",
        [] if costs else ["No benchmark files, so time and memory are unknown."],
        [
            costs,
            pairs_table(
                "Versions",
                ("package", "version"),
                {"Python": platform.python_version(), **versions},
            ),
            pairs_table("Hashes", ("item", "hash"), _hashes(run)),
        ],
        text=yaml.safe_dump(run.config.model_dump(), sort_keys=False, allow_unicode=True),
    )


def _hashes(run: FinishedRun) -> dict[str, str]:
    """SHA-256 of inputs, models and submissions."""
    hashes = {"labels": labels_digest(run.table, ("train", "val", "test"))}
    if run.verified:
        sums = sorted(f"{row.sample} {row.color_sha256} {row.depth_sha256}" for row in run.verified)
        hashes["all videos"] = hashlib.sha256("\n".join(sums).encode()).hexdigest()
    for stream in run.streams:
        model = run.results / "streams" / stream.name / stream.phase / "model.safetensors"
        if stream.phase != "imported":
            hashes[f"model of {stream.title}"] = sha256_of(model)
    for track in run.tracks:
        path = run.results / "tracks" / track.name / "submission.csv"
        hashes[f"submission of {track.name}"] = sha256_of(path)
    return hashes
