"""The figures of a report: SVG by matplotlib in the text colour of the page, reproducible."""

import io
import math
import warnings
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.report.finished_run import FinishedRun, Scored

COLOURS = {"train": "#3f86d0", "val": "#d98324", "test": "#2f9e6e"}
BEFORE, AFTER = "#d98324", "#3f86d0"

MANY_TIMES = 30
"""Losses of a larger ratio get a logarithmic axis."""

OUTLYING_TIMES = 5
"""Losses above this multiple of their upper quartile, as in a first epoch, are cut off."""

INK = "#010203"
"""Placeholder for the text colour, which depends on the reader's light or dark scheme."""

STYLE = """<style>
svg { color: #1b1f24 }
@media (prefers-color-scheme: dark) { svg { color: #e6e9ed } }
</style>"""

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "slr_pipeline",
    "svg.fonttype": "none",
    "text.parse_math": False,  # names may contain dollar signs
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class PageImage:
    """An image of the page: its `data:` URI, alternative text, and size in px."""

    source: str
    alt: str
    width: int
    height: int


def data_uri(kind: str, content: bytes) -> str:
    """The content as a data URI; `kind` is a media type such as image/jpeg."""
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _drawn(
    alt: str, width: float, height: float, draw: Callable[[list[Axes]], None], rows: int = 1
) -> PageImage:
    """Draw on `rows` stacked axes and save as SVG; sizes in inches."""
    with mpl.rc_context(), warnings.catch_warnings():
        # The text stays text in the SVG: the fonts of the reader count.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        mpl.rcdefaults()  # not the matplotlibrc of the working folder
        mpl.rcParams.update(SETTINGS)
        figure = Figure((width, height), layout="constrained")
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0].tolist()
        draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue().replace(INK, "currentColor").replace("<defs>", f"{STYLE}<defs>", 1)
    px = round(width * 96), round(height * 96)
    return PageImage(data_uri("image/svg+xml", svg.encode()), alt, *px)


# --- data ----------------------------------------------------------------------------------------


def length_figure(run: FinishedRun) -> PageImage | None:
    """Histogram of clip lengths by split; None if no video was read."""
    clips = run.samples[run.samples["frames"] > 0]
    if clips.empty:
        return None

    def draw(axes: list[Axes]) -> None:
        low, high = int(clips["frames"].min()), int(clips["frames"].max())
        step = math.ceil((high - low + 1) / 20)
        frames = {split: clips.loc[clips["split"] == split, "frames"].tolist() for split in SPLITS}
        _stacked(axes[0], frames, [n - 0.5 for n in range(low, high + 2 * step, step)])
        axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].set(title="Length of the clips", xlabel="frames", ylabel="clips")

    return _drawn("Histogram of the frames of each clip, by split", 3.8, 2.8, draw)


def hands_figure(run: FinishedRun) -> PageImage | None:
    """Histogram of the share of frames without hands, by clip; None without keypoints."""
    shares = {
        split: table["missing_hands"].dropna().tolist() for split, table in run.quality.items()
    }
    if not any(shares.values()):
        return None

    def draw(axes: list[Axes]) -> None:
        _stacked(axes[0], shares, [step / 20 for step in range(21)])
        axes[0].set(title="Missing hands", xlabel="share of frames without hands", ylabel="clips")
        axes[0].xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))

    alt = "Histogram of the share of frames without detected hands in each clip, by split"
    return _drawn(alt, 3.8, 2.8, draw)


