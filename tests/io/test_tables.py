"""CSV tables of a run: natural types; missing, cut and foreign files are refused."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from slr_pipeline.config.checks import VerifySettings
from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.tables import read_table, write_table
from slr_pipeline.io.verified import Verified, read_verified, write_verified
from slr_pipeline.steps.quarantine import quarantine
from tests.report.small_run import make_results

NUMBERS = {
    "history": {"epoch": "int64", "train_loss": "float64", "val_accuracy": "float64"},
    "quality": {"frames": "int64", "person": "float64", "missing_left": "float64"},
    "verify": {"frames": "int64", "width": "int64", "fps": "float64"},
    "quarantine": {"frames": "int64", "width": "int64", "fps": "float64"},
    "predictions": {"correct": "bool", "probability": "float64"},
    "metrics": {"samples": "int64", "top1": "float64", "signers_low": "float64"},
    "classes": {"label": "int64", "train": "int64", "test": "int64"},
}
EMPTY = ("submission.csv", "duplicates.csv")
"""The submission has no header, and the run no duplicates."""
TYPES = {"sample": str, "frames": int, "person": float}


def test_pandas_loads_every_table_of_a_run_with_natural_types(tmp_path: Path) -> None:
    results = make_results(tmp_path).parent
    verified = sorted(map(str, results.glob("verify/*/*.csv")))
    settings = VerifySettings(max_quarantined=1.0)
    quarantine(settings, verified, str(results / "quarantine.csv"))
    paths = [path for path in results.rglob("*.csv") if path.name not in EMPTY]
    kinds = {path: next(kind for kind in NUMBERS if kind in str(path)) for path in paths}
    assert set(kinds.values()) == set(NUMBERS)
    for path, kind in kinds.items():
        table = pd.read_csv(path)
        assert len(table) > 0
        assert "check" not in table
        assert {name: str(table[name].dtype) for name in NUMBERS[kind]} == NUMBERS[kind], path
        if "sample" in table:
            assert pd.api.types.is_string_dtype(table["sample"])


def test_unknown_values_are_empty_and_text_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = [{"sample": "007", "frames": 3, "person": None}, {"sample": "NA", "frames": 0}]
    write_table(path, rows, list(TYPES))
    assert path.read_bytes() == b"sample,frames,person\n007,3,\nNA,0,\n"
    table = read_table(path, TYPES)
    assert table["sample"].tolist() == ["007", "NA"]
    assert table["person"].isna().all()


def test_verified_rows_come_back_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Verified("1e5", "a, b.mp4", "", 'the file "x" is empty', fps=29.97002997002997)
    absolute = replace(odd, color=str(tmp_path / "c.mp4"), depth="../d.mp4")
    write_verified("y/x.csv", [odd, absolute])
    assert "../a, b.mp4" in Path("y/x.csv").read_text()
    assert read_verified("y/x.csv") == [odd, absolute]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "the last line is incomplete"),
        (b"sample,frames,person\na,1,0.5\nb,1", "the last line is incomplete"),
        (b"sample,frames,person\n", "no rows"),
        (b"sample,frames\na,1\n", "no column person"),
        (b"sample,frames,person\na,b,1,0.5\n", "a row is longer than the header"),
        (b"sample,frames,person\na,1,0.5\nb,1,1,1\n", "Expected 3 fields in line 3, saw 4"),
        (b"sample,frames,person\na,,0.5\n", "invalid literal for int"),
        (b"sample,frames,person\na,x,0.5\n", "'x'"),
        (b"sample,frames,person,check\na,1,0.5,1f000000\n", "1f000000"),
        (b"sample,frames,person\n\xff,1,0.5\n", "can't decode byte 0xff"),
    ],
)
def test_another_file_is_refused_in_one_line(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=reason) as caught:
        read_table(path, TYPES)
    assert str(caught.value).startswith(f"{path}: cannot be read as a table of this version (")
    assert str(caught.value).endswith("; delete it and run again")
    assert len(str(caught.value).splitlines()) == 1
