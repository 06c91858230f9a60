"""Logits of other programs: every form, what is refused, and that nothing in a file is run."""

import io
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slr_pipeline.config.experiment import AutslData, AutslLabels
from slr_pipeline.errors import ArtifactError, DataError, SlrError
from slr_pipeline.io.container import seal
from slr_pipeline.io.foreign.logits import join_logits, read_foreign_logits
from slr_pipeline.io.logits import write_logits
from slr_pipeline.samples.table import Sample, SampleTable, load_samples
from slr_pipeline.scoring.logits import Logits
from tests.shared_data import SHARED

AUTSL = SHARED / "autsl"
needs_autsl = pytest.mark.skipif(
    not AUTSL.is_dir(), reason="no AUTSL labels: SLR_SHARED_DATA or ../shared/data has no autsl"
)

NAMES = ("signer6_sample2", "signer6_sample10", "signer6_sample1")
VALUES = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
TABLE = SampleTable(
    classes=tuple("abcde"),
    samples=tuple(Sample(name, "test", None, "6", "x.mp4", None) for name in sorted(NAMES)),
)


def vectors(shape: tuple[int, ...] = (5,), ending: str = "") -> dict[str, Any]:
    return {name + ending: row.reshape(shape) for name, row in zip(NAMES, VALUES, strict=True)}


def saved(path: Path, content: object, protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def old_spelling(data: bytes) -> bytes:
    """A pickle as numpy 1 wrote it: another name of the same length in front of a new line."""
    assert b"numpy._core." in data
    return data.replace(b"numpy._core.", b"numpy.core.")


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(("shape", "ending"), [((5,), ""), ((1, 5), "_color.mp4")])
def test_pickles_of_every_protocol(
    tmp_path: Path, protocol: int, shape: tuple[int, ...], ending: str
) -> None:
    found = read_foreign_logits(saved(tmp_path / "x.pkl", vectors(shape, ending), protocol))
    assert found.samples == NAMES
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.answered.all()
    assert re.fullmatch("[0-9a-f]{64}", found.sha256)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3])
def test_pickles_of_numpy_1(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "x.pickle"
    path.write_bytes(old_spelling(pickle.dumps(vectors(), protocol)))
    np.testing.assert_array_equal(read_foreign_logits(path).values, VALUES)


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    """Byte strings for names and numbers, by hand: Python 3 cannot write them."""
    raw = np.asarray([1.5, -2.0], "<f4").tobytes()
    path = tmp_path / "x.pkl"
    path.write_bytes(
        b"\x80\x02}U\x03abccnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08" + raw + b"tbs."
    )
    found = read_foreign_logits(path)
    assert found.samples == ("abc",)
    assert found.values.tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize("kind", ["<f2", ">f4", "<f8", ">i2", "u1", "?"])
def test_numbers_of_every_type(tmp_path: Path, kind: str) -> None:
    row = np.asarray([0, 1, 1, 0]).astype(kind)
    found = read_foreign_logits(saved(tmp_path / "x.pkl", {"a": row}))
    assert found.values.tolist() == [[0, 1, 1, 0]]
    assert found.values.dtype == np.float32


def test_scalars_lists_and_ordered_dicts(tmp_path: Path) -> None:
    content = OrderedDict([(np.str_("a"), [np.float32(0.5), 1]), (np.str_("b"), [2, np.int64(3)])])
    found = read_foreign_logits(saved(tmp_path / "x.pkl", content, 4))
    assert found.samples == ("a", "b")
    assert found.values.tolist() == [[0.5, 1], [2, 3]]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("names", "values"), [("sample", "logits"), ("names", "values")])
def test_npz(tmp_path: Path, names: str, values: str, packed: bool) -> None:
    arrays = {names: np.asarray(NAMES), values: VALUES.astype(np.float64)}
    path = tmp_path / "x.npz"
    (np.savez_compressed if packed else np.savez)(path, allow_pickle=False, **arrays)
    found = read_foreign_logits(path)
    assert found.samples == NAMES
    np.testing.assert_array_equal(found.values, VALUES)


