"""Turns text into token ids with the tokenizer of a model package."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

_HEAD_SHARE = 0.25
"""Of a long text whose head and tail are kept: as training cuts it."""
_CUT_AT = {"head": "right", "tail": "left"}


@dataclass(frozen=True, slots=True)
class EncodedText:
    """One text as the model sees it."""

    token_ids: npt.NDArray[np.int64]
    """[1, tokens], special tokens included, cut to the model's limit."""
    unknown_tokens: int
    special_tokens: int


class TextEncoder:
    """Safe to use from several threads at once.

    Args:
        truncation: the part of a longer text that is kept: `head`, `tail` or `head_tail`.

    Raises:
        ValueError: the file is no tokenizer.
    """

    def __init__(self, path: Path, max_tokens: int, truncation: str = "head") -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            # The library raises bare Exception for whatever is wrong with the file.
            raise ValueError(f"{path.name} cannot be read: {error}") from error
        self._tokenizer.no_padding()
        self._max_tokens = max_tokens
        self._head = max(1, int(max_tokens * _HEAD_SHARE))
        if truncation == "head_tail":
            self._tokenizer.no_truncation()
        else:
            self._tokenizer.enable_truncation(max_tokens, direction=_CUT_AT[truncation])
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        known = self._tokenizer.token_to_id(unknown) if unknown else None
        # No id is negative: a vocabulary without an unknown token counts none.
        self._unknown_id = -1 if known is None else known

    def encode(self, text: str) -> EncodedText:
        """Encodes one text."""
        encoding = self._tokenizer.encode(text)
        ids = self._cut(encoding.ids)
        return EncodedText(
            token_ids=np.array([ids], dtype=np.int64),
            unknown_tokens=ids.count(self._unknown_id),
            special_tokens=sum(self._cut(encoding.special_tokens_mask)),
        )

    def _cut(self, tokens: list[int]) -> list[int]:
        # Only where head and tail are kept does the tokenizer leave anything to cut.
        if len(tokens) <= self._max_tokens:
            return tokens
        return tokens[: self._head] + tokens[self._head - self._max_tokens :]
