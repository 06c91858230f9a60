"""Fuzzing: reading any file raises nothing but an SlrError with printable lines.

Fuzzed beside their other tests: split tables (tests/samples/test_splits.py), checkpoints
(tests/contract/test_model_file.py), training states (tests/training/test_state.py), files of a run
(test_corrupt_artifacts.py).
"""

import copy
import csv
import importlib.util
import io
import json
import math
import pickle
import struct
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slr_pipeline.config.estimators import KeypointsSettings
from slr_pipeline.config.experiment import (
    SPLITS,
    AutslData,
    Config,
    DataSettings,
    TableData,
    check_config,
    read_config,
)
from slr_pipeline.config.flags import parse_setting
from slr_pipeline.config.streams import TrainedStream
from slr_pipeline.errors import SlrError
from slr_pipeline.io.benchmarks import read_costs, read_seconds
from slr_pipeline.io.foreign.annotations import AnnotationFile
from slr_pipeline.io.foreign.logits import read_foreign_logits
from slr_pipeline.io.foreign.openpose_json import read_folder
from slr_pipeline.io.foreign.pose_file import read_pose, write_pose
from slr_pipeline.io.foreign.samslr import read_samslr
from slr_pipeline.io.foreign.weights import read_foreign
from slr_pipeline.io.logits import write_logits
from slr_pipeline.io.models import save_weights
from slr_pipeline.io.submission import read_template, submission_problems, write_submission
from slr_pipeline.io.tables import read_table
from slr_pipeline.samples.table import SAMPLE_NAME, load_samples
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.text import refused_character
from tests.pose.foreign import SAMPLE, annotation, truth, write_mmaction2, write_samslr

ROOT = Path(__file__).parents[2]
DEMO = (ROOT / "config.yaml").read_text(encoding="utf-8")

many = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.binary(max_size=4), st.integers(0, 4)), max_size=5
)


def changed(data: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    """Replace `old` bytes at each place (modulo the length) by new ones."""
    for place, new, old in changes:
        at = place % (len(data) + 1)
        data = data[:at] + new + data[at + old :]
    return data


def read_or_refuse(read: Callable[[], object]) -> object:
    """The content, or None if it is refused with printable lines."""
    try:
        return read()
    except SlrError as error:
        lines = str(error).split("\n")
    assert not any(map(refused_character, lines)), lines
    assert all(len(line) < 2000 for line in lines)
    return None


# --- tables of samples ----------------------------------------------------------------------------

TABLE = (
    b"sample,split,label,signer,color,depth\r\n"
    b'a,train,yes,1,v/a.mp4,\r\nb,train,"no, no",2,b.mp4,\r\n'
    b"c,val,yes,3,c.mp4,c_d.mp4\r\nd,test,,4,d.mp4,\r\n"
)

CELLS = st.one_of(
    st.sampled_from(["a", "b", "c", "train", "val", "test", "yes", "no", "0", "1", "ş", "v/x.mp4"]),
    st.text(max_size=8),
    st.integers().map(str),
)


def check_table(path: Path) -> None:
    data = TableData(layout="table", table=str(path), signer_independent=False)
    table = read_or_refuse(lambda: load_samples(data))
    if table is None:
        return
    actual = load_samples(data)
    assert all(SAMPLE_NAME.fullmatch(sample.name) for sample in actual.samples)
    assert all(actual.split(split) for split in SPLITS)
    root = f"{path.parent}/"
    assert all(str(Path(s.color).resolve()).startswith(root) for s in actual.samples)


@many
@given(changes=CHANGES)
def test_a_changed_table(tmp_path: Path, changes: list[tuple[int, bytes, int]]) -> None:
    path = tmp_path.resolve() / "samples.csv"
    path.write_bytes(changed(TABLE, changes))
    check_table(path)


@many
@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=6), max_size=8), given=st.booleans())
def test_a_table_of_any_cells(tmp_path: Path, rows: list[list[str]], given: bool) -> None:
    path = tmp_path.resolve() / "samples.csv"
    header = ["sample", "split", "label", "color"]
    try:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if given:
            writer.writerow(header)
            rows = [["a", "train", "0", "a.mp4"], ["b", "val", "1", "b.mp4"], *rows]
        writer.writerows(rows)
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
    except (UnicodeEncodeError, csv.Error):  # not writable as a file
        return
    check_table(path)


