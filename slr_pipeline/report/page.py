"""The page of a run: its sections, and the words that come first."""

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
from slr_pipeline.samples.table import labels_digest
from slr_pipeline.schema import DEPTH_FEATURES

PACKAGES = ("slr_pipeline", "snakemake", "torch", "numpy", "opencv-contrib-python-headless", "av")

NO_VIDEOS = (
    "No stream was trained here: every stream is of logits made elsewhere, so no video was read."
)
NO_LABELS = "There are no labels of val or test, so nothing is known about right answers."


@dataclass(frozen=True)
class Section:
    """A part of the page; `missing` are lines about what it cannot show."""

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
    """The page as HTML that needs no other file.

    `shard` are the names of the samples of which one is shown, with those of `features` that the
    folder of results has. The same run gives the same text.
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
    missing += [] if signers else ["The sample table names no signers."]
    return Section(
        "data",
        "Data",
        "What the sample table says, and what the videos turned out to be.",
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
    found = tables.quarantine_table(run)
    nothing = "No clip was left out." if run.verified else NO_VIDEOS
    about = (
        "Clips whose videos or keypoints failed the checks. They are left out of training, and "
        "answered all the same."
    )
    return Section("quarantine", "Quarantine", about, [] if found else [nothing], [found])


def _features(run: FinishedRun, shard: Sequence[str], features: Sequence[str]) -> Section:
    about = (
        "One sample, picked by the seed, as the streams see it. Blue is the signer's left, orange "
        "the right."
    )
    if not run.verified:
        return Section("features", "Features", about, [NO_VIDEOS])
    missing = []
    if not run.config.keep_features:
        missing.append("Features of pictures were deleted once they were read (keep_features).")
    if not set(features) & set(DEPTH_FEATURES):
        missing.append("No feature made from depth: no stream reads one, or they were deleted.")
    sheet = None
    try:
        sheet = sample_sheet(run, shard, features)
        if sheet is None:
            missing.append("Every sample of the shard that would be shown is left out.")
    except DataError as error:  # a video may have been moved since it was read
        missing.append(f"No pictures: {error}")
    return Section("features", "Features", about, missing, sheet=sheet)


def _training(run: FinishedRun) -> Section:
    shown = {stream.title: figures.training_figure(stream) for stream in run.streams}
    about = "Accuracy and loss by epoch; a loss that falls far is on a logarithmic scale."
    missing = [f"Stream {name} was not trained here." for name, found in shown.items() if not found]
    return Section("training", "Training", about, missing, figures=list(shown.values()))


def _accuracy(run: FinishedRun) -> Section:
    found = tables.accuracy_table(run)
    missing = [NO_LABELS] if found is None else _unlabelled(run)
    against = tables.baseline_table(run)
    missing += [] if against else ["No baseline was named to compare with."]
    about = (
        "The interval by clips (Wilson) takes clips for independent, which those of one signer are "
        "not; the one by signers draws whole signers. Val picked the epochs and, where a track has "
        "fitted weights, these too, so test is what counts."
    )
    drawn = [figures.accuracy_figure(run)]
    return Section("accuracy", "Accuracy", about, missing, [found, against], drawn)


def _unlabelled(run: FinishedRun) -> list[str]:
    return [
        f"Split {split}: no labels, or no logits of any stream or track."
        for split in ("val", "test")
        if not any(scored.metrics.get(split) for scored in (*run.tracks, *run.streams))
    ]


def _confusion(run: FinishedRun) -> Section:
    found = tables.confusion_table(run)
    judged = any(scored.main_metrics() for scored in (*run.tracks, *run.streams))
    missing = [] if found else ["No sign was taken for another." if judged else NO_LABELS]
    pairs: list[Pair] = []
    if found and run.verified:
        try:
            pairs = confused_pairs(run)
        except DataError as error:
            missing.append(f"No pictures: {error}")
    about = "The most frequent errors of tracks and of streams alone."
    if run.most_erring is not None:
        about += f" The pictures show those of {run.most_erring.label}, in clips of train."
    return Section("confusion", "Confused signs", about, missing, [found], pairs=pairs)


def _groups(run: FinishedRun) -> Section:
    signers, signs = tables.per_signer_table(run), tables.signs_table(run)
    judged = any(track.main_split() for track in run.tracks)
    missing = [] if signers else ["No signer is known." if judged else NO_LABELS]
    missing += [] if signs else ["Test has no labels, so nothing is known about its signs."]
    return Section("groups", "Signers and signs", "", missing, [signers, signs])


def _calibration(run: FinishedRun) -> Section:
    shown = [figures.reliability_figure(scored) for scored in (*run.tracks, *run.streams)]
    about = (
        "How often answers are right by the confidence that is stated: on the dashed line it is "
        "the confidence itself. Larger dots are more clips. The temperature of a stream is fitted "
        "on val."
    )
    missing = [] if any(shown) else [NO_LABELS]
    return Section("calibration", "Calibration", about, missing, figures=shown)


def _ensemble(run: FinishedRun) -> Section:
    notes = []
    for track in run.tracks:
        fitted = track.metrics["fitted_on"]
        notes.append(
            f"Track {track.name}: fusion {track.metrics['fusion']}, "
            + (f"fitted on {fitted}." if fitted else "with the weights of the config.")
        )
        held_out = track.metrics["val_left_out"]
        if held_out is not None:
            notes.append(
                f"Track {track.name} on the {held_out['samples']} clips of val: "
                f"{tables.percentage(held_out['in_sample'])} with the weights fitted to them, "
                f"{tables.percentage(held_out['held_out'])} with weights fitted to other signers."
            )
    found = [tables.weights_table(track) for track in run.tracks]
    return Section("ensemble", "Ensemble", " ".join(notes), (), found)


def _answers(run: FinishedRun) -> Section:
    about = (
        "A clip that a stream could not see is answered by the others; one that none could see, "
        "by how often each sign is in train."
    )
    return Section("answers", "How rows were answered", about, (), [tables.answers_table(run)])


def _provenance(run: FinishedRun) -> Section:
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    costs = tables.costs_table(run)
    return Section(
        "provenance",
        "Provenance",
        f"Protocol {run.config.protocol}, seed {run.config.seed}. The configuration is below.",
        [] if costs else ["No benchmark files: what the rules took is not known."],
        [
            costs,
            pairs_table(
                "Versions",
                ["package", "version"],
                {"Python": platform.python_version(), **versions},
            ),
            pairs_table("Hashes", ["what", "hash"], _hashes(run)),
        ],
        text=yaml.safe_dump(run.config.model_dump(), sort_keys=False, allow_unicode=True),
    )


def _hashes(run: FinishedRun) -> dict[str, str]:
    """SHA-256 of what went in and came out."""
    found = {"labels": labels_digest(run.table, ("train", "val", "test"))}
    if run.verified:
        sums = sorted(f"{row.sample} {row.color_sha256} {row.depth_sha256}" for row in run.verified)
        found["all videos"] = hashlib.sha256("\n".join(sums).encode()).hexdigest()
    for stream in run.streams:
        model = run.results / "streams" / stream.name / stream.phase / "model.safetensors"
        if stream.phase != "imported":
            found[f"model of {stream.title}"] = sha256_of(model)
    for track in run.tracks:
        path = run.results / "tracks" / track.name / "submission.csv"
        found[f"submission of {track.name}"] = sha256_of(path)
    return found
