"""Which characters names and labels may have, how they are printed, and which look the same."""

import pytest

from slr_pipeline.text import outline, plain, refused_character, shown

KEPT = {
    "narrow blank of macOS": "9.01.07\u202fAM",
    "no-break blank": "Ben\u00a0Ali",
    "Japanese blank": "手\u3000話",
    "Persian": "می\u200cخواهم",
    "Sinhala": "ශ්\u200dරී",
    "soft hyphen": "Fahr\u00adrad",
    "Thai word break": "ภาษา\u200bมือ",
    "left-to-right mark of WhatsApp": "\u200eVideo 2024.mp4",
    "name in an isolate": "\u2068עברית\u2069.mp4",
    "nested directions": "\u2067a\u202bb\u202c\u2069",
    "emoji of several": "👨\u200d👩\u200d👧",
    "private use": "\ue000",
    "newer than this Python": "\U0001fbff",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_scripts_use_is_kept_and_printed_as_it_is(text: str) -> None:
    assert refused_character(text) == ""
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "character", "printed"),
    [
        ("a\nb", "U+000A", r"a\nb"),
        ("a\tb", "U+0009", r"a\tb"),
        ("\x1b[2J", "U+001B", r"\x1b[2J"),
        ("a\x85b", "U+0085", r"a\x85b"),
        ("a\u2028b", "U+2028", r"a\u2028b"),
        ("a\u2029b", "U+2029", r"a\u2029b"),
        ("a\u202egpj.mp4", "U+202E", r"a\u202egpj.mp4"),
        ("\u2068a\u202eb\u2069", "U+202E", r"\u2068a\u202eb\u2069"),
        ("\u202aC:/a.mp4", "U+202A", r"\u202aC:/a.mp4"),
        ("a\u2069\u2067", "U+2069", r"a\u2069\u2067"),
        ("\udcfe.mp4", "U+DCFE", r"\udcfe.mp4"),
    ],
)
def test_controls_line_ends_and_open_directions_are_refused(
    text: str, character: str, printed: str
) -> None:
    assert refused_character(text) == character
    assert shown(text) == printed


@pytest.mark.parametrize(
    "text", ["Ben\u00a0Ali", "Ben  Ali", " Ben Ali\ufeff", "Ben\u200b Ali", "B\u00aden\u3000Ali"]
)
def test_blanks_and_invisible_signs_do_not_make_another_word(text: str) -> None:
    assert plain(text) == "Ben Ali"


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Ben Ali", "ben ali"),
        ("IŞIL", "Işıl"),
        ("İyi", "iyi"),
        ("Straße", "STRASSE"),
        ("Ａnna １", "Anna 1"),
        ("Anna", "\u0410nna"),
        ("می\u200cخواهم", "میخواهم"),
        ("عربي ٣", "عربی ۳"),
        ("O'Brien", "O\u2019Brien"),
        ("Ben-Ali", "Ben\u2011Ali"),
        ("❤\ufe0f", "❤"),
    ],
)
def test_what_a_reader_takes_for_the_same_word_looks_alike(text: str, other: str) -> None:
    assert plain(text) != plain(other)
    assert outline(text) == outline(other)


def test_other_words_do_not_look_alike() -> None:
    words = ["Ben Ali", "BenAli", "Ben", "şık", "sık", "ağ", "ag", "1", "01", "нос", "nos"]
    assert len({outline(word) for word in words}) == len(words)
