"""Speed and memory of training and prediction at AUTSL's sizes, as a table for docs/RESULTS.md.

    python -m benchmarks.gpu --out build/gpu.md               # a GPU, under ten minutes
    python -m benchmarks.gpu --device cpu --small --steps 2   # the same path in seconds

Each row trains one stream of config/autsl.yaml by `fit`, with its recipe, from feature files of
made-up clips (`benchmarks/gpu_clips.py`), or predicts with it. Streams that differ only in what
their numbers mean share a row. The most important rows come first, and each is written when it is
done: a run that `--budget` ends has the others.

- computing: items per second on the device, without the time in which it waits for data. The first
  steps, in which torch chooses algorithms, do not count.
- loading: items per second of the worker processes alone. The few files stay in memory, so it
  does not include a slow disk.
- items/s: what an epoch gets, the slower of both; waiting: the share of it that the device is idle.
- TFLOP/s: items/s times the operations of a step as `slr plan` counts them, three forward passes.

The last line has the rates by model that `slr plan` uses, for slr_pipeline/planning/rates.py.
"""

import argparse
import gc
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import harmonic_mean
from typing import Any, Literal, TextIO
from unittest.mock import patch

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader

from benchmarks.gpu_clips import write_clips
from benchmarks.training_forecast import item_shapes
from slr_pipeline.config.experiment import Config, read_config
from slr_pipeline.config.streams import (
    ImportedSettings,
    StreamSettings,
    TrainedStream,
    features_of,
    test_views,
)
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.planning.rates import forward_gflop
from slr_pipeline.schema import SampleView
from slr_pipeline.training.device import choose_device, loading_workers
from slr_pipeline.training.fit import fit
from slr_pipeline.training.memory import open_loader
from slr_pipeline.training.numerics import prediction_numerics
from slr_pipeline.training.predict import predict
from slr_pipeline.training.streams import build_dataset, build_model, epoch_starter

CLASSES = 226
WARM_UP = 5
"""Most steps that do not count."""

COUNTED_SECONDS = 10
"""Slow rows count fewer steps."""

LOADER_SECONDS = 3
ROW_SECONDS = 120
"""Longest row, with the time in which torch compiles or chooses algorithms."""

COLUMNS = (
    *("work", "stream", "batch (micro)", "precision", "deterministic", "compile", "items/s"),
    *("waiting", "computing, items/s", "loading, items/s", "TFLOP/s", "GPU memory, GB", "steps"),
)


class Enough(Exception):  # noqa: N818 - nothing went wrong
    """Ends a row: all steps are measured."""


class OutOfTime(BaseException):
    """Ends a row, or all of them; torch.compile wraps other exceptions."""


@dataclass(frozen=True)
class Case:
    """A row of the table; `group` is the order of importance."""

    group: int
    work: Literal["train", "predict"]
    stream: str
    precision: str
    deterministic: bool
    compile: bool = False


@dataclass
class Measured:
    """Of the counted steps: items, seconds on the device, and those in which it waited for data."""

    items: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    steps: int = 0


@dataclass
class Bench:
    """What all rows share."""

    config: Config
    streams: Mapping[str, TrainedStream]
    stores: Mapping[str, FeatureStore]
    device: torch.device
    workers: int
    warm_up: int
    steps: int
    clips: int
    loading: dict[str, float] = field(default_factory=dict)  # items/s by stream


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=30, help="counted steps of a row")
    parser.add_argument("--budget", type=float, default=540, help="seconds for everything")
    parser.add_argument("--out", type=Path, help="file for the table, beside the terminal")
    parser.add_argument("--small", action="store_true", help="the streams and sizes of the demo")
    flags = parser.parse_args()
    deadline = time.monotonic() + flags.budget
    if flags.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit(f"error: no GPU: torch {torch.__version__} finds none; use --device cpu --small")
    with tempfile.TemporaryDirectory() as folder, opened(flags.out) as out:
        bench = prepare(flags, Path(folder))
        for line in heading(bench):
            write(line, out)
        failed = rows(bench, deadline, out)
    sys.exit(1 if failed else 0)


