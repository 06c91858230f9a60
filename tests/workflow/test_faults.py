"""Bad input stops before anything runs, by one clear line."""

from pathlib import Path

import pytest

from tests.workflow.conftest import Run, make_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "bad input")


def error_of(run: Run, *arguments: str, **changes: object) -> str:
    """The one error line of a run that must fail at parse time."""
    done = run.snakemake("--dry-run", "submission", *arguments, **changes)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert not (run.folder / "results").exists()
    return lines[0]


def test_wrong_key(run: Run) -> None:
    assert error_of(run, sead=1).startswith("error: config: sead: unknown key (known: data,")


def test_weight_for_no_stream(run: Run) -> None:
    line = error_of(run, tracks={"rgb": {"streams": {"bone": 1.0}}})
    assert line == ("error: config: tracks.rgb.streams.bone: a weight for no stream (known: joint)")


def test_doubled_sample(run: Run) -> None:
    run.write_rows([*run.rows(), run.rows()[0]])
    assert "stands twice; names must be unique" in error_of(run)


def test_label_out_of_range(run: Run) -> None:
    (run.folder / "classes.txt").write_text("0\n1\n2\n")
    data = {**run.config["data"], "classes": "classes.txt"}
    assert "label '3' is not a class (known: 0, 1, 2)" in error_of(run, data=data)


def test_unreadable_table(run: Run) -> None:
    (run.folder / "samples.csv").write_bytes(b"\xff\xfe\x00sample")
    assert "samples.csv: not UTF-8 text" in error_of(run)
    (run.folder / "samples.csv").unlink()
    assert "samples.csv: cannot be read (No such file or directory)" in error_of(run)
