"""The most tokens that texts can take, without a tokenizer to ask."""

from collections.abc import Sequence

_SPECIAL = 2
"""That every text gets: one before it, one behind it."""


def most_tokens(texts: Sequence[str], max_tokens: int) -> int:
    """An upper bound on what the model is given.

    No token is shorter than a byte of UTF-8, and no text longer than what the model cuts it to.

    Args:
        max_tokens: after which the model cuts a text, special tokens included.
    """
    if not max_tokens:
        return sum(len(text.encode()) + _SPECIAL for text in texts)
    return sum(
        # The length in characters is at hand; most long texts need no more.
        max_tokens
        if len(text) + _SPECIAL >= max_tokens
        else min(max_tokens, len(text.encode("utf-8", "surrogatepass")) + _SPECIAL)
        for text in texts
    )