def prepare(flags: argparse.Namespace, folder: Path) -> Bench:
    """Read the streams, one for each kind of input, and write their feature files."""
    config = read_config("config.yaml" if flags.small else "config/autsl.yaml")
    streams = kinds(config.streams, small=flags.small)
    features = {feature for s in streams.values() for feature in features_of(s, config.features)}
    clips, frames = (2, 24) if flags.small else (16, 60)
    stores = write_clips(folder, sorted(features), clips=clips, frames=frames)
    device = choose_device(flags.device)
    workers = loading_workers(device, len(os.sched_getaffinity(0)))
    warm_up = min(WARM_UP, flags.steps)
    return Bench(config, streams, stores, device, workers, warm_up, flags.steps, clips)


def kinds(streams: Mapping[str, StreamSettings], *, small: bool) -> dict[str, TrainedStream]:
    """The first stream of each kind of input; with `small` of each model, in tiny batches."""
    found: dict[Any, tuple[str, TrainedStream]] = {}
    for name, stream in streams.items():
        if isinstance(stream, ImportedSettings):
            continue
        if small:
            tiny = stream.training.model_copy(update={"batch_size": 2, "micro_batch": 1})
            found.setdefault(stream.model, (name, stream.model_copy(update={"training": tiny})))
        else:
            found.setdefault((stream.model, *item_shapes(stream)), (name, stream))
    return dict(found.values())


def cases(bench: Bench) -> list[Case]:
    """The rows in order of importance: recipes as they are, prediction, other settings."""
    on_gpu = bench.device.type == "cuda"
    fast = "bf16" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    rows = []
    for name, stream in bench.streams.items():
        plain = stream.training.deterministic
        rows += [
            Case(0, "train", name, fast, plain),
            Case(1, "predict", name, fast, plain),
            Case(2, "train", name, fast, not plain),
        ]
        if on_gpu:
            rows.append(Case(4, "train", name, fast, plain, compile=True))
        if fast != "fp32":
            rows += [Case(2, "predict", name, "fp32", plain), Case(3, "train", name, "fp32", plain)]
    return sorted(rows, key=lambda case: case.group)


def rows(bench: Bench, deadline: float, out: TextIO | None) -> int:
    """Write all rows, and the rates after the first group; returns the number of failed rows."""
    write("| " + " | ".join(COLUMNS) + " |", out)
    write("|---|---|" + "---:|" * (len(COLUMNS) - 2), out)
    failed, rates, todo = 0, {}, cases(bench)
    for number, case in enumerate(todo):
        try:
            with within(min(ROW_SECONDS, deadline - time.monotonic())):
                cells, tflops = row(bench, case)
            if case.group == 0:
                rates[case.stream] = tflops
        except OutOfTime:
            if time.monotonic() >= deadline:
                write(f"\nOut of time: {len(todo) - number} rows are missing.", out)
                break
            cells = [f"more than {ROW_SECONDS} s"]
        except Exception as error:  # the other rows are worth having
            failed += 1
            cells = [" ".join(f"{type(error).__name__}: {error}".replace("|", "/").split())[:200]]
        about = [case.work, f"`{case.stream}`", batch_of(bench, case), case.precision]
        choices = (case.deterministic, case.compile) if case.work == "train" else ()
        about += ["yes" if choice else "no" for choice in choices] or ["", ""]
        padded = [*about, *cells] + [""] * (len(COLUMNS) - len(about) - len(cells))
        write("| " + " | ".join(padded) + " |", out)
    write(f"\n{gflops_line(bench, rates)}", out)
    return failed


