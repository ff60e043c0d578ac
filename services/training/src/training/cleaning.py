"""Cleans texts step by step and counts the texts that each step changed."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable

from training.data_recipe import Cleaning

# Tags that occur in crawled text. A "<" before anything else is the writer's own: "<3", "a < b".
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|center|code|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|s|small|"
    r"span|strike|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
# Soft hyphens, zero-width spaces and marks of direction. The zero-width joiner stays: without it
# one emoji falls apart into several.
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F)])
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_WHITE = re.compile(r"\s+")

Step = tuple[str, Callable[[str], str]]


def without_markup(text: str) -> str:
    """Tags of HTML become a space: ``good<br />film`` is two words."""
    return _TAG.sub(" ", text) if "<" in text else text


def without_controls(text: str) -> str:
    """Control characters become a space, invisible formatting goes; new lines and tabs stay."""
    return _CONTROL.sub(" ", text).translate(_INVISIBLE)


def with_single_spaces(text: str) -> str:
    """Each run of white space is one space, none at the ends."""
    return _WHITE.sub(" ", text).strip()


def cleaner(wanted: Cleaning, changed: Counter[str]) -> Callable[[str], str]:
    """The function that applies the wanted steps in order and counts, per step, texts changed."""
    steps: list[Step] = [
        ("entities", html.unescape),
        ("markup", without_markup),
        ("unicode", lambda text: unicodedata.normalize("NFC", text)),
        ("control_characters", without_controls),
        ("white_space", with_single_spaces),
    ]
    chosen = [(name, step) for name, step in steps if getattr(wanted, name)]

    def clean(text: str) -> str:
        for name, step in chosen:
            before, text = text, step(text)
            if text != before:
                changed[name] += 1
        return text

    return clean
