"""One table of the accuracy of all streams and tracks, and one of the classes."""

from collections import Counter
from typing import Any

from slr_pipeline.config.experiment import SPLITS, DataSettings
from slr_pipeline.io.documents import read_metrics
from slr_pipeline.io.tables import write_table
from slr_pipeline.samples.table import load_samples

COLUMNS = (
    *("kind", "name", "phase", "split", "protocol", "samples", "correct"),
    *("top1", "top1_low", "top1_high", "signers_low", "signers_high"),
    *("top5", "macro_recall", "loss", "calibration_error", "chance"),
)


def overview(
    data: DataSettings, models: list[str], metrics: list[str], classes: str, out: str
) -> None:
    """Write a row per model and labelled split, and a row per class.

    `models` are folders below the results, such as `tracks/rgb` and `streams/joint/train`, and
    `metrics` the metrics.json of each.
    """
    table = load_samples(data)
    rows = [
        row
        for model, path in zip(models, metrics, strict=True)
        for row in metrics_rows(model, read_metrics(path))
    ]
    write_table(out, rows, COLUMNS)
    counts = {split: Counter(sample.label for sample in table.split(split)) for split in SPLITS}
    write_table(
        classes,
        [
            {"label": label, "gloss": gloss} | {split: counts[split][label] for split in SPLITS}
            for label, gloss in enumerate(table.classes)
        ],
        ["label", "gloss", *SPLITS],
    )


def metrics_rows(model: str, metrics: dict[str, Any]) -> list[dict[str, object]]:
    """A row per labelled split of a model."""
    folder, name, *phase = model.split("/")
    rows = []
    for split in ("test", "val"):
        if (own := metrics.get(split)) is None:
            continue
        signers = own["bootstrap_signers"] or {}
        row = {
            "kind": folder.removesuffix("s"),
            "name": name,
            "phase": "".join(phase) or None,
            "split": split,
            "protocol": metrics["protocol"],
            "signers_low": signers.get("low"),
            "signers_high": signers.get("high"),
            "calibration_error": own["calibration"]["ece"],
        }
        rows.append(row | {key: own[key] for key in COLUMNS if key in own})
    return rows
