"""Pickles that run code when they are loaded by `pickle`."""

from collections.abc import Callable
from typing import Any


class Runs:
    """Pickles as a call of a function."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name
        self.arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        module, _, function = self.name.rpartition(".")
        return getattr(__import__(module), function), self.arguments