@pytest.mark.parametrize("header", ["", "sample,0,1,2,3,4\n", "Name,a,b,c,d,e\n"])
@pytest.mark.parametrize("windows", [False, True])
def test_csv_with_or_without_header(tmp_path: Path, header: str, windows: bool) -> None:
    rows = zip(NAMES, VALUES.tolist(), strict=True)
    text = header + "".join(f"{name}, {', '.join(map(repr, row))}\n" for name, row in rows)
    data = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() if windows else text.encode()
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    found = read_foreign_logits(path)
    assert found.samples == NAMES
    np.testing.assert_array_equal(found.values, VALUES)


def ours(path: Path, protocol: str = "strict", classes: tuple[str, ...] = tuple("abcde")) -> Path:
    values = VALUES.copy()
    values[1] = 0
    answered = np.asarray([True, False, True])
    write_logits(path, Logits(NAMES, values, answered, classes, protocol), {})
    return path


def test_our_own_file_keeps_what_was_not_answered(tmp_path: Path) -> None:
    path = ours(tmp_path / "x.h5")
    joined = join_logits(path, read_foreign_logits(path), TABLE, "test", "strict")
    assert joined.samples == tuple(sorted(NAMES))
    assert joined.answered.tolist() == [True, False, True]
    np.testing.assert_array_equal(joined.values, np.stack([VALUES[2], 0 * VALUES[1], VALUES[0]]))


# --- joining -------------------------------------------------------------------------------------


def test_joined_by_name_in_table_order(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pkl", vectors(ending="_color.mp4"))
    joined = join_logits(path, read_foreign_logits(path), TABLE, "test", "challenge")
    assert joined.samples == tuple(sorted(NAMES))
    np.testing.assert_array_equal(joined.values, VALUES[[2, 1, 0]])
    assert (joined.classes, joined.protocol) == (tuple("abcde"), "challenge")
    assert joined.answered.all()


def joined(path: Path, protocol: str = "strict", table: SampleTable = TABLE) -> Logits:
    return join_logits(path, read_foreign_logits(path), table, "test", protocol)


def test_missing_and_extra_names_are_listed(tmp_path: Path) -> None:
    content = vectors()
    content["other"] = content.pop(NAMES[0])
    with pytest.raises(DataError) as caught:
        joined(saved(tmp_path / "x.pkl", content))
    assert f"missing 1 ('{NAMES[0]}'), extra 1 ('other')" in str(caught.value)


def test_another_number_of_classes(tmp_path: Path) -> None:
    content = {name: row[:4] for name, row in vectors().items()}
    with pytest.raises(DataError, match=r"expected 5 classes .* found 4"):
        joined(saved(tmp_path / "x.pkl", content))


def test_our_own_file_of_other_classes_or_protocol(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class 2 is 'x', in the sample table 'c'"):
        joined(ours(tmp_path / "x.h5", classes=tuple("abxde")))
    with pytest.raises(DataError, match="protocol challenge, not strict"):
        joined(ours(tmp_path / "y.h5", "challenge"))


# --- what is refused -----------------------------------------------------------------------------


class Runs:
    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name
        self.arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        module, _, function = self.name.rpartition(".")
        return getattr(__import__(module), function), self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "builtins.getattr"])
def test_nothing_in_a_pickle_is_run(tmp_path: Path, protocol: int, name: str) -> None:
    mark = tmp_path / "mark"
    argument = f"touch {mark}" if name == "os.system" else f"open({str(mark)!r}, 'w')"
    content = {**vectors(), "x": Runs(name, *([1, "real"] if "getattr" in name else [argument]))}
    path = saved(tmp_path / "x.pkl", content, protocol)
    with pytest.raises(ArtifactError, match=r"asks for .*, and nothing in a file is run"):
        read_foreign_logits(path)
    assert not mark.exists()


def test_the_hostile_pickle_would_have_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Runs("os.system", f"touch {mark}")))
    assert mark.exists()


