"""Several processes on this machine, over gloo: what they see, agree on, and leave behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from slr_pipeline.config.experiment import check_config
from slr_pipeline.errors import ConfigError
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.quality import write_quality
from tests.feature_files import write_feature
from tests.training.conftest import movement

ROOT = Path(__file__).parents[2]
RECIPE = {"epochs": 3, "batch_size": 6, "learning_rate": 0.05, "micro_batch": 3, "clip_norm": 0.5}
# 20 samples: 3 batches of an epoch, two samples left out.
PLAIN = {"samples": 20, "norm": False, "recipe": {**RECIPE, "optimizer": "sgd", "ema_decay": 0.8}}
RANDOM = {"samples": 20, "norm": True, "dropout": 0.3, "recipe": RECIPE, "gpus": 2}
PAIR = [0, 1]


def start(folder: Path, options: dict[str, Any]) -> "subprocess.Popen[str]":
    """A training of the small task."""
    folder.mkdir(exist_ok=True)
    return started("tests.training.small_job", str(folder), json.dumps(options))


def started(*command: str) -> "subprocess.Popen[str]":
    """A module that runs in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit status and messages; none of its processes is left."""
    try:
        _, messages = process.communicate(timeout=120)
    finally:
        left = still_there(process.pid)
        if left:
            os.killpg(process.pid, signal.SIGKILL)
    assert not left
    return process.returncode, messages


def still_there(group: int) -> bool:
    """Whether a process of this group is there after some seconds; they are not told to end."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


def ended_well(folder: Path, options: dict[str, Any]) -> str:
    code, messages = finish(start(folder, options))
    assert code == 0, messages
    return messages


def result(folder: Path, rank: int) -> Any:
    return json.loads((folder / f"result-{rank}").read_text())


def seen(folder: Path, rank: int) -> list[str]:
    return (folder / f"seen-{rank}").read_text().split()


def error_lines(messages: str) -> list[str]:
    return [line for line in messages.splitlines() if line.startswith("error: ")]


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """The same batches, no sample twice; as one process that takes them in two parts."""
    one, two = tmp_path / "one", tmp_path / "two"
    ended_well(one, PLAIN)
    messages = ended_well(two, {**PLAIN, "gpus": 2})
    assert [line[:7] for line in messages.splitlines() if line.startswith("epoch")] == [
        *("epoch 0", "epoch 1", "epoch 2")
    ]
    shares = [seen(two, rank) for rank in PAIR]
    assert len(shares[0]) == len(shares[1]) == 3 * 3 * 3
    batches = [names for k in range(0, 27, 3) for share in shares for names in share[k : k + 3]]
    assert batches == seen(one, 0)

    alone, pair = result(one, 0), [result(two, rank) for rank in PAIR]
    assert pair[0] == pair[1]  # weights to the bit, scores of val too
    for row, expected in zip(pair[0]["rows"], alone["rows"], strict=True):
        assert row == pytest.approx(expected, rel=1e-5)
    for name, weight in alone["best"].items():
        assert flat(pair[0]["best"][name]) == pytest.approx(flat(weight), rel=1e-5, abs=1e-6)


def flat(values: Any) -> list[float]:
    if not isinstance(values, list):
        return [values]
    return [number for part in values for number in flat(part)]