def classes_figure(run: FinishedRun) -> PageImage:
    """Clips per sign by split, most frequent sign first."""
    counts = {
        split: Counter(s.label for s in run.table.split(split) if s.label is not None)
        for split in SPLITS
    }
    signs = range(len(run.table.classes))

    def draw(axes: list[Axes]) -> None:
        for split, clips in counts.items():
            ranked = sorted((clips[k] for k in signs), reverse=True)
            places = range(1, len(ranked) + 1)
            axes[0].step(places, ranked, where="mid", color=COLOURS[split], label=split)
        axes[0].set(title="Clips per sign", xlabel="signs, most frequent first", ylabel="clips")
        axes[0].set_ylim(0, 1.15 * max(max(clips.values(), default=1) for clips in counts.values()))
        for axis in (axes[0].xaxis, axes[0].yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        _legend_below(axes[0])

    return _drawn("Clips per sign by split, most frequent sign first", 3.8, 2.8, draw)


def _stacked(axes: Axes, values: dict[Any, list[Any]], bins: Any) -> None:
    shown = {split: numbers for split, numbers in values.items() if numbers}
    axes.hist(
        list(shown.values()),
        bins=bins,
        stacked=True,
        color=[COLOURS[split] for split in shown],
        label=list(shown),
    )
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    axes.figure.legend(loc="outside lower center", ncols=3)


# --- results -------------------------------------------------------------------------------------


def training_figures(run: FinishedRun) -> list[PageImage | None]:
    """Loss and accuracy of each stream by epoch."""
    return [_training_figure(stream) for stream in run.streams]


def _training_figure(stream: Scored) -> PageImage | None:
    """Loss and accuracy on train and val by epoch; None for an imported stream."""
    if not stream.histories:
        return None

    def draw(axes: list[Axes]) -> None:
        for place, measure in zip(axes, ("accuracy", "loss"), strict=True):
            for number, history in enumerate(stream.histories):
                epochs = [row["epoch"] for row in history]
                for split in ("train", "val"):
                    values = [row.get(f"{split}_{measure}", math.nan) for row in history]
                    if not all(map(math.isnan, values)):
                        marker, label = "o" if len(values) == 1 else "", "" if number else split
                        place.plot(epochs, values, marker, color=COLOURS[split], label=label)
            place.set_ylabel(measure)
        axes[0].set_title(stream.title)
        axes[0].set_ylim(-0.03, 1.03)
        axes[0].yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        _scale_losses(
            axes[1],
            [
                row[key]
                for history in stream.histories
                for row in history
                for key in row
                if key.endswith("_loss")
            ],
        )
        axes[1].set_xlabel("epoch")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].legend()

    seeds = f", of {len(stream.histories)} seeds" if len(stream.histories) > 1 else ""
    alt = f"Accuracy and loss of stream {stream.title} on train and val, by epoch{seeds}"
    return _drawn(alt, 3.4, 3.6, draw, rows=2)


def _scale_losses(axes: Axes, losses: list[float]) -> None:
    """Cut off losses that would hide the others, and choose a linear or logarithmic axis."""
    positive = [loss for loss in losses if 0 < loss < math.inf]
    if not positive:
        return
    top = OUTLYING_TIMES * float(np.quantile(positive, 0.75))
    shown = [loss for loss in positive if loss <= top]
    if max(shown) > MANY_TIMES * min(shown):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if len(shown) < len(positive):
        axes.set_ylim(min(shown) / 1.1, max(shown) * 1.1)
        note = f"cut off: up to {max(positive):,.0f}"
        axes.text(0.98, 0.95, note, ha="right", va="top", transform=axes.transAxes)


def accuracy_figure(run: FinishedRun) -> PageImage | None:
    """Accuracy of each track and stream with its interval, and chance; None without labels."""
    shown = [scored for scored in (*run.tracks, *run.streams) if scored.main_split()]
    if not shown:
        return None
    names = [scored.label for scored in reversed(shown)]

    def draw(axes: list[Axes]) -> None:
        chance = 0.0
        for row, scored in enumerate(reversed(shown)):
            for split, above in (("val", -0.16), ("test", 0.16)):
                metrics = scored.metrics_of("test" if split == "test" else "val")
                if metrics is None:
                    continue
                top1, colour = metrics["top1"], COLOURS[split]
                low, high = top1 - metrics["top1_low"], metrics["top1_high"] - top1
                errors = [[max(low, 0)], [max(high, 0)]]
                axes[0].errorbar([top1], [row + above], xerr=errors, fmt="o", ms=4, color=colour)
                chance = metrics["chance"]
        axes[0].axvline(chance, ls="--", color=INK, alpha=0.6)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylim(-0.6, len(names) - 0.4)
        axes[0].set_xlim(-0.01, 1.02)
        axes[0].xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes[0].set_title("Accuracy with 95 % intervals")
        axes[0].grid(visible=False, axis="y")
        for split in ("test", "val"):
            axes[0].plot([], [], "o", color=COLOURS[split], label=split)
        axes[0].plot([], [], "--", color=INK, alpha=0.6, label="chance")
        _legend_below(axes[0])

    alt = "Accuracy of each track and stream on test and val, with 95 % interval, and chance"
    return _drawn(alt, 4.4, 1.2 + 0.34 * len(shown), draw)