HEAD = b"\x80\x04"
HOSTILE = {
    "an object array": pickle.dumps({"a": np.asarray([None, 1], dtype=object)}, 3),
    "dates": pickle.dumps({"a": np.asarray(["2020-01-01"], dtype="M8[D]")}, 3),
    "records": pickle.dumps({"a": np.zeros(2, dtype=[("x", "f4")])}, 3),
    "a huge shape in the call": HEAD
    + b"}\x8c\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    + b"\x8a\x06\xff\xff\xff\xff\xff\x00\x85\x8c\x02f8\x87Rs.",
    "a huge shape in the state": pickle.dumps({"a": np.zeros(7, "f4")}, 3).replace(
        b"K\x07\x85", b"J\xff\xff\xff\x7f\x85"
    ),
    "a huge memo": HEAD + b"}r\xff\xff\xff\xff.",
    "a huge byte array": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "a huge text": HEAD + b"\x8d" + struct.pack("<Q", 2**40) + b"x.",
    "one text many times": b"\x80\x02(c_codecs\nencode\nq\x01X\x00\x00\x10\x00"
    + b"a" * 2**20
    + b"q\x02X\x06\x00\x00\x00latin1q\x03"
    + b"h\x01h\x02h\x03\x86R" * 280
    + b"l.",
    "a stand-in that is changed": HEAD + b"cnumpy\ndtype\n}\x8c\x01xK\x01sb.",
    "an array that is made": HEAD + b"cnumpy\nndarray\n)R.",
    "an object that is made": HEAD + b"cnumpy\nndarray\n)\x81.",
    "a persistent name": HEAD + b"\x8c\x01aQ.",
    "a code of the registry": HEAD + b"\x82\x01.",
    "an attribute of a name": HEAD + b"\x8c\x05numpy\x8c\x0ddtype.__doc__\x93.",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_pickles(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(HOSTILE[what])
    with pytest.raises(SlrError) as caught:
        read_foreign_logits(path)
    assert len(str(caught.value).splitlines()) == 1


def test_one_vector_of_many_names_is_no_bomb(tmp_path: Path) -> None:
    row = np.zeros(2**16, np.float32)
    path = saved(tmp_path / "x.pkl", {f"s{i}": row for i in range(2**10 + 1)})
    with pytest.raises(ArtifactError, match="more than 268435456; give one split a file"):
        read_foreign_logits(path)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ([1, 2], "expected a dict of name to logits, found list"),
        ({}, "expected a dict of name to logits, found an empty one"),
        ({"a": np.zeros((2, 3))}, r"for 'a', found an array \(2, 3\)"),
        ({"a": np.float32(1)}, "for 'a', found float"),
        ({"a": "text"}, "for 'a', found str"),
        ({"a": np.zeros(3), "b": np.zeros(4)}, "'b' has 4 logits and 'a' has 3"),
        ({"a": np.zeros(0)}, r"expected logits \(samples, classes\) of 1 names"),
        ({"a": np.asarray([1, np.nan])}, r"NaN or infinite .*: 1 \('a'\)"),
        ({"a": np.asarray([1, 1e300])}, r"NaN or infinite .*: 1 \('a'\)"),
        ({1: np.zeros(3)}, r"not sample names: 1 \(a int\)"),
        ({"../a": np.zeros(3)}, r"not sample names: 1 \('\.\./a'\)"),
        ({"a\n": np.zeros(3)}, r"not sample names: 1 \('a\\n'\)"),
        ({"a": np.zeros(3), "a_color.mp4": np.zeros(3)}, r"stand twice: 1 \('a'\)"),
    ],
)
def test_wrong_content_of_a_pickle(tmp_path: Path, content: object, line: str) -> None:
    path = saved(tmp_path / "x.pkl", content)
    with pytest.raises(DataError, match=line) as caught:
        read_foreign_logits(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "the file is empty"),
        ("sample,0,1\n", "expected lines of a name and a number a class, found none"),
        ("a\n", "expected lines of a name and a number a class, found none"),
        ("a,1,2\nb,1\n", "line 2: expected a name and 2 numbers .* found 2 cells"),
        ("a,1,x\n", "line 1: 'x' is not a number"),
        ("a,1,1_0\n", "line 1: '1_0' is not a number"),
        ("a,1,nan\n", r"NaN or infinite .*: 1 \('a'\)"),
        ("a,1,1e99\n", r"NaN or infinite .*: 1 \('a'\)"),
        ("a,1,2\na,1,2\n", r"stand twice: 1 \('a'\)"),
        ("b/a,1,2\n", r"not sample names: 1 \('b/a'\)"),
    ],
)
def test_wrong_csv(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=line):
        read_foreign_logits(path)