@pytest.mark.slow
def test_batch_norm_and_dropout_keep_the_processes_equal(tmp_path: Path) -> None:
    """Batch norm sees shares; what is dropped differs; the same command gives the same bits."""
    ended_well(tmp_path / "a", RANDOM)
    ended_well(tmp_path / "b", RANDOM)
    results = [result(tmp_path / name, rank) for name in "ab" for rank in PAIR]
    assert results == results[:1] * 4
    # Without dropout the loss of training is that of one process with parts of such size.
    still = {**RANDOM, "dropout": 0}
    ended_well(tmp_path / "c", still)
    ended_well(tmp_path / "d", {**still, "gpus": 1})
    losses = [
        [row["train_loss"] for row in result(tmp_path / name, 0)["rows"]] for name in ("c", "d")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != [row["train_loss"] for row in results[0]["rows"]]


def test_fewer_samples_than_a_batch_are_shared_equally(tmp_path: Path) -> None:
    messages = ended_well(tmp_path, {**PLAIN, "gpus": 2, "samples": 5})
    assert messages.count("4 train samples make one batch (batch_size 6)") == 1
    shares = [seen(tmp_path, rank) for rank in PAIR]
    assert [len(share) for share in shares] == [2 * 3, 2 * 3]
    for epoch in range(3):
        names = {name for share in shares for name in share[2 * epoch : 2 * epoch + 2]}
        assert len(names) == 4


@pytest.mark.slow
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_training_goes_on_to_the_same_bytes(
    tmp_path: Path, first: signal.Signals
) -> None:
    """The signal goes to the process that started the other; SIGKILL cannot be noticed by it."""
    ended_well(tmp_path / "undisturbed", RANDOM)
    folder = tmp_path / "stopped"
    running = start(folder, {**RANDOM, "wait_s": 0.1})
    while running.poll() is None and not (folder / "state/state-1.pt").exists():
        time.sleep(0.05)
    os.kill(running.pid, first)
    code, messages = finish(running)
    if first == signal.SIGTERM:
        assert code == 1
        [line] = error_lines(messages)
        assert line.startswith("error: stopped by SIGTERM in epoch ")
    else:
        assert code == -signal.SIGKILL
    assert not (folder / "result-0").exists()
    messages = ended_well(folder, RANDOM)
    assert messages.count("goes on in epoch ") == 1
    for rank in PAIR:
        assert result(folder, rank) == result(tmp_path / "undisturbed", rank)


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ("sample", "error: {}: cannot be read"),
        ("nan", "error: epoch 0: the loss is nan for the batch of "),
        ("bug", "error: ValueError: a bug"),
    ],
)
def test_what_fails_in_one_process_ends_all_in_one_line(
    tmp_path: Path, bad: str, expected: str
) -> None:
    """It is not the one that started the other, which says it."""
    code, messages = finish(start(tmp_path, {**PLAIN, "gpus": 2, "bad": bad}))
    assert code == 1
    [line] = error_lines(messages)
    assert line.startswith(expected.format(seen(tmp_path, 1)[0]))
    assert messages.count("Traceback") == (bad == "bug")
    if bad == "nan":  # the whole batch is named
        batch = line.partition("batch of ")[2].partition(";")[0].split(", ")
        assert batch == [*seen(tmp_path, 0)[:3], *seen(tmp_path, 1)[:3]]


@pytest.mark.slow
def test_the_step_writes_once_and_the_same_bytes_again(tmp_path: Path) -> None:
    names = [f"{number % 4}_{number}" for number in range(12)]
    clips = [NewClip(name, movement(name), 512, 512, 25.0) for name in names]
    write_feature(tmp_path / "all.h5", "keypoints", clips, {}, {})
    splits = ["train"] * 8 + ["val"] * 4
    rows = [f"{name},{split},{name[0]},x" for name, split in zip(names, splits, strict=True)]
    table = "\n".join(["sample,split,label,color", *rows, "unused,test,,x", ""])
    (tmp_path / "samples.csv").write_text(table)
    write_quality(tmp_path / "quality.csv", [{"sample": "unused", "reason": ""}])
    recipe = {"epochs": 2, "batch_size": 4, "warmup_epochs": 0, "overfit_steps": 0}
    stream = {"model": "slgcn", "width": 16, "window": 24, "gpus": 2, "training": recipe}
    data = {"layout": "table", "table": str(tmp_path / "samples.csv")}
    written = []
    for name in ("one", "two"):
        out = tmp_path / name
        out.mkdir()
        code, messages = finish(
            started(
                *("slr_pipeline.steps.train", "--phase", "train", "--seed", "1"),
                *("--data", json.dumps(data), "--stream", json.dumps(stream), "--device", "cpu"),
                *("--features", str(tmp_path / "all.h5")),
                *("--quality", str(tmp_path / "quality.csv")),
                *("--state", str(out / "state"), "--history", str(out / "history.csv")),
                *("--out", str(out / "model.safetensors")),
            )
        )
        assert code == 0, messages
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert written[0].keys() == {"model.safetensors", "model.json", "history.csv"}
    assert written[0] == written[1]


def test_other_machines_need_a_cluster(tmp_path: Path) -> None:
    code, messages = finish(start(tmp_path, {**PLAIN, "nodes": 2}))
    assert code == 1
    assert error_lines(messages) == [
        "error: nodes: 2: nobody has started this training on other machines; submit it with a "
        "cluster profile (docs/how-to/slurm.md), or set nodes: 1"
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
