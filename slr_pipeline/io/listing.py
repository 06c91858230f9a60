"""Names from files of others in messages: short and printable, whatever they are."""

from collections.abc import Sequence

MOST_LISTED = 10
"""Names of one kind of problem in a message."""


def listed(names: Sequence[object]) -> str:
    """How many, and the first of them."""
    if not names:
        return "none"
    return f"{len(names)} ({first_of([short(name) for name in names[: MOST_LISTED + 1]])})"


def first_of(texts: Sequence[str], most: int = MOST_LISTED) -> str:
    """At most so many of them, as they are, and `...` where there are more."""
    return ", ".join(texts[:most]) + (", ..." if len(texts) > most else "")


def short(name: object) -> str:
    """A name, or the kind of what stands in its place."""
    return ascii(name)[:140] if isinstance(name, str) else f"a {type(name).__name__.strip('_')}"
