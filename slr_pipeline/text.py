"""Text that users write: refused characters, safe printing, and spellings that look the same."""

import re
import unicodedata

_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202d\u202e\ud800-\udfff]")
"""Controls, line ends, overrides of the direction of text, and undecodable bytes of a file name."""
_DIRECTION = "\u202a-\u202e\u2066-\u2069"
_CLOSED = re.compile(f"[\u202a\u202b][^{_DIRECTION}]*\u202c|[\u2066-\u2068][^{_DIRECTION}]*\u2069")
_ESCAPED = re.compile(f"{_REFUSED.pattern}|[{_DIRECTION}]")
_INVISIBLE = re.compile(f"[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff{_DIRECTION}]")
"""Signs without a shape of their own. Joiners (U+200C, U+200D) change the shape of letters."""
_LOOKS_LIKE = str.maketrans(
    "аеѕіјорсухвкмнтαεικορυχيكىı\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2018\u2019\u02bc\u2032",
    "aesijopcyxbkmhtaeikopuxیکیi-------''''",
)
"""Letters of other alphabets, of Arabic and Persian keyboards, dashes and apostrophes."""


def refused_character(text: str) -> str:
    """The first character that no name or label may contain, e.g. `U+202E`; empty if there is none.

    Refused are controls, line ends, undecodable bytes, and marks that change the direction of the
    text after them: overrides, and embeddings and isolates that are not closed.
    """
    found = _REFUSED.search(text)
    if not found and _ESCAPED.search(text):
        while (shorter := _CLOSED.sub("", text)) != text:
            text = shorter
        found = _ESCAPED.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


def shown(text: str) -> str:
    """The text for a terminal or a log line: unchanged, or with refused characters escaped."""
    if not refused_character(text):
        return text
    return _ESCAPED.sub(lambda found: ascii(found[0])[1:-1], text)


def composed(text: str) -> str:
    """The text in Unicode's normal form C, without blanks at its ends."""
    return unicodedata.normalize("NFC", text.strip())


def plain(text: str) -> str:
    """The text without invisible signs, and with one space for each run of blanks.

    Texts with the same plain text are the same word.
    """
    return " ".join(unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).split())


def outline(text: str) -> str:
    """A text that is equal for texts that a reader takes for the same word.

    Ignored are what `plain` ignores, case (also of the Turkish i), joiners, the width of letters,
    and the differences between letters in `_LOOKS_LIKE`.
    """
    folded = unicodedata.normalize("NFKC", plain(text)).casefold().replace("i\u0307", "i")
    letters = [
        str(unicodedata.decimal(letter, letter))
        for letter in folded.translate(_LOOKS_LIKE)
        if unicodedata.category(letter) != "Cf" and not "\ufe00" <= letter <= "\ufe0f"
    ]
    return unicodedata.normalize("NFC", "".join(letters))
