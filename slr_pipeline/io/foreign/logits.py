"""Logits that another program wrote: score pickles, `.npz`, `.csv`, and our own HDF5.

Nothing in a file is run, and no more than `MAX_BYTES` of it are unpacked.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slr_pipeline.config.experiment import Split
from slr_pipeline.errors import DataError
from slr_pipeline.io.container import open_container
from slr_pipeline.io.foreign.files import check_size, read_bytes, reading
from slr_pipeline.io.foreign.pickles import Array, load_pickle
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.messages import listed, printable
from slr_pipeline.samples.table import SAMPLE_NAME, SampleTable
from slr_pipeline.scoring.logits import Logits

MAX_BYTES: Final = 2**28
"""Size of a file, unpacked: 256 MiB, 8 times the logits of all of AUTSL."""

VIDEO_ENDING: Final = "_color.mp4"
"""The score files of SAM-SLR may have it after a sample name."""


@dataclass(frozen=True)
class ForeignLogits:
    """Logits (N, K) float32 of N samples, in the order of their file.

    Only our own files state `answered` (N,), classes, protocol and the features that were read.
    `sha256` is that of the file.
    """

    samples: tuple[str, ...]
    values: NDArray[np.float32]
    answered: NDArray[np.bool_]
    classes: tuple[str, ...] | None
    protocol: str | None
    reads: tuple[str, ...] | None
    sha256: str


def read_foreign_logits(path: str | Path) -> ForeignLogits:
    """Read logits; the ending of the name says how.

    A .pkl or .pickle is a dict of sample name to vector, (K,) or (1, K); a .npz has the arrays
    `sample` or `names` (N,) and `logits` or `values` (N, K); a .csv has rows of a name and K
    numbers, and may have a header that starts with `sample` or `name`; .h5 and .hdf5 are our own.
    `_color.mp4` after a name is removed. ArtifactError for a file that is damaged, too large or
    asks to run code; DataError for wrong or doubled names, and for logits that are not finite or
    not all of one length.
    """
    path = Path(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: expected a name that ends in {', '.join(READERS)}; rename it")
    data = read_bytes(path, MAX_BYTES)
    if not data:
        raise DataError(f"{path}: the file is empty; expected logits")
    with reading(path, f"{path.suffix} of logits"):
        names, values, own = read(path, data)
    samples = _sample_names(path, names)
    _check_values(path, samples, values)
    return ForeignLogits(
        samples=samples,
        values=values,
        answered=np.ones(len(samples), np.bool_) if own is None else own.answered,
        classes=None if own is None else own.classes,
        protocol=None if own is None else own.protocol,
        reads=None if own is None else own.reads,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def join_logits(
    path: str | Path,
    foreign: ForeignLogits | Logits,
    table: SampleTable,
    split: Split,
    protocol: str,
    reads: Collection[str],
) -> Logits:
    """Join logits with the samples of a split by name, in table order; `path` is for messages.

    `protocol` and `reads` (features) are what the user says of the logits. DataError for missing or
    extra names, another number of classes, and where our own file states other classes, another
    protocol or other features.
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
            "numbers per sample; give logits of the same classes"
        )
    for number, (ours, theirs) in enumerate(
        zip(table.classes, foreign.classes or table.classes, strict=True)
    ):
        if ours != theirs:
            raise DataError(
                f"{path}: class {number} is {theirs!r}, in the sample table {ours!r}; give logits "
                "of the same classes"
            )
    stated_reads = None if foreign.reads is None else ", ".join(sorted(foreign.reads))
    for what, stated, expected in (
        ("protocol", foreign.protocol, protocol),
        ("reads", stated_reads, ", ".join(sorted(reads))),
    ):
        if stated not in (None, expected):
            raise DataError(
                f"{path}: the file states {what} {stated}, expected {expected}; give logits of "
                f"{expected}, or correct what is expected"
            )
    rows = [row_of[name] for name in wanted]
    return Logits(
        samples=tuple(wanted),
        values=foreign.values[rows],
        answered=foreign.answered[rows],
        classes=table.classes,
        protocol=protocol,
    )


def _sample_names(path: Path, names: Sequence[object]) -> tuple[str, ...]:
    """Sample names of a file; DataError for others and for doubled ones."""
    samples = tuple(str(name).removesuffix(VIDEO_ENDING) for name in names)
    wrong = [
        name
        for name, sample in zip(names, samples, strict=True)
        if not isinstance(name, str) or not SAMPLE_NAME.fullmatch(sample)
    ]
    if wrong:
        raise DataError(
            f"{path}: names that are not sample names: {listed(wrong)}; expected 1 to "
            "128 letters, digits, '.', '_' or '-', without a folder"
        )
    doubled = [name for name, count in Counter(samples).items() if count > 1]
    if doubled:
        raise DataError(f"{path}: names that appear twice: {listed(doubled)}; keep one of each")
    return samples


