"""Logits that another program wrote: score pickles, `.npz`, `.csv`, and our own HDF5.

Nothing in a file is run, and what a file says of its own size is checked before memory is taken.
"""

import csv
import hashlib
import io
import math
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from slr_pipeline.config.experiment import Split
from slr_pipeline.errors import ArtifactError, DataError, SlrError
from slr_pipeline.io.container import open_container
from slr_pipeline.io.foreign.pickles import Array, load_pickle
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.messages import listed, printable
from slr_pipeline.samples.table import SAMPLE_NAME, SampleTable
from slr_pipeline.scoring.logits import Logits

MOST_BYTES = 2**28
"""What a file may hold, unpacked: 256 MiB, 8 times the logits of all of AUTSL."""

VIDEO_ENDING = "_color.mp4"
"""What the score files of SAM-SLR may have after a sample name."""

NAME_ARRAYS = ("sample", "names")
VALUE_ARRAYS = ("logits", "values")


@dataclass(frozen=True)
class ForeignLogits:
    """Logits (N, K) float32 of N samples, in the order of their file.

    Only our own files say which samples were not `answered` (N,), and give classes and protocol.
    `sha256` is that of the file.
    """

    samples: tuple[str, ...]
    values: NDArray[np.float32]
    answered: NDArray[np.bool_]
    classes: tuple[str, ...] | None
    protocol: str | None
    sha256: str


