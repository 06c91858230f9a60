"""Names from files of others in messages: short and printable, whatever they are."""

from collections.abc import Sequence

MOST_LISTED = 10
"""Names of one kind of problem in a message."""


def listed(names: Sequence[object]) -> str:
    """How many, and the first of them."""
    if not names:
        return "none"
    texts = ", ".join(short(name) for name in names[:MOST_LISTED])
    return f"{len(names)} ({texts}{', ...' if len(names) > MOST_LISTED else ''})"


def short(name: object) -> str:
    """A name, or the kind of what stands in its place."""
    return ascii(name)[:140] if isinstance(name, str) else f"a {type(name).__name__.strip('_')}"
