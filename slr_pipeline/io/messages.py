"""Names and values as short texts of one line, whatever they contain."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

MOST_LISTED = 10
"""Most names of one kind of problem in a message."""

MOST_VALUES = 4
"""Most distinct values that are listed one by one."""


def listed(names: Sequence[object]) -> str:
    """The number of names and the first of them, e.g. `2 ('a', 'b')`."""
    if not names:
        return "none"
    return f"{len(names)} ({first_few([printable(name) for name in names[: MOST_LISTED + 1]])})"


def first_few(texts: Sequence[str], most: int = MOST_LISTED) -> str:
    """The first `most` texts, joined by commas; `...` marks that there are more."""
    return ", ".join(texts[:most]) + (", ..." if len(texts) > most else "")


def frequent(values: Iterable[tuple[float, ...]]) -> str:
    """The distinct values with their counts, e.g. `256 x 256 (59), 1080 x 1920 (1)`.

    Of more than `MOST_VALUES`, the most frequent ones and the range of the others, by product.
    """
    counts = Counter(values).most_common()
    texts = [" x ".join(f"{number:g}" for number in value) for value, _ in counts]
    if len(counts) == 1:
        return texts[0]
    listed = [f"{text} ({n})" for text, (_, n) in zip(texts, counts, strict=True)]
    others = sorted(range(MOST_VALUES, len(counts)), key=lambda i: math.prod(counts[i][0]))
    if others:
        ends = " to ".join(dict.fromkeys((texts[others[0]], texts[others[-1]])))
        listed[MOST_VALUES:] = [f"{len(others)} more, {ends}"]
    return ", ".join(listed)


def printable(name: object) -> str:
    """A quoted name, cut to 140 characters; for anything but a string, its type."""
    return repr(name)[:140] if isinstance(name, str) else f"type {type(name).__name__.strip('_')}"
