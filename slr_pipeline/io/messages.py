"""Names from foreign files in error messages: short and of one line, whatever they contain."""

from collections.abc import Sequence

MOST_LISTED = 10
"""Most names of one kind of problem in a message."""


def listed(names: Sequence[object]) -> str:
    """The number of names and the first of them, e.g. `2 ('a', 'b')`."""
    if not names:
        return "none"
    return f"{len(names)} ({first_few([printable(name) for name in names[: MOST_LISTED + 1]])})"


def first_few(texts: Sequence[str], most: int = MOST_LISTED) -> str:
    """The first `most` texts, joined by commas; `...` marks that there are more."""
    return ", ".join(texts[:most]) + (", ..." if len(texts) > most else "")


def printable(name: object) -> str:
    """A quoted name, cut to 140 characters; for anything but a string, its type."""
    return repr(name)[:140] if isinstance(name, str) else f"a {type(name).__name__.strip('_')}"