def row(bench: Bench, case: Case) -> tuple[list[str], float]:
    """The measured cells of a case, and its TFLOP/s."""
    stream, on_gpu = bench.streams[case.stream], bench.device.type == "cuda"
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    if case.work == "train":
        measured = train(bench, case)
        gc.collect()  # the workers of the training end
        loading = loading_rate(bench, case.stream)
    else:
        measured, loading = predicted(bench, case), None
    computing = measured.items / (measured.seconds - measured.waited)
    rate = measured.items / measured.seconds
    if loading is not None and bench.workers:
        # Workers fill a queue while the first steps run, and the counted steps empty it.
        rate = min(computing, loading)
    tflops = rate * forward_gflop(stream) * (3 if case.work == "train" else 1) / 1000
    memory = f"{torch.cuda.max_memory_allocated() / 1e9:.1f}" if on_gpu else ""
    cells = [f"{rate:.1f}", f"{1 - rate / computing:.0%}", f"{computing:.1f}"]
    cells += ["" if loading is None else f"{loading:.1f}", f"{tflops:.3g}", memory]
    return [*cells, str(measured.steps)], tflops


def train(bench: Bench, case: Case) -> Measured:
    """Train until all steps are counted."""
    stream = bench.streams[case.stream]
    choices = ("precision", "deterministic", "compile")
    changes: dict[str, Any] = {choice: getattr(case, choice) for choice in choices}
    recipe = stream.training.model_copy(update={**changes, "epochs": 1, "overfit_steps": 0})
    torch.manual_seed(1)
    model = build_model(stream, CLASSES)
    starter, last = epoch_starter(stream, recipe, model), stream.training.epochs - 1
    # More batches than are counted, so that the workers do not become idle.
    count = recipe.batch_size * (bench.warm_up + bench.steps + 2 * bench.workers)
    data = dataset(bench, case.stream, count, train=True)
    with counted_steps(bench) as (measured, step):
        hook = register_optimizer_step_post_hook(lambda *_: step(recipe.batch_size))
        try:
            fit(
                model,
                data,
                None,
                recipe=recipe,
                seed=1,
                device=bench.device,
                workers=bench.workers,
                start_epoch=lambda epoch: starter(last),  # with dropout and graphs of the last one
            )
        finally:
            hook.remove()
    return measured


def predicted(bench: Bench, case: Case) -> Measured:
    """Predict until all batches are counted."""
    stream = bench.streams[case.stream]
    torch.manual_seed(1)
    size = stream.training.batch_size
    data = dataset(bench, case.stream, size * (bench.warm_up + bench.steps), train=False)
    model, device = build_model(stream, CLASSES), bench.device
    recipe = stream.training.model_copy(update={"precision": case.precision})
    with (
        open_loader(model, [data], batch_size=size, workers=bench.workers, device=device) as loader,
        counted_steps(bench) as (measured, step),
        prediction_numerics(device, recipe),
    ):
        predict(model, data, batch_size=size, device=device, loader=loader, advance=step)
    return measured