def read_foreign_logits(path: str | Path) -> ForeignLogits:
    """Read logits by the ending of the name: .pkl or .pickle, .npz, .csv, .h5 or .hdf5.

    A pickle is a dict of sample name to vector, (K,) or (1, K); a `.npz` has the arrays `sample` or
    `names` (N,) and `logits` or `values` (N, K); a `.csv` has lines of a name and K numbers, below
    a header that starts with `sample` or `name`, or none. `_color.mp4` after a name is cut off.
    ArtifactError for a file that is damaged, too large or asks for code to be run; DataError for
    wrong or doubled names, and for logits that are not finite or not of one length.
    """
    path = Path(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: expected a name that ends in {', '.join(READERS)}; rename it")
    data = _bytes(path)
    try:
        names, values, own = read(path, data)
    except SlrError:
        raise
    except Exception as error:  # what a damaged file raises is anyone's guess
        raise ArtifactError(
            f"{path}: not a whole {path.suffix} of logits ({_one_line(error)}); copy the file "
            "again from its source"
        ) from error
    return ForeignLogits(
        samples=_checked_names(path, names),
        values=_checked_values(path, names, values),
        answered=np.ones(len(names), np.bool_) if own is None else own.answered,
        classes=None if own is None else own.classes,
        protocol=None if own is None else own.protocol,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def join_logits(
    path: str | Path, foreign: ForeignLogits, table: SampleTable, split: Split, protocol: str
) -> Logits:
    """The logits of a split in table order, joined by name; `path` is for messages.

    DataError for missing or extra names, another number of classes, and, of our own files, other
    classes or another protocol.
    """
    wanted = [sample.name for sample in table.split(split)]
    row_of = {name: row for row, name in enumerate(foreign.samples)}
    missing = [name for name in wanted if name not in row_of]
    extra = sorted(set(row_of) - set(wanted))
    if missing or extra:
        raise DataError(
            f"{path}: expected the {len(wanted)} names of split {split}, found {len(row_of)}; "
            f"missing {listed(missing)}, extra {listed(extra)}; give the logits of this split"
        )
    width = foreign.values.shape[1]
    if width != len(table.classes):
        raise DataError(
            f"{path}: expected {len(table.classes)} classes as in the sample table, found {width} "
            "numbers a sample; give logits of the same classes"
        )
    if foreign.classes is not None and foreign.classes != table.classes:
        at = next(i for i, c in enumerate(table.classes) if foreign.classes[i] != c)
        raise DataError(
            f"{path}: class {at} is {foreign.classes[at]!r}, in the sample table "
            f"{table.classes[at]!r}; give logits of the same classes"
        )
    if foreign.protocol not in (None, protocol):
        raise DataError(
            f"{path}: made under protocol {foreign.protocol}, not {protocol}; say --protocol "
            f"{foreign.protocol}"
        )
    rows = [row_of[name] for name in wanted]
    return Logits(
        samples=tuple(wanted),
        values=foreign.values[rows],
        answered=foreign.answered[rows],
        classes=table.classes,
        protocol=protocol,
    )


# --- what is true of all files -------------------------------------------------------------------


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not data:
        raise DataError(f"{path}: the file is empty; expected logits")
    _limit(path, len(data))
    return data


def _limit(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise ArtifactError(
            f"{path}: would take {size} bytes, more than {MOST_BYTES}; give one split a file"
        )


def _checked_names(path: Path, names: Sequence[object]) -> tuple[str, ...]:
    wrong = [name for name in names if not isinstance(name, str) or not _is_name(name)]
    if wrong:
        raise DataError(
            f"{path}: names that are not sample names: {listed(wrong)}; expected 1 to "
            "128 letters, digits, '.', '_' or '-', without a folder"
        )
    plain = tuple(_plain(str(name)) for name in names)
    doubled = [name for name, times in Counter(plain).items() if times > 1]
    if doubled:
        raise DataError(f"{path}: names that stand twice: {listed(doubled)}; keep one of each")
    return plain


def _plain(name: str) -> str:
    return name.removesuffix(VIDEO_ENDING)


def _is_name(name: str) -> bool:
    return SAMPLE_NAME.fullmatch(_plain(name)) is not None


def _checked_values(
    path: Path, names: Sequence[object], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    if values.ndim != 2 or len(values) != len(names) or not values.size:
        raise DataError(
            f"{path}: expected logits (samples, classes) of {len(names)} names, found "
            f"{values.shape}; give one row a name"
        )
    rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(rows):
        raise DataError(
            f"{path}: logits that are NaN or infinite as 32-bit numbers, of samples: "
            f"{listed([names[row] for row in rows.tolist()])}; make them again"
        )
    return values


def _float32(values: Any) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # infinite then, and refused with its name
        return np.asarray(values).astype(np.float32)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(c for c in text[:200] if c.isprintable())


# --- one reader a form ---------------------------------------------------------------------------

_Read = tuple[Sequence[object], NDArray[np.float32], Logits | None]
"""Names, logits, and the whole file where it is one of ours."""


def _read_csv(path: Path, data: bytes) -> _Read:
    """Lines of a name and K numbers; byte order mark, CRLF and a header are accepted."""
    names: list[object] = []
    rows: list[NDArray[np.float32]] = []
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    for cells in reader:
        where = f"{path}, line {reader.line_num}"
        if not cells or (not names and cells[0].strip().lower() in ("sample", "name")):
            continue
        if rows and len(cells) != len(rows[0]) + 1:
            raise DataError(
                f"{where}: expected a name and {len(rows[0])} numbers as in the lines before, "
                f"found {len(cells)} cells; give each sample as many"
            )
        names.append(cells[0].strip())
        rows.append(_float32([_number(cell, where) for cell in cells[1:]]))
    if not rows or not rows[0].size:
        raise DataError(f"{path}: expected lines of a name and a number a class, found none")
    return names, np.stack(rows), None


def _number(cell: str, where: str) -> float:
    try:
        if "_" in cell:  # Python reads 1_000, other programs do not
            raise ValueError(cell)
        return float(cell)
    except ValueError as error:
        raise DataError(
            f"{where}: {ascii(cell)[:60]} is not a number; expected a name, then a number a class"
        ) from error


def _read_npz(path: Path, data: bytes) -> _Read:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        _limit(path, sum(info.file_size for info in archive.infolist()))
        picked = []
        for wanted in (NAME_ARRAYS, VALUE_ARRAYS):
            there = [name for name in wanted if name in found]
            if len(there) != 1:
                raise DataError(
                    f"{path}: expected one array {' or '.join(wanted)}, found the arrays "
                    f"{listed(sorted(found))}; save it with numpy.savez"
                )
            member = found[there[0]]
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArtifactError(f"{path}: packed in a way numpy does not; save it with savez")
            with archive.open(member) as file:  # no more than it says, whatever it unpacks to
                picked.append(_array(path, there[0], file.read(member.file_size)))
    names, values = picked
    if names.ndim != 1 or names.dtype.kind != "U" or values.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: expected text (N,) and numbers (N, K), found {names.dtype} {names.shape} and "
            f"{values.dtype} {values.shape}; save them so"
        )
    return names.tolist(), _float32(values), None


def _array(path: Path, name: str, data: bytes) -> NDArray[Any]:
    """One array of a `.npz`; what its header promises must be there before it is made."""
    file = io.BytesIO(data)
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject or dtype.kind not in "fiuU":
        raise ArtifactError(
            f"{path}: array {name} is of type {str(dtype)[:60]}, and only plain numbers and text "
            "are read; save it as such"
        )
    promised, there = math.prod(shape) * dtype.itemsize, len(data) - file.tell()
    if promised != there:
        raise ArtifactError(
            f"{path}: array {name} says it has {promised} bytes, found {there}; copy the file "
            "again from its source"
        )
    file.seek(0)
    array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array


def _read_own(path: Path, _: bytes) -> _Read:
    with open_container(path) as file:
        sets = [item for item in file.values() if isinstance(item, h5py.Dataset)]
        _limit(path, sum(item.size * item.dtype.itemsize for item in sets))
    logits = read_logits(path)
    return logits.samples, _float32(logits.values), logits


def _read_pickle(path: Path, data: bytes) -> _Read:
    """A dict of name to vector: the score files of SAM-SLR."""
    content = load_pickle(path, data, MOST_BYTES)
    if not isinstance(content, Mapping) or not content:
        found = "an empty one" if isinstance(content, Mapping) else type(content).__name__
        raise DataError(f"{path}: expected a dict of name to logits, found {found}; save a dict")
    vectors = {name: _vector(path, name, value) for name, value in content.items()}
    first, width = next((name, vector.size) for name, vector in vectors.items())
    for name, vector in vectors.items():
        if vector.size != width:
            raise DataError(
                f"{path}: {printable(name)} has {vector.size} logits and {printable(first)} has "
                f"{width}; give each sample as many"
            )
    _limit(path, 4 * width * len(vectors))
    return list(vectors), np.stack(list(vectors.values())), None


def _vector(path: Path, name: object, value: object) -> NDArray[np.float32]:
    """(K,) of an array (K,) or (1, K), or of a list of numbers."""
    if isinstance(value, Array):
        values = value.numpy()
        if values.ndim == 1 or (values.ndim == 2 and len(values) == 1):
            return _float32(values.reshape(-1))
        found = f"an array {values.shape}"
    elif isinstance(value, list) and all(type(number) in (int, float) for number in value):
        return _float32([float(number) for number in value])
    else:
        found = type(value).__name__.strip("_")
    raise DataError(
        f"{path}: expected an array (K,) or (1, K) for {printable(name)}, found {found}; give "
        "each sample one row of logits"
    )


READERS: dict[str, Callable[[Path, bytes], _Read]] = {
    ".pkl": _read_pickle,
    ".pickle": _read_pickle,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".h5": _read_own,
    ".hdf5": _read_own,
}
