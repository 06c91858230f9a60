"""Logits of other programs: the formats, what is refused, and that nothing in a file is run."""

import io
import pickle
import re
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from slr_pipeline.config.experiment import AutslData, AutslLabels
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.container import seal
from slr_pipeline.io.foreign.logits import join_logits, read_foreign_logits
from slr_pipeline.io.foreign.pickles import load_pickle
from slr_pipeline.io.logits import write_logits
from slr_pipeline.samples.table import Sample, SampleTable, load_samples
from slr_pipeline.scoring.logits import Logits
from tests.io.foreign.pickles import Runs
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


def write_pickle(path: Path, content: object, protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def write_own(
    path: Path,
    protocol: str = "strict",
    classes: tuple[str, ...] = tuple("abcde"),
    reads: tuple[str, ...] = ("frames",),
) -> Path:
    values = VALUES.copy()
    values[1] = 0
    answered = np.asarray([True, False, True])
    logits = Logits(NAMES, values, answered, classes, protocol)
    write_logits(path, logits, {"imported": {"reads": reads}})
    return path


def assert_refused(path: Path, message: str, data: bytes | None = None) -> None:
    """Reading the file, with `data` as its content, is an error of one line."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SlrError, match=message) as caught:
        read_foreign_logits(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(("shape", "ending"), [((5,), ""), ((1, 5), "_color.mp4")])
def test_pickles_of_every_protocol(
    tmp_path: Path, protocol: int, shape: tuple[int, ...], ending: str
) -> None:
    path = write_pickle(tmp_path / "x.pkl", vectors(shape, ending), protocol)
    logits = read_foreign_logits(path)
    assert logits.samples == NAMES
    assert logits.values.dtype == np.float32
    np.testing.assert_array_equal(logits.values, VALUES)
    assert logits.answered.all()
    assert re.fullmatch("[0-9a-f]{64}", logits.sha256)
    if protocol < 4:  # a line of the pickle ends with the name of numpy's core, another in numpy 1
        assert b"numpy._core." in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(b"numpy._core.", b"numpy.core."))
        np.testing.assert_array_equal(read_foreign_logits(path).values, VALUES)


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    """Names and numbers are byte strings; written by hand, because Python 3 cannot."""
    raw = np.asarray([1.5, -2.0], "<f4").tobytes()
    path = tmp_path / "x.pkl"
    path.write_bytes(
        b"\x80\x02}U\x03abccnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08" + raw + b"tbs."
    )
    logits = read_foreign_logits(path)
    assert logits.samples == ("abc",)
    assert logits.values.tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize("kind", ["<f2", ">f4", "<f8", ">i2", "u1", "?"])
def test_numbers_of_every_type(tmp_path: Path, kind: str) -> None:
    row = np.asarray([0, 1, 1, 0]).astype(kind)
    logits = read_foreign_logits(write_pickle(tmp_path / "x.pkl", {"a": row}))
    assert logits.values.tolist() == [[0, 1, 1, 0]]
    assert logits.values.dtype == np.float32


def test_scalars_lists_and_ordered_dicts(tmp_path: Path) -> None:
    content = OrderedDict([(np.str_("a"), [np.float32(0.5), 1]), (np.str_("b"), [2, np.int64(3)])])
    logits = read_foreign_logits(write_pickle(tmp_path / "x.pkl", content, 4))
    assert logits.samples == ("a", "b")
    assert logits.values.tolist() == [[0.5, 1], [2, 3]]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(("names", "values"), [("sample", "logits"), ("names", "values")])
def test_npz(tmp_path: Path, names: str, values: str, save: Callable[..., None]) -> None:
    arrays = {names: np.asarray(NAMES), values: VALUES.astype(np.float64)}
    save(tmp_path / "x.npz", allow_pickle=False, **arrays)
    logits = read_foreign_logits(tmp_path / "x.npz")
    assert logits.samples == NAMES
    np.testing.assert_array_equal(logits.values, VALUES)


@pytest.mark.parametrize("header", ["", "sample,0,1,2,3,4\n", "Name,a,b,c,d,e\n"])
@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n")])
def test_csv_with_or_without_header(tmp_path: Path, header: str, encoding: str, end: str) -> None:
    rows = zip(NAMES, VALUES.tolist(), strict=True)
    text = header + "".join(", ".join([name, *map(repr, row)]) + "\n" for name, row in rows)
    (tmp_path / "x.csv").write_text(text, encoding, newline=end)
    logits = read_foreign_logits(tmp_path / "x.csv")
    assert logits.samples == NAMES
    np.testing.assert_array_equal(logits.values, VALUES)


# --- joining -------------------------------------------------------------------------------------


def joined(path: Path, protocol: str = "strict") -> Logits:
    return join_logits(path, read_foreign_logits(path), TABLE, "test", protocol, ["frames"])


def test_joined_by_name_in_table_order(tmp_path: Path) -> None:
    logits = joined(write_pickle(tmp_path / "x.pkl", vectors(ending="_color.mp4")), "challenge")
    assert logits.samples == tuple(sorted(NAMES))
    np.testing.assert_array_equal(logits.values, VALUES[[2, 1, 0]])
    assert (logits.classes, logits.protocol) == (tuple("abcde"), "challenge")
    assert logits.answered.all()


def test_our_own_file_keeps_what_was_not_answered(tmp_path: Path) -> None:
    logits = joined(write_own(tmp_path / "x.h5"))
    assert logits.samples == tuple(sorted(NAMES))
    assert logits.answered.tolist() == [True, False, True]
    np.testing.assert_array_equal(logits.values, np.stack([VALUES[2], 0 * VALUES[1], VALUES[0]]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            dict.fromkeys(("x", *NAMES[1:]), VALUES[0]),
            rf"missing 1 \('{NAMES[0]}'\), extra 1 \('x'\)",
        ),
        (dict.fromkeys(NAMES, VALUES[0, :4]), "expected 5 classes .* found 4"),
        ({"classes": tuple("abxde")}, "class 2 is 'x', in the sample table 'c'"),
        ({"protocol": "challenge"}, "states protocol challenge, expected strict; give logits of s"),
        ({"reads": ("hha", "frames")}, "states reads frames, hha, expected frames; give logits"),
    ],
)
def test_logits_of_other_samples_classes_or_protocol(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    if content.keys() & {"classes", "protocol", "reads"}:
        path = write_own(tmp_path / "x.h5", **content)
    else:
        path = write_pickle(tmp_path / "x.pkl", content)
    with pytest.raises(DataError, match=message):
        joined(path)


# --- nothing is run ------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "builtins.getattr"])
def test_nothing_in_a_pickle_is_run(tmp_path: Path, protocol: int, name: str) -> None:
    mark = tmp_path / "mark"
    argument = f"touch {mark}" if name == "os.system" else f"open({str(mark)!r}, 'w')"
    content = {**vectors(), "x": Runs(name, *([1, "real"] if "getattr" in name else [argument]))}
    path = write_pickle(tmp_path / "x.pkl", content, protocol)
    assert_refused(path, r"asks for .*, and nothing in a file is run")
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
    "a forged state of a type": pickle.dumps({"a": np.zeros(7, "f4")}, 3).replace(b"NNN", b"N}N"),
    "a stand-in that is changed": HEAD + b"cnumpy\ndtype\n}\x8c\x01xK\x01sb.",
    "an array that is made": HEAD + b"cnumpy\nndarray\n)R.",
    "an object that is made": HEAD + b"cnumpy\nndarray\n)\x81.",
    "a persistent name": HEAD + b"\x8c\x01aQ.",
    "a code of the registry": HEAD + b"\x82\x01.",
    "an attribute of a name": HEAD + b"\x8c\x05numpy\x8c\x0ddtype.__doc__\x93.",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_pickles(tmp_path: Path, data: bytes) -> None:
    assert_refused(tmp_path / "x.pkl", "", data)


def test_a_forged_length_that_memory_may_hold() -> None:
    """The unpickler of Python allocates and fills it."""
    tracemalloc.start()
    with pytest.raises(EOFError):
        load_pickle(Path("x.pkl"), b"\x80\x05\x96" + struct.pack("<Q", 2**28) + b"x.")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


# --- what else is refused ------------------------------------------------------------------------


def test_one_vector_of_many_names_is_no_bomb(tmp_path: Path) -> None:
    row = np.zeros(2**16, np.float32)
    path = write_pickle(tmp_path / "x.pkl", {f"s{i}": row for i in range(2**10 + 1)})
    assert_refused(path, "has 268697600 bytes or more, at most 268435456 are read; split it up")


@pytest.mark.parametrize(
    ("content", "message"),
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
        ({1: np.zeros(3)}, r"not sample names: 1 \(type int\)"),
        ({"../a": np.zeros(3)}, r"not sample names: 1 \('\.\./a'\)"),
        ({"a\n": np.zeros(3)}, r"not sample names: 1 \('a\\n'\)"),
        ({"a": np.zeros(3), "a_color.mp4": np.zeros(3)}, r"appear twice: 1 \('a'\)"),
    ],
)
def test_wrong_content_of_a_pickle(tmp_path: Path, content: object, message: str) -> None:
    assert_refused(write_pickle(tmp_path / "x.pkl", content), message)


NO_ROWS = "expected rows of a name and one number per class, found none"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"sample,0,1\n", NO_ROWS),
        (b"a\n", NO_ROWS),
        (b"a,1,2\nb,1\n", "'b' has '' as number 2; expected a name and 2 numbers in each row"),
        (b"a,1,2\nb,1,2,3\n", "Expected 3 fields in line 2, saw 4"),
        (b"a,1,x\n", "'a' has 'x' as number 2"),
        (b"a,1,1_0\n", "'a' has '1_0' as number 2"),
        (b"a,1,nan\n", "'a' has 'nan' as number 2"),
        (b"a,1,1e99\n", r"NaN or infinite .*: 1 \('a'\)"),
        (b"a,1,2\na,1,2\n", r"appear twice: 1 \('a'\)"),
        (b"b/a,1,2\n", r"not sample names: 1 \('b/a'\)"),
        (b"\xff\xfe\x00a,1\n", r"not a complete \.csv of logits"),
    ],
)
def test_wrong_csv(tmp_path: Path, data: bytes, message: str) -> None:
    assert_refused(tmp_path / "x.csv", message, data)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"sample": NAMES}, "expected one array logits or values, found the arrays"),
        ({"sample": NAMES, "logits": VALUES, "values": VALUES}, "expected one array logits or"),
        ({"sample": np.arange(3), "logits": VALUES}, r"expected text \(N,\) and numbers"),
        ({"sample": NAMES, "logits": VALUES[:2]}, r"of 3 names, found \(2, 5\)"),
        ({"sample": NAMES, "logits": VALUES[:, 0]}, r"found \(3,\)"),
        ({"sample": NAMES, "logits": VALUES.astype(object)}, "Object arrays cannot be loaded"),
    ],
)
def test_wrong_npz(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=True, **arrays)
    assert_refused(tmp_path / "x.npz", message)


def claims_an_array_of_terabytes() -> bytes:
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 226)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + b"\0" * 64


@pytest.mark.parametrize(
    ("member", "claimed_size", "message"),
    [
        (claims_an_array_of_terabytes(), None, r"not a complete \.npz of logits"),
        (b"x" * 77, 2**31, "has 2147483968 bytes or more, at most 268435456 are read"),
        (b"\0" * (2**24 + 7), 99, r"not a complete .npz of logits \(Bad CRC-32"),
    ],
)
def test_a_zip_with_other_sizes_than_it_claims(
    tmp_path: Path, member: bytes, claimed_size: int | None, message: str
) -> None:
    names = io.BytesIO()
    np.save(names, np.asarray(NAMES))
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("names.npy", names.getvalue())
        archive.writestr("values.npy", member)
    if claimed_size is not None:
        sizes = struct.pack("<I", len(member)), struct.pack("<I", claimed_size)
        path.write_bytes(path.read_bytes().replace(*sizes))
    assert_refused(path, message)


def other_types(file: h5py.File, _: Path) -> None:
    file.attrs.update({"format": "slr-logits", "version": 1, "protocol": "strict"})
    file.update({"sample": np.arange(3), "values": VALUES, "answered": 1, "classes": 1})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda file, other: file.update(values=h5py.ExternalLink(str(other), "values")),
            "links to other files",
        ),
        (
            lambda file, other: file.create_dataset(
                "values", (4,), "f4", external=[(str(other), 0, 16)]
            ),
            "its data are in other files",
        ),
        (lambda file, _: file.update(values=VALUES), "expected slr-logits version 1"),
        (
            lambda file, _: file.create_dataset("values", (2**20, 2**20), "f4", chunks=(64, 64)),
            "has 4398046511104 bytes or more",
        ),
        (other_types, r"not a complete \.h5 of logits"),
    ],
)
def test_hdf5_that_is_not_ours_or_reads_other_files(
    tmp_path: Path, write: Callable[[h5py.File, Path], object], message: str
) -> None:
    other = write_own(tmp_path / "other.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write(file, other)
    seal(tmp_path / "x.h5")
    assert_refused(tmp_path / "x.h5", message)


def test_other_endings_and_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "d.npz").mkdir()
    assert_refused(tmp_path / "x.pt", r"ends in \.pkl, \.pickle, \.npz, \.csv, \.h5, \.hdf5")
    assert_refused(tmp_path / "x.pkl", r"cannot be read \(No such file")
    assert_refused(tmp_path / "d.npz", r"cannot be read \(Is a directory")


# --- real score files ----------------------------------------------------------------------------


@needs_autsl
def test_published_scores_give_the_published_fusions() -> None:
    labels = AutslLabels(val="validation_labels.csv")
    table = load_samples(AutslData(layout="autsl", root=str(AUTSL), labels=labels))

    def scores(name: str) -> Any:
        path = AUTSL / "samslr_gcn" / f"{name}.pkl"
        logits = read_foreign_logits(path)
        return join_logits(path, logits, table, "test", "challenge", ["keypoints"]).values

    truth = np.asarray([sample.label for sample in table.split("test")])
    streams = ("joint", "bone", "joint_motion", "bone_motion")
    weights = (1.0, 0.9, 0.5, 0.5)
    trained = sum(w * scores(s) for w, s in zip(weights, streams, strict=True)) / 2.9
    weights = (1.2, 1.2, 0.5, 0.5)
    tuned = sum(w * scores(f"{s}_finetuned") for w, s in zip(weights, streams, strict=True))
    final = (tuned + 1.5 * trained) / 4.9
    assert round(100 * np.mean(trained.argmax(1) == truth), 2) == 96.47
    assert round(100 * np.mean(final.argmax(1) == truth), 2) == 96.90
    np.testing.assert_allclose(scores("final"), final, atol=2e-5)
