"""Pickles of other programs: plain values and numeric numpy arrays; nothing in them is run.

Every name that a pickle asks for must be on a list, and stand-ins take the place of numpy's
classes, so that a forged state never reaches numpy.
"""

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError
from slr_pipeline.text import shown

_DTYPE: Final = re.compile(r"[fiu][1248]|b1|U\d{1,4}")


class _ForbiddenError(Exception):
    """The pickle asks for something that is not on the list."""


def load_pickle(path: Path, data: bytes) -> object:
    """The content of a pickle: plain Python values, with an `Array` for each numpy array.

    `data` are the bytes of the file, `path` is for messages. ArtifactError when it asks for any
    other name; UnpicklingError or any other exception when it is damaged.
    """
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except _ForbiddenError as error:
        raise ArtifactError(
            f"{path}: asks for {error}, and nothing in a file is run; if you trust it, load it "
            "where it was made and save it as plain text, numbers and numeric numpy arrays"
        ) from error


# The one written in Python: the C unpickler allocates as much memory as a forged index asks for.
class _Unpickler(pickle._Unpickler):
    read: Callable[[int], bytes]
    append: Callable[[object], None]

    def load_bytearray8(self) -> None:
        """Values of protocol 5; the inherited method allocates what a forged length asks for."""
        length = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(length)))

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """The stand-in for a name; no module is imported."""
        wanted = f"{module}.{name}"
        make = _ALLOWED.get(wanted.replace("numpy._core.", "numpy.core."))  # its name in numpy 2
        if make is None:
            raise _ForbiddenError(shown(wanted[:100]))
        # A new function each time: a pickle can set the attributes of what it is given.
        return lambda *arguments: make(*arguments)  # noqa: PLW0108


class _Dtype:
    """A type of numbers or, for sample names, of text."""

    def __init__(self, text: str, *_: object) -> None:
        if not _DTYPE.fullmatch(text):
            raise _ForbiddenError(f"values of type {text[:20]!r}")
        self._text = text
        self._byte_order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self._byte_order, *parts = state[:5]
        if self._byte_order not in ("<", ">", "|", "=") or any(part is not None for part in parts):
            raise _ForbiddenError("values of a structured type")

    def values(self, data: str | bytes) -> NDArray[Any]:
        """The values (N,) in `data`."""
        raw = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(raw, self._byte_order + self._text)


class Array:
    """A numeric array; it has values once its state is set."""

    def __init__(self, *_: object) -> None:
        self._values: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, Any]) -> None:
        _, shape, dtype, fortran_order, data = state
        self._values = dtype.values(data).reshape(shape, order="F" if fortran_order else "C")

    def numpy(self) -> NDArray[Any]:
        """The values in their own shape and type."""
        if self._values is None:
            raise pickle.UnpicklingError("an array has no values")
        return self._values


def _frombuffer(data: Any, dtype: Any, shape: Any, order: str = "C", *_: object) -> Array:
    """An array of protocol 5."""
    if order not in ("C", "F"):
        raise pickle.UnpicklingError(f"an array has order {order[:20]}, expected C or F")
    array = Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


_ALLOWED: Final[dict[str, Callable[..., Any]]] = {
    "collections.OrderedDict": dict,
    "_codecs.encode": lambda text, _: text.encode("latin1"),  # bytes of protocols 0 to 2
    "numpy.ndarray": Array,
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray._reconstruct": Array,
    "numpy.core.multiarray.scalar": lambda dtype, data: dtype.values(data)[0].item(),
    "numpy.core.numeric._frombuffer": _frombuffer,
}
