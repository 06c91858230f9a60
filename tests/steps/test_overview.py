"""The tables that a user opens first: answers, metrics and classes of a run."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.report.small_run import SIGNS, STREAMS, make_results

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "own-data.md"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("runs") / "mysigns").parent


def test_three_lines_of_pandas_give_the_accuracy(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(list(filter(None, lines.splitlines()))) == 3
    monkeypatch.chdir(results.parent.parent)
    exec(lines, {})  # the user's lines, word for word
    metrics = json.loads((results / "tracks/rgb/metrics.json").read_text())
    assert float(capsys.readouterr().out) == metrics["test"]["top1"]
    assert 0.5 < metrics["test"]["top1"] < 1


def test_one_table_has_all_tracks_and_streams(results: Path) -> None:
    table = pd.read_csv(results / "metrics.csv")
    places = {"rgb": "tracks/rgb", **{name: f"streams/{name}/train" for name in STREAMS}}
    assert table[["kind", "name", "split"]].values.tolist() == [
        [place.split("/")[0][:-1], name, split]
        for name, place in places.items()
        for split in ("test", "val")
    ]
    for row in table.to_dict("records"):
        metrics = json.loads((results / places[row["name"]] / "metrics.json").read_text())
        own = metrics[row["split"]]
        assert (row["correct"], row["samples"]) == (own["correct"], own["samples"])
        assert row["signers_low"] == own["bootstrap_signers"]["low"]


def test_the_classes_have_number_gloss_and_clips(results: Path) -> None:
    table = pd.read_csv(results / "classes.csv")
    assert table["label"].tolist() == list(range(10))
    assert table["gloss"].tolist() == SIGNS
    assert table[["train", "val", "test"]].drop_duplicates().values.tolist() == [[1, 2, 2]]
