"""One training by two processes on this machine, over gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from slr_pipeline.config.experiment import check_config
from slr_pipeline.errors import ConfigError

ROOT = Path(__file__).parents[2]
RECIPE = {"epochs": 3, "batch_size": 6, "learning_rate": 0.05, "micro_batch": 3, "clip_norm": 0.5}
# 20 samples: 3 batches in an epoch, two samples left over.
PLAIN = {"samples": 20, "norm": False, "recipe": {**RECIPE, "optimizer": "sgd", "ema_decay": 0.8}}
NORM = {**PLAIN, "norm": True, "gpus": 2}
RANKS = [0, 1]


def start(folder: Path, options: Mapping[str, Any], cwd: Path = ROOT) -> "subprocess.Popen[str]":
    """A training of the small task, in a process group of its own."""
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.training.small_job", str(folder), json.dumps(options)],
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit status and messages; asserts that no process of the group is left."""
    try:
        _, messages = process.communicate(timeout=120)
    finally:
        left = still_runs(process.pid)
        if left:
            os.killpg(process.pid, signal.SIGKILL)
    assert not left
    return process.returncode, messages


def still_runs(group: int) -> bool:
    """Whether a process of the group is left after ten seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


def train(folder: Path, options: Mapping[str, Any]) -> str:
    code, messages = finish(start(folder, options))
    assert code == 0, messages
    return messages


def result(folder: Path, rank: int) -> Any:
    return json.loads((folder / f"result-{rank}").read_text())


def seen(folder: Path, rank: int) -> list[str]:
    return (folder / f"seen-{rank}").read_text().split()


def error_lines(messages: str) -> list[str]:
    return [line for line in messages.splitlines() if line.startswith("error: ")]


def assert_trained_alike(two: Path, one: Path) -> None:
    """Two processes took the batches of one, to the same weights and scores; equal on both."""
    shares = [seen(two, rank) for rank in RANKS]
    assert [name for pair in zip(*shares, strict=True) for name in pair] == seen(one, 0)
    alone, pair = result(one, 0), [result(two, rank) for rank in RANKS]
    assert pair[0] == pair[1]
    for row, expected in zip(pair[0]["rows"], alone["rows"], strict=True):
        assert row == pytest.approx(expected, rel=1e-5)
    for name, weight in alone["best"].items():
        expected = pytest.approx(list(numbers(weight)), rel=1e-5, abs=1e-6)
        assert list(numbers(pair[0]["best"][name])) == expected


def numbers(values: Any) -> Iterator[float]:
    if isinstance(values, list):
        for part in values:
            yield from numbers(part)
    else:
        yield values


def test_two_processes_train_like_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, PLAIN)
    messages = train(two, {**PLAIN, "gpus": 2})
    assert_trained_alike(two, one)
    epochs = [line[:7] for line in messages.splitlines() if line.startswith("epoch")]
    assert epochs == ["epoch 0", "epoch 1", "epoch 2"]  # only rank 0 logs


@pytest.mark.slow
def test_no_process_imports_from_the_working_folder(tmp_path: Path) -> None:
    for name in ("random", "copy", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the user')")
    recipe = {**RECIPE, "optimizer": "sgd", "epochs": 1}
    options = {**PLAIN, "recipe": recipe, "gpus": 2}
    code, messages = finish(start(tmp_path / "two", options, cwd=tmp_path))
    assert code == 0, messages
    assert result(tmp_path / "two", 1)["rows"]


def test_batch_norm_and_dropout_keep_the_processes_equal(tmp_path: Path) -> None:
    """Also with mixup, and where a parameter is frozen in the first epoch."""
    recipe = {**RECIPE, "optimizer": "adamw", "ema_decay": 0.8, "mixup": 0.5}
    options = {**NORM, "recipe": recipe, "dropout": 0.3, "frozen_epochs": 1}
    for name in "ab":
        train(tmp_path / name, options)
    results = [result(tmp_path / name, rank) for name in "ab" for rank in RANKS]
    assert results == results[:1] * 4
    train(tmp_path / "never frozen", {**options, "frozen_epochs": 0})
    assert result(tmp_path / "never frozen", 0) != results[0]


def test_fewer_samples_than_a_batch_are_shared_equally(tmp_path: Path) -> None:
    messages = train(tmp_path, {**PLAIN, "gpus": 2, "samples": 5})
    assert messages.count("4 train samples make one batch (batch_size 6)") == 1
    shares = [seen(tmp_path, rank) for rank in RANKS]
    assert [len(share) for share in shares] == [2 * 3, 2 * 3]
    for epoch in range(3):
        names = {name for share in shares for name in share[2 * epoch : 2 * epoch + 2]}
        assert len(names) == 4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder, NORM)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_training_resumes_to_the_same_bytes(
    tmp_path: Path, number: signal.Signals, undisturbed: Path
) -> None:
    """The signal goes to rank 0, which started the other; it cannot react to SIGKILL."""
    folder = tmp_path / "stopped"
    running = start(folder, {**NORM, "wait_s": 0.1})
    while running.poll() is None and not (folder / "state/state.pt").exists():
        time.sleep(0.05)
    os.kill(running.pid, number)
    code, messages = finish(running)
    if number == signal.SIGTERM:
        assert code == 1
        [line] = error_lines(messages)
        assert line.startswith("error: stopped by SIGTERM in epoch ")
    else:
        assert code == -signal.SIGKILL
    assert not (folder / "result-0").exists()
    assert train(folder, NORM).count("resumes in epoch ") == 1
    for rank in RANKS:
        assert result(folder, rank) == result(undisturbed, rank)


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ("sample", "error: {}: cannot be read"),
        ("nan", "error: epoch 0: the loss is nan for the batch of {}"),
        ("memory", "error: epoch 0: out of memory on cpu with 3 samples at a time ({}"),
        ("bug", "[rank1]: ValueError: a bug"),
    ],
)
def test_an_error_on_one_rank_ends_all(tmp_path: Path, bad: str, expected: str) -> None:
    """Rank 1 fails; neither process hangs, and the error appears."""
    code, messages = finish(start(tmp_path, {**PLAIN, "gpus": 2, "bad": bad}))
    assert code == 1
    expected = expected.format(seen(tmp_path, 1)[0])
    assert any(line.startswith(expected) for line in messages.splitlines()), messages
    assert messages.count("Traceback") == (bad == "bug")
    ended = "error: another process of this training has ended; see its error above"
    # All ranks notice a loss that is not finite; a slow one may see the other end first.
    assert ended in messages or bad == "nan"


def test_other_machines_need_a_cluster(tmp_path: Path) -> None:
    code, messages = finish(start(tmp_path, {**PLAIN, "nodes": 2}))
    assert code == 1
    assert error_lines(messages) == [
        "error: nodes: 2: only a cluster can start processes on other machines; submit the "
        "training with a cluster profile (docs/how-to/slurm.md), or set nodes: 1"
    ]


def test_batches_that_cannot_be_shared_are_refused() -> None:
    stream = {"model": "slgcn", "gpus": 3, "training": {"batch_size": 9}}
    config = {
        "name": "x",
        "data": {"layout": "table", "table": "x.csv"},
        "streams": {"joint": stream},
        "tracks": {"rgb": {"streams": {"joint": 1.0}}},
    }
    check_config(config)
    expected = "streams.joint: batch_size 64 of phase finetune is not a multiple of 3 processes"
    with pytest.raises(ConfigError, match=expected):
        check_config({**config, "protocol": "challenge"})
    with pytest.raises(
        ConfigError, match="batch_size 9 of phase train is not a multiple of 6 proc"
    ):
        check_config({**config, "streams": {"joint": {**stream, "nodes": 2}}})
