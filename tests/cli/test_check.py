"""`slr check` finds before a run what would stop it, all problems at once."""

import csv
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from slr_pipeline.cli.main import main
from slr_pipeline.io.logits import write_logits
from slr_pipeline.scoring.logits import Logits
from tests.workflow.conftest import WorkflowRun

Check = Callable[[dict[str, Any]], list[str]]

SAMPLES = {"train": ("a", "b"), "val": ("c", "d"), "test": ("e", "f")}
IMPORTED = {"model": "imported", "reads": ["frames"], "val": "val.h5", "test": "test.h5"}


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Check:
    """Runs `slr check` on an experiment with two samples per split: its error lines."""
    monkeypatch.chdir(tmp_path)
    rows = [
        [name, split, label, f"{name}.mp4"]
        for split, names in SAMPLES.items()
        for label, name in zip("xy", names, strict=True)
    ]
    with open("samples.csv", "w", newline="") as file:
        csv.writer(file).writerows([["sample", "split", "label", "color"], *rows])
    for row in rows:
        Path(row[3]).touch()
    logits_file("val.h5", "val")
    logits_file("test.h5", "test")

    def run(changes: dict[str, Any]) -> list[str]:
        Path("config.yaml").write_text(yaml.safe_dump(experiment(**changes)))
        capsys.readouterr()
        with suppress(SystemExit):
            main(["check"])
        shown = capsys.readouterr()
        lines = shown.err.removeprefix("error: ").splitlines()
        assert bool(lines) != bool(shown.out)
        return lines

    return run


def experiment(**changes: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "data": {"layout": "table", "table": "samples.csv"},
        "streams": {"other": IMPORTED},
        "tracks": {"rgb": {"fusion": "published", "streams": {"other": 1.0}}},
        **changes,
    }


def logits_file(
    path: str,
    split: str,
    protocol: str = "strict",
    reads: tuple[str, ...] | None = ("frames",),
    classes: str = "xy",
) -> None:
    """A file as `slr import-logits` writes it, or a run if `reads` is None."""
    names = SAMPLES[split]
    values, answered = np.ones((len(names), len(classes)), np.float32), np.ones(len(names), bool)
    imported = {} if reads is None else {"imported": {"reads": reads}}
    write_logits(path, Logits(names, values, answered, tuple(classes), protocol), imported)


OTHER = {"rgb": {"fusion": "published", "streams": {"other": 1.0}, "untuned": {"before": 1.0}}}


@pytest.mark.parametrize(
    ("file", "stated", "line"),
    [
        ("test.h5", {"reads": ["hha"]}, "the file states reads hha, expected frames; "),
        (
            "test.h5",
            {"reads": ["frames", "flow"]},
            "the file states reads flow, frames, expected f",
        ),
        ("test.h5", {"protocol": "challenge"}, "the file states protocol challenge, expected str"),
        ("val.h5", {"protocol": "challenge"}, "the file states protocol challenge, expected str"),
        ("test.h5", {"classes": "xyz"}, "expected 2 classes as in the sample table, found 3"),
        ("test.h5", {"classes": "yx"}, "class 0 is 'y', in the sample table 'x'"),
        ("test.h5", {"split": "val"}, "expected the 2 names of split test, found 2; missing 2 ("),
    ],
)
def test_imported_logits_are_what_the_config_says(
    check: Check, file: str, stated: dict[str, Any], line: str
) -> None:
    split = Path(file).stem
    logits_file(file, **{"split": split, **stated})
    (found,) = check({})
    assert found.startswith(f"streams.other.{split}: {file}: {line}")


def test_the_start_of_a_run_compares_imported_logits_too(check: Check, tmp_path: Path) -> None:
    """All wrong files, a line each; the same lines as those of `slr check`."""
    logits_file("val.h5", "val", reads=("hha",))
    logits_file("before.h5", "test", protocol="challenge", reads=None)
    Path("test.h5").write_bytes(b"pickle")
    changes = {
        "protocol": "challenge",
        "streams": {"other": IMPORTED, "before": {**IMPORTED, "test": "before.h5"}},
        "tracks": OTHER,
    }
    lines = check(changes)
    assert [line.split(": ")[0] for line in lines] == [
        *("streams.before.val", "streams.before.test"),
        *("streams.other.val", "streams.other.test"),
    ]
    done = WorkflowRun(tmp_path, experiment(**changes)).snakemake("submission")
    assert done.returncode == 1
    assert done.stderr.split("error: ")[1].splitlines() == lines
    assert not Path("results").exists()


def test_logits_that_state_nothing_or_the_same_are_accepted(check: Check) -> None:
    logits_file("test.h5", "test", reads=None)
    assert check({}) == []
    logits_file("test.h5", "test", protocol="challenge")
    logits_file("before.h5", "test")
    before = {**IMPORTED, "test": "before.h5"}
    streams = {"other": IMPORTED, "before": before}
    assert check({"protocol": "challenge", "streams": streams, "tracks": OTHER}) == []
