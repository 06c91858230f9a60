"""Text of any script, with the fonts of this machine, with none, and with one made here."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from slr_pipeline.report import lettering
from slr_pipeline.report.lettering import FSI, PDI, draw_text, gloss_or_number

CACHES = (lettering._fonts, lettering._system_fonts, lettering._charmap, lettering._warn_once)

SystemFonts = Callable[..., None]


@pytest.fixture
def system_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemFonts]:
    """Replaces the fonts of this machine by these files."""

    def clear() -> None:
        for cached in CACHES:
            cached.cache_clear()

    def replace(*paths: Path) -> None:
        monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(map(str, paths)))
        clear()

    clear()
    yield replace
    clear()


def make_font(path: Path, letters: str) -> Path:
    """A font in which each of the letters is a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = [".notdef", *(f"letter{ord(letter)}" for letter in letters)]
    font = FontBuilder(1000)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(letter): f"letter{ord(letter)}" for letter in letters})
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Made", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(path)
    return path


def test_without_fonts_the_class_number_is_drawn_and_said_once(
    system_fonts: SystemFonts, caplog: pytest.LogCaptureFixture
) -> None:
    system_fonts()
    with caplog.at_level(logging.WARNING):
        assert [gloss_or_number(gloss, 7) for gloss in ("手話", "안녕", "x手")] == ["class 7"] * 3
    [message] = caplog.messages
    assert "fonts-noto-core, fonts-noto-cjk" in message
    assert gloss_or_number("ağaç", 7) == f"{FSI}ağaç{PDI}"
    assert (draw_text("手", 20)[0] == draw_text("?", 20)[0]).all()


def test_a_font_of_the_system_is_taken_for_what_the_own_one_lacks(
    system_fonts: SystemFonts, tmp_path: Path
) -> None:
    damaged = tmp_path / "Damaged-Sans-Regular.ttf"
    damaged.write_bytes(b"no font")
    both = [make_font(tmp_path / f"{name}.ttf", name) for name in ("手", "話")]
    system_fonts(damaged, *both)
    text = gloss_or_number("手\u3000話 (2)", 7)
    assert text == f"{FSI}手\u3000話 (2){PDI}"
    pixels, baseline = draw_text("手", 100)
    inside = pixels[baseline - 75 : baseline - 5, 5:75]
    assert inside.shape == (70, 70)
    assert (inside == 255).all()  # the square
    assert draw_text(text, 100)[0].shape[1] > draw_text("手話", 100)[0].shape[1] > 150


@pytest.mark.parametrize(("first", "second"), ["אש", "من"])
def test_words_from_right_to_left(system_fonts: SystemFonts, first: str, second: str) -> None:
    """The first letter is at the right, also beside a note from left to right."""
    system_fonts()
    apart = draw_text(f"{first}\u200c", 60)[0]
    pair = draw_text(f"{first}\u200c{second}", 60)[0]
    rows = min(len(pair), len(apart))
    ink = pair[:rows].astype(int).sum(axis=0)[-apart.shape[1] + 4 :]
    assert np.corrcoef(ink, apart[:rows].astype(int).sum(axis=0)[4:])[0, 1] > 0.95
    line = draw_text(f"sign: {FSI}{first}{second}{PDI} 92.1%", 60)[0]
    start = draw_text("sign:", 60)[0].astype(int).sum(axis=0)
    assert (line.astype(int).sum(axis=0)[: len(start)] == start).all()
    end = draw_text("92.1%", 60)[0].astype(int).sum(axis=0)
    assert (line.astype(int).sum(axis=0)[-len(end) :] == end).all()


@pytest.mark.parametrize(
    "gloss",
    ["你好", "안녕하세요", "नमस्ते", "สวัสดี", "手話 こんにちは", "ආයුබෝවන්", "سلام", "می‌خواهم", "שלום"],
)
def test_the_fonts_of_this_machine(gloss: str) -> None:
    text = gloss_or_number(gloss, 7)
    if text == "class 7":
        pytest.skip(
            f"no font of this machine has {gloss} (Debian: fonts-noto-core, fonts-noto-cjk)"
        )
    pixels, _ = draw_text(text, 40)
    assert pixels.max() == 255
    questions = draw_text("?" * len(gloss), 40)[0]
    assert pixels.shape != questions.shape
    shuffled = draw_text(gloss[::-1], 40)[0]
    assert pixels.shape != shuffled.shape or (pixels != shuffled).any()
