"""A plan as text."""

from collections.abc import Iterator

import pandas as pd

from slr_pipeline.io.messages import frequent
from slr_pipeline.io.progress import duration
from slr_pipeline.planning.fingerprint import Videos, count_splits, shared_signers
from slr_pipeline.planning.plan import Plan
from slr_pipeline.planning.rates import CLIP_FRAMES
from slr_pipeline.samples.table import SampleTable


def plan_text(plan: Plan) -> Iterator[str]:
    """The plan, a part at a time."""
    config, table, machines, work = plan.config, plan.table, plan.machines, plan.durations()
    yield (
        f"{config.name}: {len(table.samples):,} samples, {len(table.classes):,} classes; "
        f"protocol {config.protocol}, {len(config.streams)} streams, {len(config.tracks)} tracks"
    )
    yield f"\n{_text(count_splits(table).reset_index())}\n"
    yield _videos(plan.videos)
    without = sum(not sample.depth for sample in table.samples)
    yield f"{_signers(table)}; {without:,} samples have no depth video"
    yield f"\n{_text(_forecast(plan))}\n"
    files = int(plan.jobs["files"].sum())
    yield (
        f"files: {files:,} in {plan.folders:,} folders, Snakemake's records included: "
        f"{files + plan.folders:,} inodes"
    )
    yield (
        f"disk: {_size(plan.final_bytes)} after the run, at most {_size(plan.peak_bytes)} during "
        f"it, {_size(plan.missing_bytes)} still to write"
    )
    parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in work.items())
    yield (
        f"duration with {machines.nodes} x {machines.cores} cores and {machines.gpus} GPUs: about "
        f"{duration(plan.expected_seconds)}; bounds {duration(max(work.values()))} and "
        f"{duration(sum(work.values()))} (the largest, and the sum, of {parts})"
    )
    yield "critical path, the longest chain of jobs:"
    for name in plan.path:
        yield f"  {duration(plan.jobs.loc[name, 'seconds']):>9}  {name}"
    for warning in plan.warnings:
        yield f"warning: {warning}"


def _signers(table: SampleTable) -> str:
    signers = [sample.signer for sample in table.samples]
    unknown = f"the signers of {signers.count(None):,} samples are unknown"
    if not any(signers):
        return unknown
    known = (
        f"{shared_signers(table)} of {len({*signers} - {None})} signers appear in several splits"
    )
    return f"{known}, {unknown}" if None in signers else known


def _videos(videos: Videos) -> str:
    measured = videos.measured
    if measured.empty:
        return f"lengths and sizes are unknown without videos: {CLIP_FRAMES:g} frames are assumed"
    sizes = frequent(measured[["width", "height"]].itertuples(index=False, name=None))
    rates = frequent((fps,) for fps in measured["fps"].round(2))
    frames = measured["frames"]
    quarantined = f"; {videos.quarantined:,} quarantined" if videos.quarantined else ""
    return (
        f"{videos.source}: {frames.min()} to {frames.max()} frames, median {frames.median():g}; "
        f"{sizes} px; {rates} fps{quarantined}"
    )


def _forecast(plan: Plan) -> pd.DataFrame:
    """Sums per rule, and per stream for trainings. Cores beside a GPU are not counted."""
    jobs, hours = plan.jobs, plan.jobs["seconds"] / 3600
    core_hours = (hours * jobs["threads"] * jobs["nodes"]).where(jobs["gpus"] == 0, 0.0)
    jobs = jobs.assign(core_hours=core_hours, gpu_hours=hours * jobs["gpus"], jobs=1)
    rows = jobs.groupby("row", sort=False)
    sums = rows[["jobs", "files", "core_hours", "gpu_hours", "bytes"]].sum()
    sums.loc["total"] = sums.sum()
    sources = rows["source"].agg(lambda names: ", ".join(names.unique()))
    return pd.DataFrame(
        {
            "rule": sums.index,
            "jobs": sums["jobs"].map("{:,.0f}".format),
            "files": sums["files"].map("{:,.0f}".format),
            "core hours": sums["core_hours"].map(_hours),
            "GPU hours": sums["gpu_hours"].map(_hours),
            "disk": sums["bytes"].map(_size),
            "rates": sources.reindex(sums.index, fill_value=""),
        }
    )


def _text(table: pd.DataFrame) -> str:
    """The table with its first column aligned left; `-` for a missing value."""
    first = table.columns[0]
    width = int(table[first].str.len().max())
    table = table.assign(**{first: table[first].str.ljust(width)})
    return str(table.to_string(index=False, na_rep="-", float_format="{:g}".format))


def _hours(hours: float) -> str:
    if not hours:
        return "-"
    return f"{hours:,.1f}" if hours >= 0.95 else f"{hours:.2g}"


def _size(size: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size / 1e3:,.0f} kB" if size else "-"
