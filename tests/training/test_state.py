"""A training that is stopped or killed and resumes ends like an undisturbed one."""

import hashlib
import json
import logging
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.typing import NDArray

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.training.fit import Fitted, fit
from slr_pipeline.training.state import Interrupted, TrainingState, record_signals
from tests.training.small_task import net, point, points, recipe

Models = Callable[[], SLGCN]
Clips = Callable[..., StreamDataset]

CONTENT: dict[str, Any] = {
    "progress": {"epoch": 3, "rows": [{"loss": 0.5}]},
    "weights": {"a": torch.arange(100.0)},
}


# --- files ---------------------------------------------------------------------------------------


def is_content(loaded: dict[str, Any] | None) -> bool:
    return (
        loaded is not None
        and loaded["progress"] == CONTENT["progress"]
        and torch.equal(loaded["weights"]["a"], CONTENT["weights"]["a"])
    )


def test_the_last_save_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    state = TrainingState(folder, "this")
    assert state.load() is None
    for number in range(3):
        state.save({"number": number})
        assert TrainingState(folder, "this").load() == {"number": number}
    assert [path.name for path in folder.iterdir()] == ["state.pt"]
    state.save(CONTENT)
    assert is_content(TrainingState(folder, "this").load())


def test_nothing_is_left_after_removal(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    state = TrainingState(folder, "this")
    state.remove()
    state.save({})
    state.remove()
    assert not folder.exists()
    state.save({})
    (folder / "other").touch()
    state.remove()
    assert [path.name for path in folder.iterdir()] == ["other"]


def test_a_state_of_another_training_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    TrainingState(tmp_path, "other").save(CONTENT)
    state = TrainingState(tmp_path, "this")
    assert state.load() is None
    assert "state.pt: ignored, the state of a training with other settings" in caplog.text
    state.save(CONTENT)
    assert is_content(state.load())


def test_a_damaged_state_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Cut short, empty, or one byte changed: never a crash, never other values."""
    TrainingState(tmp_path, "this").save(CONTENT)
    path = tmp_path / "state.pt"
    whole = path.read_bytes()
    rng = random.Random(1)
    damaged = [whole[: rng.randrange(len(whole))] for _ in range(20)] + [b""]
    for place in [*range(200), *(rng.randrange(len(whole)) for _ in range(300))]:
        changed = bytes([whole[place] ^ 1 << rng.randrange(8)])
        damaged.append(whole[:place] + changed + whole[place + 1 :])
    ignored = 0
    for content in damaged:
        path.write_bytes(content)
        loaded = TrainingState(tmp_path, "this").load()
        assert loaded is None or is_content(loaded)  # some bytes have no meaning
        ignored += loaded is None
    assert ignored > 21
    assert "state.pt: ignored, a damaged state (" in caplog.text
    assert all("\n" not in record.message for record in caplog.records)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_state_is_not_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, trap = tmp_path / "state.pt", tmp_path / "trap"
    content = {"fingerprint": "this", "content": Hostile(trap)}
    torch.save(content, path)
    assert TrainingState(tmp_path, "this").load() is None
    path.write_bytes(pickle.dumps(content))
    assert TrainingState(tmp_path, "this").load() is None
    assert not trap.exists()
    assert caplog.text.count("ignored, a damaged state") == 2


def test_a_state_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SlrError, match=r"file/state.pt: cannot write the state of .* \(.*\); "):
        TrainingState(tmp_path / "file", "this").save({})


def test_short_epochs_are_not_saved_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [0.0]
    monkeypatch.setattr("slr_pipeline.training.state.time.monotonic", lambda: clock_s[0])
    monkeypatch.setattr("torch.save", lambda *_: clock_s.append(clock_s.pop() + 1.5))
    state = TrainingState(tmp_path, "this")
    assert state.due(epoch_ends=True)
    assert not state.due(epoch_ends=False)
    state.save({})  # takes 1.5 s
    for after_s, at_the_end, within in ((29, False, False), (31, True, False), (601, True, True)):
        clock_s[0] = 1.5 + after_s
        assert state.due(epoch_ends=True) == at_the_end
        assert state.due(epoch_ends=False) == within


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_recorded_and_handlers_restored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with record_signals() as received:
        assert received == []
        os.kill(os.getpid(), number)
        assert received == [number.name]
    assert signal.getsignal(number) == before


def test_other_threads_record_no_signals() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def record() -> None:
        with record_signals() as received:
            seen.append((received, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=record)
    thread.start()
    thread.join()
    assert seen == [([], before)]


# --- stopping and resuming, in this process ------------------------------------------------------


def without_seconds(result: Fitted) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]


def assert_equal(one: Fitted, other: Fitted) -> None:
    assert without_seconds(one) == without_seconds(other)
    assert one.epoch == other.epoch
    assert list(one.state) == list(other.state)
    for name, weight in one.state.items():
        assert weight.numpy().tobytes() == other.state[name].numpy().tobytes(), name


@dataclass
class Stopping:
    """Makes items, and sends a signal to its process before some of them."""

    stops: list[int]
    made: int = 0

    def __call__(self, name: str, view: object, rng: Any) -> list[NDArray[Any]]:
        self.made += 1
        if self.made in self.stops:
            os.kill(os.getpid(), signal.SIGUSR1)
        return point(name, view, rng)


def stopping(make: Stopping) -> StreamDataset:
    samples = [(name, int(name[0])) for name in points(24, train=True).names]
    return StreamDataset(make, samples, train=True, seed=1)


ALL = {"ema_decay": 0.8, "clip_norm": 0.5, "weight_decay": 0.01, "label_smoothing": 0.1}


@pytest.mark.parametrize("with_val", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd", "warmup_epochs": 3, "milestones": [4]},
        {**ALL, "micro_batch": 4, "plateau_patience": 0, "monitor": "val_loss"},
        {"reset_epochs": [1, 2], "weight_decay_epochs": 2, "precision": "bf16"},
        {**ALL, "optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 1, "mixup": 0.4},
        {**ALL, "overfit_steps": 200, "patience": 2, "learning_rate": 0.3},
    ],
)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_stopped_run_resumes_bit_for_bit(
    tmp_path: Path, changes: dict[str, Any], with_val: bool, device: str
) -> None:
    """24 items an epoch, 4 batches: stops within epochs, at their ends, and one after another."""
    settings = recipe(epochs=5, **changes)
    val = points(9) if with_val else None
    same: dict[str, Any] = {"recipe": settings, "seed": 3, "device": device}
    undisturbed = fit(net(dropout=0.3, norm=True), points(24, train=True), val, **same)
    make = Stopping([13, 20, 24, 25, 40, 70, 96, 110])
    stopped = []
    while True:
        train = stopping(make)
        state = TrainingState(tmp_path, "this")
        try:
            result = fit(net(dropout=0.3, norm=True), train, val, **same, state=state)
        except Interrupted as error:
            stopped.append(str(error))
        else:
            break
    assert len(stopped) >= 4
    assert_equal(result, undisturbed)
    # A finished run whose step was stopped before it wrote the model is not trained again.
    made = make.made
    again = fit(net(norm=True), train, val, **same, state=state)
    assert make.made == made
    assert_equal(again, undisturbed)


def test_the_line_says_where_it_stopped(tmp_path: Path) -> None:
    state = TrainingState(tmp_path, "this")
    with pytest.raises(Interrupted) as error:
        fit(net(), stopping(Stopping([31])), None, recipe=recipe(), seed=1, state=state)
    assert str(error.value) == (
        "stopped by SIGUSR1 in epoch 1 after 2 batches; the same command resumes there "
        f"({tmp_path})"
    )


def test_a_micro_batch_halved_for_memory_stays_halved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def greedy() -> torch.nn.Module:
        def refuse(module: torch.nn.Module, inputs: Any) -> None:
            if module.training and len(inputs[0]) > 3:
                raise torch.OutOfMemoryError("no more")

        model = net(dropout=0.3)
        model.register_forward_pre_hook(refuse)
        return model

    settings = recipe(epochs=3)
    undisturbed = fit(greedy(), points(24, train=True), None, recipe=settings, seed=1)
    train = stopping(Stopping([30]))
    with pytest.raises(Interrupted):
        fit(greedy(), train, None, recipe=settings, seed=1, state=TrainingState(tmp_path, ""))
    caplog.clear()
    result = fit(greedy(), train, None, recipe=settings, seed=1, state=TrainingState(tmp_path, ""))
    assert "out of memory" not in caplog.text
    assert_equal(result, undisturbed)


def test_without_a_state_signals_keep_their_handlers() -> None:
    received = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: received.append(number))
    try:
        fit(net(), stopping(Stopping([5])), None, recipe=recipe(), seed=1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert received == [signal.SIGUSR1]


# --- processes that are stopped or killed --------------------------------------------------------

SETTINGS = recipe(epochs=4, **ALL, micro_batch=4)


def run(folder: Path, workers: int) -> None:
    """In its own process and process group: train, then write a digest of the result."""
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # of workers: the default on Linux
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, filename=folder / "log")
    try:
        result = fit(
            net(dropout=0.3, norm=True),
            points(24, train=True, wait_s=0.01),
            points(9),
            recipe=SETTINGS,
            seed=3,
            workers=workers,
            start_epoch=lambda epoch: (folder / "started").touch(),
            state=TrainingState(folder / "state", "this", save_every_s=0),
        )
    except Interrupted as error:
        (folder / "line").write_text(str(error))
        sys.exit(3)
    (folder / "result").write_text(digest(result))


def digest(result: Fitted) -> str:
    weights = {
        name: hashlib.sha256(weight.numpy().tobytes()).hexdigest()
        for name, weight in result.state.items()
    }
    return json.dumps([result.epoch, without_seconds(result), weights])


@pytest.fixture
def undisturbed() -> str:
    train = points(24, train=True)
    return digest(fit(net(dropout=0.3, norm=True), train, points(9), recipe=SETTINGS, seed=3))


def started(folder: Path, target: Callable[..., None], *options: int) -> BaseProcess:
    """Start a process; wait until it is within `fit`."""
    (folder / "started").unlink(missing_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["slr_pipeline.training.fit", "tests.training.small_task"])
    process = context.Process(target=target, args=(folder, *options))
    process.start()
    while process.is_alive() and not (folder / "started").exists():
        time.sleep(0.002)
    return process


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_run_that_is_killed_again_and_again_ends_the_same(
    tmp_path: Path, undisturbed: str, seed: int
) -> None:
    """SIGKILL at any moment: in a batch, in val, while the state is written."""
    rng = random.Random(seed)
    kills = 0
    while True:
        process = started(tmp_path, run, 0)
        if kills < 10:
            process.join(rng.uniform(0, 0.25))
            process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert kills >= 1
    assert (tmp_path / "result").read_text() == undisturbed


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_whole_group_stops_a_run_in_one_line(
    tmp_path: Path, undisturbed: str, number: signal.Signals, workers: int
) -> None:
    """Workers of the data loader receive it, too."""
    rng = random.Random(int(number) + workers)
    codes = []
    while 0 not in codes:
        process = started(tmp_path, run, workers)
        if len(codes) < 4 and process.is_alive():
            process.join(rng.uniform(0, 0.2))
            with suppress(ProcessLookupError):  # it may have finished
                os.killpg(process.pid or 0, number)
        process.join()
        codes.append(process.exitcode)
    assert codes[:-1] == [3] * (len(codes) - 1) != []
    line = (tmp_path / "line").read_text()
    assert line.startswith(f"stopped by {number.name} in epoch ")
    assert (tmp_path / "result").read_text() == undisturbed
    assert "resumes in epoch" in (tmp_path / "log").read_text()


def fail(folder: Path) -> None:
    """In its own process: a worker fails, and the error object lives until the process ends."""
    multiprocessing.set_start_method("fork", force=True)
    torch.set_num_threads(1)
    (folder / "started").touch()
    samples = [(name, int(name[0])) for name in points(24, train=True).names]
    train = StreamDataset(refused, samples, train=True)
    try:
        fit(net(), train, None, recipe=recipe(), seed=1, workers=2, state=TrainingState(folder, ""))
    except DataError as error:
        sys.exit(int(str(error) == "no such sample"))


def refused(name: str, view: object, rng: Any) -> list[NDArray[Any]]:
    raise DataError("no such sample")


def test_workers_end_with_a_process_that_fails(tmp_path: Path) -> None:
    process = started(tmp_path, fail)
    process.join(60)
    process.kill()
    process.join()
    assert process.exitcode == 1