def test_text_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xff\xfe\x00a,1\n")
    with pytest.raises(ArtifactError, match=r"not a whole \.csv of logits"):
        read_foreign_logits(path)


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"sample": np.asarray(NAMES)}, "expected one array logits or values, found the arrays"),
        (
            {"sample": np.asarray(NAMES), "logits": VALUES, "values": VALUES},
            "expected one array logits or values",
        ),
        ({"sample": np.arange(3), "logits": VALUES}, r"expected text \(N,\) and numbers"),
        ({"sample": np.asarray(NAMES), "logits": VALUES[:2]}, r"of 3 names, found \(2, 5\)"),
        ({"sample": np.asarray(NAMES), "logits": VALUES[:, 0]}, r"found \(3,\)"),
        (
            {"sample": np.asarray(NAMES), "logits": VALUES.astype(object)},
            "array logits is of type object",
        ),
    ],
)
def test_wrong_npz(tmp_path: Path, arrays: dict[str, Any], line: str) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, allow_pickle=True, **arrays)
    with pytest.raises(SlrError, match=line):
        read_foreign_logits(path)


def npz(path: Path, member: bytes, packing: int = zipfile.ZIP_STORED) -> Path:
    names = io.BytesIO()
    np.save(names, np.asarray(NAMES))
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("names.npy", names.getvalue())
        archive.writestr("values.npy", member)
    return path


def test_an_array_that_promises_more_than_it_has(tmp_path: Path) -> None:
    head = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 226)}
    np.lib.format.write_array_header_1_0(head, header)
    path = npz(tmp_path / "x.npz", head.getvalue() + b"\0" * 64)
    with pytest.raises(ArtifactError, match="says it has 904000000000000 bytes, found 64"):
        read_foreign_logits(path)


def test_a_zip_that_says_it_is_huge(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz", b"x" * 77)
    size = struct.pack("<I", 77)
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<I", 2**31)))
    with pytest.raises(ArtifactError, match="would take 2147"):
        read_foreign_logits(path)


def test_a_zip_that_unpacks_to_more_than_it_says(tmp_path: Path) -> None:
    size = 2**24 + 7
    path = npz(tmp_path / "x.npz", b"\0" * size, zipfile.ZIP_DEFLATED)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 99)))
    with pytest.raises(ArtifactError, match=r"not a whole .npz of logits \(Bad CRC-32"):
        read_foreign_logits(path)


def test_packing_that_numpy_does_not_use(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="packed in a way numpy does not"):
        read_foreign_logits(npz(tmp_path / "x.npz", b"", zipfile.ZIP_LZMA))


def test_hdf5_that_reads_other_files(tmp_path: Path) -> None:
    other = ours(tmp_path / "other.h5")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["values"] = h5py.ExternalLink(str(other), "values")
    seal(path)
    with pytest.raises(ArtifactError, match="links to other files"):
        read_foreign_logits(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("values", (4,), "f4", external=[(str(other), 0, 16)])
    seal(path)
    with pytest.raises(ArtifactError, match="its data are in other files"):
        read_foreign_logits(path)


def test_hdf5_that_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["values"] = VALUES
    seal(path)
    with pytest.raises(ArtifactError, match="expected slr-logits version 1"):
        read_foreign_logits(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("values", (2**20, 2**20), "f4", chunks=(64, 64))
    seal(path)
    with pytest.raises(ArtifactError, match="would take 4398046511104 bytes"):
        read_foreign_logits(path)
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "slr-logits", "version": 1, "protocol": "strict"})
        file.update({"sample": np.arange(3), "values": VALUES, "answered": 1, "classes": 1})
    seal(path)
    with pytest.raises(ArtifactError, match=r"not a whole \.h5 of logits"):
        read_foreign_logits(path)


