"""Where a long text is cut. The server cuts the same way: another cut would be another model."""

from __future__ import annotations

from typing import Literal, TypeVar

from tokenizers import Tokenizer

Truncation = Literal["head", "tail", "head_tail"]
Of = TypeVar("Of")

# Of a long text cut as head_tail, this share of the tokens is its head.
HEAD_SHARE = 0.25
# Which side of the text the tokenizer itself cuts off; it knows no cut in the middle.
_SIDES = {"head": "right", "tail": "left"}


def set_truncation(tokenizer: Tokenizer, max_tokens: int, truncation: str) -> None:
    """Let ``tokenizer`` do what it can of a cut; ``cut_middle`` does the rest of ``head_tail``."""
    if truncation == "head_tail":
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_tokens, direction=_SIDES[truncation])


def cut_middle(ids: list[Of], max_tokens: int) -> list[Of]:
    """Leave at most ``max_tokens`` of a text: a quarter from its head, the rest from its tail.

    Both ends keep their special token. What fits is returned as it is.
    """
    if len(ids) <= max_tokens:
        return ids
    head = max(1, int(max_tokens * HEAD_SHARE))
    return ids[:head] + ids[head - max_tokens :]
