"""Stand-ins for modules that an estimator imports but never uses."""

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stand_ins(*modules: str) -> Iterator[None]:
    """Replace these modules for the imports of the block, unless they are already loaded."""
    names = [name for name in modules if name not in sys.modules]
    sys.modules.update({name: _StandIn(name) for name in names})
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


class _StandIn(types.ModuleType):
    """A module with a class for every name."""

    __path__: list[str] = []  # noqa: RUF012  # a package without modules

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