def test_other_endings_and_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ends in \.pkl, \.pickle, \.npz, \.csv, \.h5, \.hdf5"):
        read_foreign_logits(tmp_path / "x.pt")
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        read_foreign_logits(tmp_path / "x.pkl")
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        read_foreign_logits(tmp_path / "d.npz")


# --- damage --------------------------------------------------------------------------------------


def valid(ending: str, protocol: int) -> bytes:
    if ending == ".pkl":
        return pickle.dumps({**vectors(), np.str_("x"): [1.0, np.float32(2), 3, 4, 5]}, protocol)
    if ending == ".npz":
        packed = io.BytesIO()
        save = np.savez_compressed if protocol % 2 else np.savez
        save(packed, allow_pickle=False, names=np.asarray(NAMES), values=VALUES)
        return packed.getvalue()
    rows = zip(NAMES, VALUES.tolist(), strict=True)
    return "".join(f"{name},{','.join(map(repr, row))}\r\n" for name, row in rows).encode()


CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.binary(max_size=3), st.integers(0, 3)), max_size=4
)


def changed(data: bytes, changes: list[tuple[int, bytes, int]], cut: int | None) -> bytes:
    """`data` with bytes put in the place of others, and maybe cut off."""
    for place, new, old in changes:
        at = place % (len(data) + 1)
        data = data[:at] + new + data[at + old :]
    return data if cut is None else data[: cut % (len(data) + 1)]


@pytest.mark.parametrize("ending", [".pkl", ".npz", ".csv"])
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    protocol=st.integers(0, 5),
    changes=CHANGES,
    cut=st.none() | st.none() | st.integers(0, 10**6),
)
def test_damage_is_told_in_one_line(
    tmp_path: Path,
    ending: str,
    protocol: int,
    changes: list[tuple[int, bytes, int]],
    cut: int | None,
) -> None:
    path = tmp_path / f"x{ending}"
    path.write_bytes(changed(valid(ending, protocol), changes, cut))
    told = ""
    try:
        found = read_foreign_logits(path)
        assert found.values.shape[0] == len(set(found.samples))
        assert np.isfinite(found.values).all()
    except SlrError as error:
        told = str(error)
    assert told.isprintable()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_short_hdf5(tmp_path: Path, kept: float) -> None:
    whole = tmp_path / "whole.h5"
    if not whole.exists():
        ours(whole)
    data = whole.read_bytes()
    path = tmp_path / "x.h5"
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(SlrError):
        read_foreign_logits(path)


# --- real score files ----------------------------------------------------------------------------


@needs_autsl
def test_published_scores_give_the_published_fusions() -> None:
    labels = AutslLabels(val="validation_labels.csv")
    table = load_samples(AutslData(layout="autsl", root=str(AUTSL), labels=labels))
    truth = np.asarray([sample.label for sample in table.split("test")])

    def scores(name: str) -> Any:
        path = AUTSL / "samslr_gcn" / f"{name}.pkl"
        return join_logits(path, read_foreign_logits(path), table, "test", "challenge").values

    streams = ("joint", "bone", "joint_motion", "bone_motion")
    weights = (1.0, 0.9, 0.5, 0.5)
    trained = sum(w * scores(s) for w, s in zip(weights, streams, strict=True)) / 2.9
    weights = (1.2, 1.2, 0.5, 0.5)
    tuned = sum(w * scores(f"{s}_finetuned") for w, s in zip(weights, streams, strict=True))
    final = (tuned + 1.5 * trained) / 4.9
    assert round(100 * np.mean(trained.argmax(1) == truth), 2) == 96.47
    assert round(100 * np.mean(final.argmax(1) == truth), 2) == 96.90
    np.testing.assert_allclose(scores("final"), final, atol=2e-5)


@needs_autsl
def test_published_scores_of_test_do_not_answer_val() -> None:
    labels = AutslLabels(val="validation_labels.csv")
    table = load_samples(AutslData(layout="autsl", root=str(AUTSL), labels=labels))
    path = AUTSL / "samslr_gcn" / "joint.pkl"
    with pytest.raises(DataError, match=r"expected the 4418 names of split val, found 3742; miss"):
        join_logits(path, read_foreign_logits(path), table, "val", "strict")
