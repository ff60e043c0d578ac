"""Texts to measure with: made ones, or a data set's own from a directory.

A directory holds SST-2 as GLUE's `dev.tsv` (its first column is `sentence`) for the short ones, and
IMDB's `pos/*.txt` and `neg/*.txt` for the long ones; or both as `sst2/dev.jsonl.gz` and
`imdb/dev.jsonl.gz`, one object with a `text` a line. Either may be missing.
"""

import csv
import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path

KINDS = ("short", "long", "mix")
_MOST = 2000
_LONGEST = 5000
"""Characters: what the gateway takes."""
_WORDS = """
    film plot story actor scene music ending camera dialogue character director moment
    audience warm dull brilliant slow moving clumsy honest predictable delightful tired sharp
    lovely the a of and with but never always almost every is was feels seems leaves remains
    shows gives
"""


def texts_of(kind: str, directory: Path | None) -> list[str]:
    """Texts of one kind in an order by chance, the same one every time.

    Raises:
        FileNotFoundError: the directory holds none of the kind.
    """
    if kind == "mix":
        short, long = texts_of("short", directory), texts_of("long", directory)
        return [text for pair in zip(short, long, strict=False) for text in pair]
    texts = _made(kind) if directory is None else _found(kind, directory)
    chance = random.Random(7)
    chance.shuffle(texts)
    return texts[:_MOST]


def _made(kind: str) -> list[str]:
    """As long as the data sets' own: SST-2 has 19 words on average, IMDB 230 and a long tail."""
    chance = random.Random(kind)
    words = _WORDS.split()
    middle, spread = (19, 9) if kind == "short" else (230, 170)
    lengths = [max(3, round(chance.gauss(middle, spread))) for _ in range(_MOST)]
    return [" ".join(chance.choices(words, k=length)).capitalize() + "." for length in lengths]


def _found(kind: str, directory: Path) -> list[str]:
    if kind == "short":
        texts = _lines(directory / "sst2") or _sentences(directory)
    else:
        texts = _lines(directory / "imdb") or _reviews(directory)
    if not texts:
        raise FileNotFoundError(f"{directory} holds no {kind} texts")
    return texts


def _lines(directory: Path) -> list[str]:
    file = directory / "dev.jsonl.gz"
    if not file.exists():
        return []
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"][:_LONGEST] for line in lines]


def _sentences(directory: Path) -> list[str]:
    found = sorted(directory.rglob("dev.tsv"))
    if not found:
        return []
    with found[0].open(encoding="utf-8", newline="") as file:
        return [
            row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def _reviews(directory: Path) -> list[str]:
    files: Sequence[Path] = sorted(
        path for path in directory.rglob("*.txt") if path.parent.name in ("pos", "neg")
    )
    return [path.read_text(encoding="utf-8")[:_LONGEST] for path in files[: 2 * _MOST]]