def dataset(bench: Bench, name: str, count: int, *, train: bool) -> StreamDataset:
    """`count` items, of few clips in turn."""
    stream, settings = bench.streams[name], bench.config.features
    views = (SampleView(),) if train else test_views(stream)
    clips = [(f"clip{n % bench.clips}", n % CLASSES) for n in range(-(-count // len(views)))]
    drawn = stream.model == "sstcn" and not settings.heatmaps.stored
    return build_dataset(
        stream,
        {feature: bench.stores[feature] for feature in features_of(stream, settings)},
        clips,
        train=train,
        seed=1,
        views=views,
        heatmaps=settings.heatmaps if drawn else None,
    )


def loading_rate(bench: Bench, name: str) -> float:
    """Items per second of the loader alone, in small batches; measured once per stream."""
    if name not in bench.loading:
        size = min(4, bench.streams[name].training.batch_size)
        loader = batches(
            dataset(bench, name, 100_000, train=True), batch_size=size, workers=bench.workers
        )
        for _ in range(1 + bench.workers):
            next(loader)
        started, items = time.perf_counter(), 0
        while time.perf_counter() - started < min(LOADER_SECONDS, bench.steps / 10):
            next(loader)
            items += size
        bench.loading[name] = items / (time.perf_counter() - started)
    return bench.loading[name]


@contextmanager
def counted_steps(bench: Bench) -> Iterator[tuple[Measured, Callable[[int], None]]]:
    """Yield the result, filled at the end, and a function to call after each step with its items.

    It raises Enough, which ends here, after the last step.
    """
    measured, start, seen = Measured(), _mark(bench.device), 0
    began = time.perf_counter()

    def step(items: int) -> None:
        nonlocal start, began, seen
        seen += 1
        if seen <= bench.warm_up:
            start, began = _mark(bench.device), time.perf_counter()
            waits.clear()
            return
        measured.items += items
        enough = time.perf_counter() - began > COUNTED_SECONDS
        if enough or seen == bench.warm_up + bench.steps:
            raise Enough

    with timed_loading(bench.device) as waits:
        with suppress(Enough):
            yield measured, step
        end = _mark(bench.device)
    if bench.device.type == "cuda":
        torch.cuda.synchronize()
    measured.steps = seen - bench.warm_up
    measured.seconds = _between(start, end)
    measured.waited = sum(_between(asked, came) for asked, came in waits)


Mark = torch.cuda.Event | float
"""A time on the device: in the queue of the GPU's work, or that of the CPU."""


def _mark(device: torch.device) -> Mark:
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _between(one: Mark, other: Mark) -> float:
    """Seconds; a GPU must be synchronised."""
    if isinstance(one, float) or isinstance(other, float):
        return float(other) - float(one)  # type: ignore[arg-type]
    return one.elapsed_time(other) / 1000


@contextmanager
def timed_loading(device: torch.device) -> Iterator[list[tuple[Mark, Mark]]]:
    """Within, note when the device has done all work before a batch is asked for, and its arrival.

    Between both a GPU has nothing to do; a wait while it still computes takes none of its time.
    """
    waits: list[tuple[Mark, Mark]] = []
    original = DataLoader.__iter__

    class Timed:
        def __init__(self, loader: DataLoader[Any]) -> None:
            self._loaded = original(loader)

        def __iter__(self) -> "Timed":
            return self

        def __next__(self) -> Any:
            asked = _mark(device)
            batch = next(self._loaded)
            waits.append((asked, _mark(device)))
            return batch

    def timed(loader: DataLoader[Any]) -> Timed:
        return Timed(loader)

    with patch.object(DataLoader, "__iter__", timed):
        yield waits


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the main thread after these seconds.

    And again each second: Python drops an exception that is raised while an object is deleted.
    """

    def stop(*_: object) -> None:
        raise OutOfTime

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def batch_of(bench: Bench, case: Case) -> str:
    """Samples of a batch, and of a micro-batch if it has parts."""
    recipe = bench.streams[case.stream].training
    if case.work == "predict" or recipe.micro_batch in (None, recipe.batch_size):
        return str(recipe.batch_size)
    return f"{recipe.batch_size} ({recipe.micro_batch})"


def heading(bench: Bench) -> list[str]:
    """The machine, the versions, the date and the command."""
    machine = f"{platform.machine()} CPU"
    if bench.device.type == "cuda":
        about = torch.cuda.get_device_properties(bench.device)
        machine = f"{about.name} ({about.total_memory / 1e9:.0f} GB)"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    if bench.device.type == "cuda":
        versions += f", CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    command = "python -m benchmarks.gpu " + " ".join(sys.argv[1:])
    return [
        f"`{command.strip()}`, {time.strftime('%Y-%m-%d', time.gmtime())}: {machine}, "
        f"{len(os.sched_getaffinity(0))} CPU cores, {bench.workers} loading workers, {versions}.",
        "",
    ]


def gflops_line(bench: Bench, tflops: Mapping[str, float]) -> str:
    """Rates by model in the form of slr_pipeline/planning/rates.py."""
    found: dict[str, list[float]] = {}
    for name, rate in tflops.items():
        found.setdefault(bench.streams[name].model, []).append(1000 * rate)
    rates = {model: float(f"{harmonic_mean(each):.3g}") for model, each in found.items()}
    return f"GPU_GFLOPS = {rates}"


@contextmanager
def opened(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        yield file


def write(line: str, out: TextIO | None) -> None:
    """Write a line at once: the machine may be taken away."""
    print(line, flush=True)
    if out is not None:
        print(line, file=out, flush=True)


if __name__ == "__main__":
    main()