def _check_values(path: Path, samples: Sequence[str], values: NDArray[np.float32]) -> None:
    if values.ndim != 2 or len(values) != len(samples) or not values.size:
        raise DataError(
            f"{path}: expected logits (samples, classes) of {len(samples)} names, found "
            f"{values.shape}; give one row per name"
        )
    rows = np.flatnonzero(~np.isfinite(values).all(axis=1)).tolist()
    if rows:
        raise DataError(
            f"{path}: logits are NaN or infinite as 32-bit numbers, samples: "
            f"{listed([samples[row] for row in rows])}; make them again"
        )


def _float32(values: Any) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # an overflow gives infinity, which is refused with its name
        return np.asarray(values).astype(np.float32)


# --- one reader per format -----------------------------------------------------------------------

_Content = tuple[Sequence[object], NDArray[np.float32], Logits | None]
"""Names, logits, and all of the file where it is one of ours."""


def _read_csv(path: Path, data: bytes) -> _Content:
    """Rows of a name and K numbers; a byte order mark, CRLF and a header are accepted."""
    text = data.decode("utf-8-sig")
    header = text.lstrip().partition(",")[0].strip().lower() in ("sample", "name")
    try:
        table = pd.read_csv(
            io.StringIO(text),
            header=None,
            skiprows=1 if header else 0,
            dtype={0: "str"},
            skipinitialspace=True,
            keep_default_na=False,
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    if table.shape[1] < 2:
        raise DataError(f"{path}: expected rows of a name and one number per class, found none")
    names = table[0].astype(str).str.strip()
    numbers = table.drop(columns=0).apply(pd.to_numeric, errors="coerce")
    bad = np.argwhere(numbers.isna().to_numpy())
    if len(bad):
        row, column = bad[0].tolist()
        cell = ascii(table.iat[row, column + 1])[:60]
        raise DataError(
            f"{path}: {printable(names[row])} has {cell} as number {column + 1}; "
            f"expected a name and {numbers.shape[1]} numbers in each row"
        )
    return names.tolist(), _float32(numbers), None


def _read_npz(path: Path, data: bytes) -> _Content:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        check_size(path, sum(info.file_size for info in archive.zip.infolist()), MAX_BYTES)
        arrays = []
        for wanted in (("sample", "names"), ("logits", "values")):
            present = [name for name in wanted if name in archive.files]
            if len(present) != 1:
                raise DataError(
                    f"{path}: expected one array {' or '.join(wanted)}, found the arrays "
                    f"{listed(sorted(archive.files))}; save it with numpy.savez"
                )
            arrays.append(archive[present[0]])
    names, values = arrays
    if names.ndim != 1 or names.dtype.kind != "U" or values.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: expected text (N,) and numbers (N, K), found {names.dtype} {names.shape} and "
            f"{values.dtype} {values.shape}; save these types"
        )
    return names.tolist(), _float32(values), None


def _read_own(path: Path, _: bytes) -> _Content:
    with open_container(path) as file:
        sets = [item for item in file.values() if isinstance(item, h5py.Dataset)]
        check_size(path, sum(item.size * item.dtype.itemsize for item in sets), MAX_BYTES)
    logits = read_logits(path)
    return logits.samples, _float32(logits.values), logits


def _read_pickle(path: Path, data: bytes) -> _Content:
    """A dict of name to vector: the score files of SAM-SLR."""
    content = load_pickle(path, data)
    if not isinstance(content, Mapping) or not content:
        kind = "an empty one" if isinstance(content, Mapping) else type(content).__name__
        raise DataError(f"{path}: expected a dict of name to logits, found {kind}; save a dict")
    vectors = {name: _vector(path, name, value) for name, value in content.items()}
    first, width = next((name, len(vector)) for name, vector in vectors.items())
    for name, vector in vectors.items():
        if len(vector) != width:
            raise DataError(
                f"{path}: {printable(name)} has {len(vector)} logits and {printable(first)} has "
                f"{width}; give each sample the same number"
            )
    check_size(path, 4 * width * len(vectors), MAX_BYTES)  # a pickle can repeat a vector
    return list(vectors), _float32(np.stack(list(vectors.values()))), None


def _vector(path: Path, name: object, value: object) -> NDArray[Any]:
    """The vector (K,) in an array (K,) or (1, K), or in a list of numbers."""
    kind = type(value).__name__
    if isinstance(value, Array):
        values = value.numpy()
        if values.ndim == 1 or (values.ndim == 2 and len(values) == 1):
            return values.reshape(-1)
        kind = f"an array {values.shape}"
    elif isinstance(value, list) and all(type(number) in (int, float) for number in value):
        return np.array(value, np.float64)
    raise DataError(
        f"{path}: expected an array (K,) or (1, K) for {printable(name)}, found {kind}; give "
        "each sample one row of logits"
    )


READERS: Final[dict[str, Callable[[Path, bytes], _Content]]] = {
    ".pkl": _read_pickle,
    ".pickle": _read_pickle,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".h5": _read_own,
    ".hdf5": _read_own,
}
