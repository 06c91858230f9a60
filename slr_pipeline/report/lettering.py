"""Text of any script as pixels, shaped and in its reading direction by matplotlib's libraqm.

Letters that matplotlib's own font lacks come from the fonts of the system.
"""

import logging
import re
import unicodedata
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray

OWN_FONT = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
FSI, PDI = "\u2068", "\u2069"
"""Unicode's marks around a part of a text that has a direction of its own."""

_log = logging.getLogger(__name__)


def gloss_or_number(gloss: str, label: int) -> str:
    """The gloss as a part with its own direction; its class number where no font has its letters.

    Warns once per process.
    """
    if _fonts(_letters(gloss)) is None:
        _warn_once()
        return f"class {label}"
    return f"{FSI}{gloss}{PDI}"


def draw_text(text: str, size_px: int) -> tuple[NDArray[np.uint8], int]:
    """Coverage (height, width) of a line of text, and the row of its baseline.

    Letters that no font has are drawn as `?`.
    """
    text = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
    known = "".join(c if _fonts(_letters(c)) is not None else "?" for c in text)
    font = font_manager.get_font([OWN_FONT, *(_fonts(_letters(known)) or ())])
    font.set_size(size_px, 72)
    parts = []
    for part in filter(None, map(str.strip, re.split(f"[{FSI}{PDI}]", known))):
        font.set_text(part, 0.0)
        font.draw_glyphs_to_bitmap(antialiased=True)
        pixels = np.array(font.get_image())
        parts.append((pixels, len(pixels) - font.get_descent() // 64))
    above = max((baseline for _, baseline in parts), default=0)
    below = max((len(pixels) - baseline for pixels, baseline in parts), default=0)
    gap = np.zeros((above + below, size_px // 3), np.uint8)
    line = [gap[:, :0]]
    for pixels, baseline in parts:
        margins = (above - baseline, below - (len(pixels) - baseline))
        line += [np.pad(pixels, (margins, (0, 0))), gap]
    return np.concatenate(line[:-1] or line, axis=1), above


def _letters(text: str) -> frozenset[int]:
    """The code points of a text that need a glyph: no blanks, marks of direction or joiners."""
    return frozenset(ord(c) for c in text if unicodedata.category(c) not in ("Zs", "Cf"))


@cache
def _fonts(letters: frozenset[int]) -> tuple[str, ...] | None:
    """Fonts of the system that have the letters that the own font lacks; None: some are nowhere."""
    missing, fonts = letters - _charmap(str(OWN_FONT)), []
    while missing:
        best = max(_system_fonts(), key=lambda path: len(missing & _charmap(path)), default="")
        if not missing & _charmap(best):
            return None
        fonts.append(best)
        missing -= _charmap(best)
    return tuple(fonts)


@cache
def _system_fonts() -> list[str]:
    """Font files, the plain sans-serif ones first."""
    order = ("Regular", "Sans")
    return sorted(
        font_manager.findSystemFonts(),
        key=lambda path: (*(word not in Path(path).name for word in order), "Mono" in path, path),
    )


@cache
def _charmap(path: str) -> frozenset[int]:
    """Code points of a font; none for a damaged one and for one of pictures, such as emoji."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()


@cache
def _warn_once() -> None:
    _log.warning(
        "glosses are drawn as class numbers: no font of this machine has their letters; install "
        "fonts (Debian: fonts-noto-core, fonts-noto-cjk)"
    )