@many
@given(changes=CHANGES, which=st.sampled_from(["classes", "train", "classes.txt"]))
def test_changed_lists_of_classes_and_labels(
    tmp_path: Path, changes: list[tuple[int, bytes, int]], which: str
) -> None:
    files = {
        "classes": b"ClassId,TR,EN\n0,abla,sister\n1,acele,hurry\n",
        "train": b"signer1_sample1,0\nsigner1_sample2,1\n",
        "val": b"signer2_sample1,0\n",
        "test": b"signer3_sample1,1\n",
        "classes.txt": b"yes\nno, no\n",
    }
    files[which] = changed(files[which], changes)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "samples.csv").write_bytes(TABLE)
    labels = {"train": "train", "val": "val", "test": "test"}
    read_or_refuse(
        lambda: load_samples(
            AutslData(layout="autsl", root=str(tmp_path), labels=labels, classes="classes")
        )
    )
    classes = str(tmp_path / "classes.txt")
    read_or_refuse(
        lambda: load_samples(
            TableData(layout="table", table=str(tmp_path / "samples.csv"), classes=classes)
        )
    )


# --- configs --------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**63, 2**64, 10**400, 16**3000, -1, math.inf, math.nan, 1e308]),
        st.floats(),
        st.text(max_size=6),
        st.binary(max_size=4),
        st.dates(date(1, 1, 1), date(9999, 1, 1)),
        st.sampled_from(["joint", "rgb", "slgcn", "imported", "autsl", "table", "\x1b[2J", "a\nb"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys of each value of a config."""
    if not isinstance(value, dict):
        return [way]
    return [way, *(p for key, part in value.items() for p in places(part, (*way, key)))]


CONFIG = yaml.safe_load(DEMO)
PLACES = [way for way in places(CONFIG) if way]


def put(values: dict[str, Any], way: tuple[Any, ...], key: Any, value: Any) -> None:
    for part in way[:-1]:
        if not isinstance(values := values[part], dict):
            return
    values[way[-1] if key is None else key] = value


@settings(many, max_examples=400)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(PLACES), st.none() | st.text(max_size=4), VALUES),
        min_size=1,
        max_size=3,
    )
)
def test_a_config_of_any_values(changes: list[tuple[tuple[Any, ...], str | None, Any]]) -> None:
    values = copy.deepcopy(CONFIG)
    for way, key, value in changes:
        try:
            put(values, way, key, value)
        except KeyError:  # an earlier change removed the key
            continue
    actual = read_or_refuse(lambda: check_config(values))
    if actual is not None:
        assert isinstance(actual, Config)
        assert check_config(json.loads(actual.model_dump_json())) == actual


@many
@given(changes=CHANGES)
def test_a_changed_config(tmp_path: Path, changes: list[tuple[int, bytes, int]]) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(changed(DEMO.encode(), changes))
    read_or_refuse(lambda: read_config(str(path)))


@many
@given(text=st.text(alphabet="{}[]&*!<:-?,|>'\"%@`# \n\tab0~", max_size=60))
def test_any_yaml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    read_or_refuse(lambda: read_config(str(path)))


@many
@given(value=VALUES, text=st.text(max_size=20), cut=st.integers(0, 60))
def test_any_flag_of_a_step(value: Any, text: str, cut: int) -> None:
    flags = [text, "[" * 10_000, "9" * 5000, json.dumps(value, default=str)]
    flags.append('{"layout":"table","table":"x","root":null}'[:cut])
    for flag in flags:
        for kind in (DataSettings, TrainedStream, KeypointsSettings):
            read_or_refuse(lambda kind=kind, flag=flag: parse_setting(kind, flag, "flag"))


# --- files of a run and of other programs ---------------------------------------------------------


def own_logits(path: Path) -> None:
    logits = Logits(("a", "b"), np.eye(2, dtype=np.float32), np.ones(2, bool), ("x", "y"), "strict")
    write_logits(path, logits, {})


SCORES = {"a": np.ones(3, np.float32), np.str_("b"): [1.0, np.float32(2), 3]}


def scores_npz(save: Callable[..., None], path: Path) -> None:
    with path.open("wb") as file:
        save(file, allow_pickle=False, names=np.asarray(["a", "b"]), values=np.eye(2))


def pose_file(version: float, path: Path) -> None:
    write_pose(path, truth()[:1], "coco-wholebody-133", width=512, height=512, fps=25)
    path.write_bytes(struct.pack("<f", version) + path.read_bytes()[4:])


def check_finite(arrays: Sequence[np.ndarray]) -> None:
    assert all(np.isfinite(array).all() for array in arrays)


def read_annotations(path: Path) -> None:
    file = AnnotationFile(path)
    if file.has(SAMPLE):
        check_finite(file.read(SAMPLE).frames)


def read_scores(path: Path) -> None:
    scores = read_foreign_logits(path)
    assert len(scores.values) == len(set(scores.samples))
    check_finite([scores.values])


def write_predictions(path: Path) -> None:
    write_submission(path.with_suffix(".csv"), [("b", 225), ("a", 0)], ["b", "a"], 226)


def check_predictions(path: Path) -> None:
    write_predictions(path.with_name("template.csv"))
    problems = submission_problems(path, path.with_name("template.csv"), 226)
    assert not any(map(refused_character, problems))
    read_template(path)


COSTS = "s\th:m:s\tmax_rss\tcpu_time\n1.5\t0:00:01\t20.5\t-\n"
FILES: dict[str, tuple[str | Callable[[Path], object], Callable[[Path], object]]] = {
    "logits.h5": (own_logits, read_foreign_logits),
    "foreign.safetensors": (
        lambda path: save_weights(path, {"a": torch.arange(6.0), "b": torch.tensor(3)}, {"c": "d"}),
        read_foreign,
    ),
    "history.csv": ("epoch,loss\n0,2.5\n", lambda path: read_table(path, {"epoch": int})),
    "submission.csv": (write_predictions, check_predictions),
    "submission.zip": (write_predictions, check_predictions),
    "costs.tsv": (COSTS, read_seconds),
    "costs/rule.tsv": (COSTS, lambda path: read_costs(path.parent)),
    **{
        f"scores.{n}.pkl": (
            lambda path, n=n: path.write_bytes(pickle.dumps(SCORES, n)),
            read_scores,
        )
        for n in range(6)
    },
    "scores.npz": (partial(scores_npz, np.savez), read_scores),
    "packed.npz": (partial(scores_npz, np.savez_compressed), read_scores),
    "scores.csv": ("sample,0,1\r\na,0.5,-1e3\r\nb,2,3\r\n", read_scores),
    "points.npy": (
        lambda path: write_samslr(path, truth()[:1]),
        lambda path: check_finite(read_samslr(path).frames),
    ),
    "all.pkl": (lambda path: write_mmaction2(path, [annotation(truth()[:1])]), read_annotations),
}
if importlib.util.find_spec("pose_format") is not None:
    for version in (0.0, 0.1, 0.2):
        FILES[f"{version}.pose"] = (
            partial(pose_file, version),
            lambda path: check_finite(read_pose(path).frames),
        )


@pytest.mark.parametrize("name", FILES)
@many
@given(changes=CHANGES, cut=st.none() | st.integers(0, 10**6))
def test_a_changed_file(
    tmp_path: Path, name: str, changes: list[tuple[int, bytes, int]], cut: int | None
) -> None:
    make, read = FILES[name]
    path, whole = tmp_path / name, tmp_path / f"whole {Path(name).name}"
    path.parent.mkdir(exist_ok=True)
    if not whole.exists():
        if isinstance(make, str):
            whole.write_text(make)
        else:
            make(whole)
    data = changed(whole.read_bytes(), changes)
    path.write_bytes(data if cut is None else data[: cut % (len(data) + 1)])
    read_or_refuse(lambda: read(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["people", "pose_keypoints_2d", "face_keypoints_2d", "x"]), inner
        )
    ),
    max_leaves=12,
)


@many
@given(content=JSON, count=st.integers(0, 140), value=st.floats() | st.integers())
def test_openpose_json_of_any_values(
    tmp_path: Path, content: object, count: int, value: float
) -> None:
    path = tmp_path / "a_000000000000_keypoints.json"
    for text in (
        json.dumps(content),
        json.dumps({"people": content}),
        json.dumps({"people": content})[:count],
        json.dumps({"people": [{"pose_keypoints_2d": [value] * 3 * count}]}),
    ):
        path.write_text(text)
        read_or_refuse(lambda: read_folder(tmp_path))
