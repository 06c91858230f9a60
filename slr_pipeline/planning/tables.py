"""A plan as text."""

from collections.abc import Iterator
from statistics import median

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from slr_pipeline.io.progress import duration
from slr_pipeline.planning.fingerprint import Videos
from slr_pipeline.planning.plan import Plan
from slr_pipeline.planning.rates import CLIP_FRAMES

WIDTH = 110
"""Columns of a text that is not read on a terminal."""


def print_plan(plan: Plan) -> None:
    """Print it, as wide as the terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    for part in _parts(plan):
        if isinstance(part, str):
            console.print(Text(part), soft_wrap=True)  # a line stays a line
        else:
            console.print(part)


def _parts(plan: Plan) -> Iterator[RenderableType]:
    config, table, machines = plan.config, plan.table, plan.machines
    yield (
        f"{config.name}: {len(table.samples):,} samples, {len(table.classes):,} classes; "
        f"protocol {config.protocol}, {len(config.streams)} streams, {len(config.tracks)} tracks"
    )
    yield _fingerprint(plan)
    yield _videos(plan.videos)
    without = sum(not sample.depth for sample in table.samples)
    yield (
        f"{plan.shared_signers} signers stand in more than one split; "
        f"{without:,} samples have no depth video"
    )
    yield _forecast(plan)
    yield (
        f"files: {plan.files:,}, of which {plan.records:,} are Snakemake's records, in "
        f"{plan.folders:,} folders: {plan.files + plan.folders:,} inodes"
    )
    yield (
        f"disk: {_size(plan.final_bytes)} in the end, {_size(plan.peak_bytes)} at most, "
        f"{_size(plan.missing_bytes)} more than there is now"
    )
    use = f"{plan.core_use:.0%} of the cores' time is taken"
    use += "" if plan.gpu_use is None else f", {plan.gpu_use:.0%} of the GPUs'"
    yield (
        f"simulated, nodes x cores {machines.nodes} x {machines.cores}, GPUs {machines.gpus}: "
        f"{duration(plan.makespan)}; {use}"
    )
    yield f"critical path: {duration(sum(seconds for _, seconds in plan.path))} on any machines"
    for name, seconds in plan.path:
        yield f"  {duration(seconds):>9}  {name}"
    for warning in plan.warnings:
        yield f"warning: {warning}"


def _fingerprint(plan: Plan) -> Table:
    table = _table(
        "split",
        "samples",
        "signers",
        "classes",
        "clips a class: least",
        "median",
        "most",
        "no label",
    )
    for counts in plan.splits:
        clips = [f"{number:g}" for number in counts.clips or ()] or ["-"] * 3
        numbers = [f"{n:,}" for n in (counts.samples, counts.signers, counts.classes)]
        table.add_row(counts.split, *numbers, *clips, f"{counts.unlabelled:,}")
    return table


def _videos(videos: Videos) -> str:
    if not videos.frames:
        return f"lengths and sizes unknown, no video is there: {CLIP_FRAMES:g} frames are assumed"
    sizes = ", ".join(f"{w} x {h}" for (w, h), _ in videos.sizes.most_common(3))
    rates = ", ".join(f"{fps:g}" for fps, _ in videos.rates.most_common(3))
    frames = videos.frames
    bad = f"; {videos.quarantined:,} quarantined" if videos.quarantined else ""
    return (
        f"by {videos.how}: {min(frames)} to {max(frames)} frames, median {median(frames):g}; "
        f"{sizes} px; {rates} fps{bad}"
    )


def _forecast(plan: Plan) -> Table:
    table = _table("rule", "jobs", "files", "CPU hours", "GPU hours", "disk", "by rates")
    for row in plan.rows:
        table.add_row(
            row.name,
            f"{row.jobs:,}",
            f"{row.files:,}",
            _hours(row.core_hours),
            _hours(row.gpu_hours),
            _size(row.bytes),
            ", ".join(row.sources),
        )
    rows = plan.rows
    table.add_section()
    table.add_row(
        "total",
        f"{sum(row.jobs for row in rows):,}",
        f"{plan.files:,}",
        _hours(sum(row.core_hours for row in rows)),
        _hours(sum(row.gpu_hours for row in rows)),
        _size(sum(row.bytes for row in rows)),
    )
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(first, box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _hours(hours: float) -> str:
    if not hours:
        return "-"
    return f"{hours:,.1f}" if hours >= 0.95 else f"{hours:.2g}"


def _size(size: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size / 1e3:,.0f} kB" if size else "-"