def reliability_figures(run: FinishedRun) -> list[PageImage | None]:
    """Reliability diagrams of each track and stream."""
    return [_reliability_figure(scored) for scored in (*run.tracks, *run.streams)]


def _reliability_figure(scored: Scored) -> PageImage | None:
    """Reliability diagram, for a stream also at its temperature; None without labels."""
    metrics, title = scored.main_metrics(), f"{scored.label}, {scored.main_split()}"
    if not metrics:
        return None
    lines = {"raw": (metrics["calibration"], BEFORE)}
    if "calibration_at_temperature" in metrics:
        lines["with temperature"] = (metrics["calibration_at_temperature"], AFTER)

    def draw(axes: list[Axes]) -> None:
        axes[0].plot([0, 1], [0, 1], "--", color=INK, alpha=0.5)
        for name, (bins, colour) in lines.items():
            points = zip(bins["confidence"], bins["accuracy"], bins["samples"], strict=True)
            x, y, counts = map(list, zip(*(p for p in points if p[2]), strict=True))
            label = f"{name}: {bins['ece']:.3f}"
            axes[0].plot(x, y, color=colour, lw=1, label=label)
            areas = [10 + 90 * count / sum(counts) for count in counts]
            axes[0].scatter(x, y, s=areas, color=colour, alpha=0.8, lw=0)
        axes[0].set(title=title, xlabel="confidence", ylabel="accuracy")
        axes[0].set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03))
        legend = {"title": "calibration error", "loc": "outside lower center", "ncols": len(lines)}
        axes[0].figure.legend(**legend)

    alt = f"Accuracy of {title} by its confidence"
    return _drawn(alt, 3.4, 3.3, draw)


def risk_coverage_figures(run: FinishedRun) -> list[PageImage | None]:
    """Risk-coverage curve of each track on val and test."""
    return [_risk_coverage_figure(track) for track in run.tracks]


def _risk_coverage_figure(track: Scored) -> PageImage | None:
    """Errors among accepted answers by their share; None without labels."""
    rejection = track.metrics["rejection"]
    shown = {split: rejection[split] for split in ("val", "test") if rejection[split]}
    if not shown:
        return None

    def draw(axes: list[Axes]) -> None:
        if rejection["accept_error"] is not None:
            axes[0].axhline(rejection["accept_error"], ls="--", color=INK, alpha=0.5)
        for split, own in shown.items():
            colour, label = COLOURS[split], f"{split}: {own['area']:.3f}"
            x, y = own["curve"]["coverage"], own["curve"]["risk"]
            axes[0].plot(x, y, marker="." if len(x) == 1 else "", color=colour, label=label)
            if rejection["threshold"] is not None and own["accepted"]:
                axes[0].plot([own["coverage"]], [own["error"]], "o", color=colour)
        axes[0].set(title=track.label, xlabel="accepted answers", ylabel="errors among them")
        axes[0].set_xlim(-0.02, 1.02)
        axes[0].set_ylim(bottom=0)
        for axis in (axes[0].xaxis, axes[0].yaxis):
            axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes[0].figure.legend(
            title="area under the curve", loc="outside lower center", ncols=len(shown)
        )

    alt = f"Errors among the accepted answers of {track.label} by the share of accepted answers"
    return _drawn(alt, 3.4, 3.3, draw)
