"""One spelling for each label and signer of a table, and warnings where spellings look alike."""

from collections.abc import Callable, Iterable, Sequence

from slr_pipeline.text import outline, plain


def one_spelling(texts: Iterable[str], key: Callable[[str], str] = plain) -> dict[str, str]:
    """The spelling to use for each text: its own, or a plain one if several have the same key."""
    return {
        text: plain(group[0]) if len(group) > 1 else text
        for group in _groups(texts, key)
        for text in group
    }


def spelling_warnings(labels: Iterable[str], signers: Iterable[str]) -> tuple[str, ...]:
    """One line for each group of labels, or of signers, that look alike but differ."""
    return (
        *_warnings("labels", labels, "are different signs; use one spelling if they are the same"),
        *_warnings("signers", signers, "count as one person; use one spelling, or other names"),
    )


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
