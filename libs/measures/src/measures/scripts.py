"""Which scripts the letters of a text are of."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

# The first code points of blocks, and whose letters follow.
_BLOCKS: tuple[tuple[int, str], ...] = (
    (0x0000, "latin"), (0x0370, "greek"), (0x0400, "cyrillic"), (0x0530, "other"),
    (0x0590, "hebrew"), (0x0600, "arabic"), (0x0780, "other"), (0x08A0, "arabic"),
    (0x0900, "devanagari"), (0x0980, "other"), (0x0E00, "thai"), (0x0E80, "other"),
    (0x1100, "hangul"), (0x1200, "other"), (0x1C80, "cyrillic"), (0x1C90, "other"),
    (0x1D00, "latin"), (0x1F00, "greek"), (0x2000, "latin"), (0x2C00, "other"),
    (0x2C60, "latin"), (0x2C80, "other"), (0x2DE0, "cyrillic"), (0x2E00, "han"),
    (0x3040, "kana"), (0x3100, "han"), (0x3130, "hangul"), (0x3190, "han"),
    (0x31F0, "kana"), (0x3200, "han"), (0xA000, "other"), (0xA640, "cyrillic"),
    (0xA6A0, "other"), (0xA720, "latin"), (0xA800, "other"), (0xA960, "hangul"),
    (0xA980, "other"), (0xAB30, "latin"), (0xAB70, "other"), (0xAC00, "hangul"),
    (0xD800, "other"), (0xF900, "han"), (0xFB00, "latin"), (0xFB13, "other"),
    (0xFB1D, "hebrew"), (0xFB50, "arabic"), (0xFE00, "other"), (0xFE70, "arabic"),
    (0xFF00, "latin"), (0xFF66, "kana"), (0xFFA0, "hangul"), (0xFFE0, "other"),
)  # fmt: skip
_WESTERN = "cp1252"
_NO_WESTERN_LETTERS = bytes(
    code for code in range(256) if not bytes([code]).decode(_WESTERN, "replace").isalpha()
)


def letters_by_script(text: str) -> dict[str, int]:
    """Letters of each script in a text; what lies beyond the Basic Multilingual Plane has none."""
    try:
        # What most texts are, typographic quotes included, takes a fraction of the time. All
        # letters of this encoding are Latin.
        encoded = text.encode("ascii" if text.isascii() else _WESTERN)
        count = len(encoded.translate(None, _NO_WESTERN_LETTERS))
    except UnicodeEncodeError:
        return _by_code_point(text)
    return {"latin": count} if count else {}


def dominant(letters: Mapping[str, int]) -> str:
    """The script with the most letters, the first by name of several; there are letters."""
    return min(letters, key=lambda script: (-letters[script], script))


def _by_code_point(text: str) -> dict[str, int]:
    kinds, names = _kinds()
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2")
    # A fourth of the time that indexing and numpy's own numbers take.
    counts = np.bincount(kinds.take(units)).tolist()
    return {name: count for name, count in zip(names, counts, strict=False) if count and name}


@cache
def _kinds() -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """A number for each code point, 0 for what is no letter, and the script of each number."""
    names = ("", *sorted({script for _, script in _BLOCKS}))
    kinds = np.zeros(0x10000, np.uint8)
    for (first, script), (end, _) in zip(_BLOCKS, (*_BLOCKS[1:], (0x10000, "")), strict=True):
        kinds[first:end] = names.index(script)
    no_letter = [not chr(code).isalpha() for code in range(0x10000)]
    kinds[np.array(no_letter)] = 0
    return kinds, names
