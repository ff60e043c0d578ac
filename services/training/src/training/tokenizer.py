"""The tokenizer of a package: cut at the model's limit, never padded."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from training.domain import InputError


def load_tokenizer(path: Path, max_tokens: int) -> Tokenizer:
    """Load ``tokenizer.json`` with truncation at ``max_tokens`` (specials included), no padding.

    A published file often carries a padding of 128, which would feed the model padding for every
    short text. Raises InputError when the file cannot be used.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    # The binding raises a bare Exception for a missing file and for a malformed one alike.
    except Exception as exc:
        raise InputError(f"{path}: not a usable tokenizer ({exc})") from exc
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=max_tokens)
    return tokenizer
