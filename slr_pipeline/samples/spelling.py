"""One spelling for each label and signer of a table, and warnings where spellings look wrong."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from slr_pipeline.text import outline, plain

_MONTHS = (
    "jan feb mar apr may jun jul aug sep sept oct nov dec mär mrz mai okt dez janv févr mars avr "
    "juin juil août déc ene abr ago dic fev gen mag giu lug ott mrt mei oca şub nis haz tem ağu "
    "eyl eki kas ara"
).replace(" ", "|")
"""Months as spreadsheets abbreviate them: English, German, French, Spanish, Portuguese, Italian,
Dutch, Turkish."""
_DATE = re.compile(
    rf"\d{{1,2}}[-./ ]{{1,2}}({_MONTHS})\.?([-./ ]\d{{2,4}})?|({_MONTHS})[-./ ](\d\d|\d{{4}})"
    r"|\d{1,2}([-./])\d{1,2}\5\d{2,4}|\d{4}([-./])\d{1,2}\6\d{1,2}",
    re.IGNORECASE,
)
DATES = "spreadsheets turn names such as 1-2 and MAR1 into dates"


def one_spelling(texts: Iterable[str], key: Callable[[str], str] = plain) -> dict[str, str]:
    """The spelling to use for each text: its own, or a plain one if several have the same key."""
    return {
        text: plain(group[0]) if len(group) > 1 else text
        for group in _groups(texts, key)
        for text in group
    }


def spelling_warnings(labels: Collection[str], signers: Collection[str]) -> tuple[str, ...]:
    """A line for each group of labels, or of signers, that look alike but differ; and for dates."""
    return (
        *_warnings("labels", labels, "are different signs; use one spelling if they are the same"),
        *_warnings("signers", signers, "count as one person; use one spelling, or other names"),
        *date_warnings("labels", labels),
        *date_warnings("signers", signers),
    )


def is_date(text: str) -> bool:
    """Whether a text is what a spreadsheet makes of a name that it takes for a date: `01-Feb`."""
    return len(text) < 13 and bool(_DATE.fullmatch(text))


def date_warnings(column: str, texts: Iterable[str]) -> list[str]:
    """A line if texts of a column are dates."""
    dates = sorted(text for text in set(texts) if is_date(text))
    if not dates:
        return []
    return [
        f"{len(dates)} {column} are dates, first {dates[0]!r}: {DATES}; if these were no dates, "
        "format the column as text and enter them again"
    ]


def _warnings(column: str, texts: Iterable[str], advice: str) -> list[str]:
    groups = _groups(set(one_spelling(texts).values()), outline)
    return [
        f"{column} {' and '.join(map(quoting(group), group))} look alike and {advice}"
        for group in groups
        if len(group) > 1
    ]


def quoting(group: Sequence[str]) -> Callable[[str], str]:
    """How to quote texts that look alike: `ascii` where only that shows the difference."""
    return ascii if len({text.casefold() for text in group}) > 1 else repr


def _groups(texts: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    """The distinct texts by equal keys, all sorted."""
    groups: dict[str, list[str]] = {}
    for text in sorted(set(texts)):
        groups.setdefault(key(text), []).append(text)
    return list(groups.values())
