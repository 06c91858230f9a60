"""`slr check` finds before a run what would stop it, all problems at once."""

import csv
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import check_stream
from slr_pipeline.io.logits import write_logits
from slr_pipeline.io.models import save_weights
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.training.streams import build_model
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
        lines = [line.removeprefix("error: ") for line in shown.err.splitlines()]
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


def test_a_stream_answers_for_itself_before_its_fine_tuning(check: Check) -> None:
    """As in the tracks of config/autsl_published.yaml."""
    logits_file("test.h5", "test", protocol="challenge")
    logits_file("before.h5", "test")
    track = {"fusion": "published", "streams": {"other": 1.0}, "untuned": {"other": 1.0}}
    changes = {"protocol": "challenge", "tracks": {"rgb": track}}
    (line,) = check(changes)
    assert line.startswith("config: tracks.rgb.untuned.other: the stream is not fine-tuned here an")
    assert line.endswith("; set streams.other.untuned to its logits from before it")
    streams = {"other": {**IMPORTED, "untuned": "before.h5"}}
    assert check({**changes, "streams": streams}) == []
    streams = {"other": {**IMPORTED, "untuned": "test.h5"}}
    (line,) = check({**changes, "streams": streams})
    assert line.startswith("streams.other.untuned: test.h5: the file states protocol challenge, ex")


# --- files ----------------------------------------------------------------------------------------

TRAINED = {"model": "slgcn", "width": 32, "init": {"path": "w.safetensors"}}
JOINT = {"rgb": {"streams": {"joint": 1.0}}}


def test_paths_that_do_not_exist_are_all_listed(check: Check) -> None:
    for name in "cf":
        Path(f"{name}.mp4").unlink()
    imported = {"estimator": "imported", "format": "pose", "path": "{sample}.pose"}
    Path("a.pose").write_bytes(b"no pose")
    found = check(
        {
            "features": {"keypoints": imported},
            "streams": {"joint": TRAINED, "other": {**IMPORTED, "val": "gone.h5"}},
            "tracks": {
                "rgb": {"streams": {"joint": 1.0}, "template": "t.csv", "baseline": "b.csv"}
            },
        }
    )
    assert [line.split("; ")[0] for line in found[:6]] == [
        "streams.joint.init.path: w.safetensors is not there",
        "streams.other.val: gone.h5 is not there",
        "tracks.rgb.template: t.csv is not there",
        "tracks.rgb.baseline: b.csv is not there",
        "sample c: c.mp4 is not there",
        "sample f: f.mp4 is not there",
    ]
    assert [line.rpartition(" ")[2] for line in found[6:11]] == list("bcdef")
    assert found[11].startswith("features.keypoints.path: a.pose: not a ")
    assert len(found) == 12
    for name in "abde":
        Path(f"{name}.mp4").unlink()
    streams = {"joint": {"model": "slgcn"}}
    (line,) = check({"streams": streams, "tracks": JOINT})
    assert line.startswith("data: none of the 6 videos is there, first a.mp4; correct data.root")


def test_weights_that_do_not_fit_are_found_by_their_header(check: Check, tmp_path: Path) -> None:
    changes = {"streams": {"joint": TRAINED}, "tracks": JOINT}
    torch.save({"x": torch.ones(1)}, "w.safetensors")
    (line,) = check(changes)
    assert line.startswith("streams.joint.init.path: w.safetensors: not a whole safetensors file")
    assert line.endswith("with `slr import-checkpoint`")

    def write(classes: int, **settings: object) -> None:
        model = build_model(check_stream({"model": "slgcn", **settings}), classes)
        facts = {"model": "slgcn", "source": "released", "classes": str(classes)}
        save_weights("w.safetensors", model.state_dict(), facts)

    write(2, width=16)
    (line,) = check(changes)
    assert "do not fit the SLGCN of these settings" in line
    assert re.search(r"; first misshapen: \S+ is \(.*\), expected \(.*\); correct", line)
    # The same at the start of a run, before any job.
    done = WorkflowRun(tmp_path, experiment(**changes)).snakemake("submission")
    assert done.stderr.split("error: ")[1].splitlines() == [line]
    assert not Path("results").exists()

    write(3, width=32)  # other classes: a new classifier is trained
    assert check(changes) == []
    strict = {"joint": {**TRAINED, "training": {"epochs": 0}}}
    (line,) = check({**changes, "streams": strict})
    assert "it has no weights of classifier" in line


def test_a_broken_table_hides_no_other_problem(check: Check) -> None:
    Path("samples.csv").write_text("sample,split\n")
    torch.save({"x": torch.ones(1)}, "w.safetensors")
    first, second = check({"streams": {"joint": TRAINED}, "tracks": JOINT})
    assert first.startswith("samples.csv")
    assert second.startswith("streams.joint.init.path: w.safetensors: not a whole safetensors")


def test_a_template_of_other_names_is_found(check: Check) -> None:
    Path("t.csv").write_text("e,0\ng,0\n")
    (line,) = check({"tracks": {"rgb": {**experiment()["tracks"]["rgb"], "template": "t.csv"}}})
    assert line.startswith("tracks.rgb.template: t.csv: expected 2 names, found 2; missing 1 ('f')")


def test_a_config_that_is_missing_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["check", "no.yaml"], ["plan", "no.yaml"], ["weights", "check", "no.yaml"]):
        with pytest.raises(SystemExit):
            main(command)
        assert capsys.readouterr().err.startswith("error: no.yaml: there is no such file; name ")
