"""Pickles of other programs, of which nothing is run: plain values and numeric arrays, or refused.

What a file says of its own size is checked before memory is taken.
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError

MOST_ITEMS = 2**40
"""A length that no array of a file has."""


def load_pickle(path: Path, data: bytes, most_bytes: int) -> object:
    """What a pickle holds: Python's own plain things, numbers, and an `Array` for each of numpy's.

    `data` is the file, `path` is for messages. Every name that it asks for is taken by a stand-in
    of ours. ArtifactError when it asks for anything but numpy's arrays, scalars and types;
    UnpicklingError or anything else when it is damaged or unpacks to more than `most_bytes`.
    """
    for opcode, argument, _ in pickletools.genops(data):
        # The C unpickler takes memory for all places up to the one that is named.
        if opcode.name in ("PUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= len(data):
            raise pickle.UnpicklingError("it asks for more memory than it can fill")
    try:
        return _Unpickler(io.BytesIO(data), most_bytes).load()
    except _AskedForError as error:
        raise ArtifactError(
            f"{path}: asks for {error}, and nothing in a file is run; if you trust it, load it "
            "where it was made and save it as plain text, numbers and numeric numpy arrays"
        ) from error


class _AskedForError(Exception):
    """A name, or a type of numbers, that is not on the list."""


class _Unpickler(pickle.Unpickler):
    """Knows numpy's arrays, scalars and types, by their names before and since numpy 2."""

    def __init__(self, file: io.BytesIO, most_bytes: int) -> None:
        super().__init__(file, encoding="latin1")
        self._most_bytes = self._left = most_bytes
        core: dict[str, Callable[..., Any]] = {
            "multiarray._reconstruct": lambda *_: Array(self._spend),
            "multiarray.scalar": _scalar,
            "numeric._frombuffer": self._from_buffer,
        }
        self._known: dict[str, Callable[..., Any]] = {
            "numpy.ndarray": _never,
            "numpy.dtype": lambda text, *_: _Dtype(text),
            "_codecs.encode": self._encode,
            "collections.OrderedDict": dict,
            **{f"numpy.core.{name}": make for name, make in core.items()},
            **{f"numpy._core.{name}": make for name, make in core.items()},
        }

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name; no module is imported."""
        make = self._known.get(f"{module}.{name}")
        if make is None:
            raise _AskedForError("".join(c for c in f"{module}.{name}"[:100] if c.isprintable()))
        return _StandIn(make)

    def _spend(self, size: int) -> None:
        """Count what is made: a pickle can use one long text of it many times."""
        self._left -= size
        if self._left < 0:
            raise pickle.UnpicklingError(f"it unpacks to more than {self._most_bytes} bytes")

    def _encode(self, text: str, encoding: str) -> bytes:
        """How pickles of protocol 2 and below hold bytes."""
        if encoding != "latin1":
            raise _AskedForError("an encoding other than latin1")
        self._spend(len(text))
        return text.encode("latin1")

    def _from_buffer(self, data: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> "Array":
        """How pickles of protocol 5 hold arrays."""
        if order not in ("C", "F"):
            raise pickle.UnpicklingError(f"an array is in order {str(order)[:20]}")
        array = Array(self._spend)
        array.__setstate__((1, shape, dtype, order == "F", data))
        return array


class _StandIn:
    """Takes the place of a name. It has no state that a file could set."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it sets what is not its own")


def _never(*_: Any) -> Any:
    raise pickle.UnpicklingError("it makes an array without its numbers")


class _Dtype:
    """A type of numbers or, for names, of text."""

    __slots__ = ("_order", "_text")

    def __init__(self, text: str) -> None:
        if not re.fullmatch(r"[fiu][1248]|b1|U\d{1,4}", text):
            raise _AskedForError(f"values of type {text[:20]!r}")
        self._text = text
        self._order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, *parts = state[1:5]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in parts):
            raise _AskedForError("values of a type made of parts")
        self._order = order

    def numpy(self) -> np.dtype[Any]:
        """The type as numpy has it."""
        return np.dtype(self._order + self._text)


class Array:
    """An array of numbers, whose values are there once its state is."""

    __slots__ = ("_spend", "_values")

    def __init__(self, spend: Callable[[int], None]) -> None:
        self._spend = spend
        self._values: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, by_column, data = state
        kind = _numpy_of(dtype)
        if kind.kind == "U" or not isinstance(data, str | bytes | bytearray):
            raise pickle.UnpicklingError("an array does not hold numbers")
        if not all(type(n) is int and 0 <= n <= MOST_ITEMS for n in shape[:32]) or shape[32:]:
            raise pickle.UnpicklingError(f"an array says its shape is {str(shape[:4])[:60]}")
        raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
        if math.prod(shape) * kind.itemsize != len(raw):
            raise pickle.UnpicklingError(f"an array {shape} of {kind} has {len(raw)} bytes")
        self._spend(4 * math.prod(shape))
        self._values = np.frombuffer(raw, kind).reshape(shape, order="F" if by_column else "C")

    def numpy(self) -> NDArray[Any]:
        """The array in its own shape and type."""
        if self._values is None:
            raise pickle.UnpicklingError("an array has no numbers")
        return self._values


def _scalar(dtype: Any, data: Any) -> str | float:
    """A number, or the name of a sample as `numpy.str_`."""
    kind = _numpy_of(dtype)
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(raw, bytes) or len(raw) != kind.itemsize:
        raise pickle.UnpicklingError("a scalar is not of its size")
    if kind.kind == "U":
        return raw.decode("utf-32-be" if kind.byteorder == ">" else "utf-32-le").rstrip("\0")
    return float(np.frombuffer(raw, kind)[0])


def _numpy_of(dtype: object) -> np.dtype[Any]:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array has no type of numbers")
    return dtype.numpy()
