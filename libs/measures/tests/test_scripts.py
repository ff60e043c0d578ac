"""Letters are counted by the script that they are of."""

import pytest

from measures.scripts import dominant, letters_by_script


@pytest.mark.parametrize(
    ("text", "letters", "script"),
    [
        ("Hello, world 42!", {"latin": 10}, "latin"),
        ("très bon ÿ", {"latin": 8}, "latin"),
        ("Скучно so", {"cyrillic": 6, "latin": 2}, "cyrillic"),
        ("とても退屈", {"kana": 3, "han": 2}, "kana"),
        ("这部电影", {"han": 4}, "han"),
        ("ab аб", {"latin": 2, "cyrillic": 2}, "cyrillic"),
        ("10/10 😀 ×÷", {}, ""),
        ("\ud800 a", {"latin": 1}, "latin"),
        ("😀 \ud800 é", {"latin": 1}, "latin"),
        ("Ωмега और hé", {"cyrillic": 4, "devanagari": 2, "greek": 1, "latin": 2}, "cyrillic"),
        ("", {}, ""),
    ],
)
def test_letters_are_counted_by_script(text: str, letters: dict[str, int], script: str) -> None:
    assert letters_by_script(text) == letters
    assert not letters or dominant(letters) == script
