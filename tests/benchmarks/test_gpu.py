"""The benchmark of a GPU, on the CPU and at the demo's sizes."""

import ast
import re
import time
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.gpu import COLUMNS, kinds, main, prepare, rows
from slr_pipeline.config.experiment import read_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_every_model_has_its_rows_and_its_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "gpu.md"
    flags = ["--device", "cpu", "--small", "--steps", "1", "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["gpu", *flags])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr().out
    assert end.value.code == 0, printed
    assert out.read_text() == printed
    command, _, *table, _, rates = printed.splitlines()
    assert command.startswith("`python -m benchmarks.gpu --device cpu --small --steps 1 ")
    found = [dict(zip(COLUMNS, cells(line), strict=True)) for line in table[2:]]
    streams = ["`joint`", "`sstcn`", "`rgb`", "`vtn_hcpf`"]
    assert [row["stream"] for row in found] == 3 * streams
    assert [row["work"] for row in found] == 4 * ["train"] + 4 * ["predict"] + 4 * ["train"]
    for row in found:
        assert row["steps"] == "1"
        assert float(row["items/s"]) > 0
        assert 0 <= float(row["waiting"].rstrip("%")) < 100
    name, _, value = rates.partition(" = ")
    by_model = ast.literal_eval(value)
    assert (name, set(by_model)) == ("GPU_GFLOPS", {"slgcn", "sstcn", "r2plus1d", "vtn"})
    trained = [float(row["TFLOP/s"]) * 1000 for row in found[:4]]
    assert list(by_model.values()) == pytest.approx(trained, rel=0.01)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_run_out_of_time_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = prepare(Namespace(small=True, device="cpu", steps=1), tmp_path)
    assert rows(bench, time.monotonic() + 0.2, None) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\n\nOut of time: \d+ rows are missing\.\n\nGPU_GFLOPS = {.*}\n$", printed)


def test_every_kind_of_input_of_autsl_is_trained() -> None:
    streams = kinds(read_config("config/autsl.yaml").streams, small=False)
    assert list(streams) == ["joint", "sstcn", "rgb", "flow", "vtn_hcpf", "vtn_hcpf_d"]
