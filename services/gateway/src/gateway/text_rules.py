"""Which texts are worth sending to a model; inference holds them to the same rules."""

import re
from collections.abc import Sequence

from servicekit.errors import FieldViolation, InvalidInput

# NUL, which PostgreSQL takes in no text either, and halves of a surrogate pair. Other control
# characters are rare in what people paste, and harmless.
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")


def is_clean(text: str) -> bool:
    """Whether it holds nothing but what text holds."""
    return _NO_TEXT.search(text) is None


def fault_of(text: str) -> str | None:
    """Why no model takes the text; None when it is fine."""
    if not is_clean(text):
        return "holds a NUL character or broken Unicode"
    if not text or text.isspace():
        return "is blank"
    return None


def check_texts(texts: Sequence[str], fields: Sequence[str], max_characters: int) -> None:
    """Refuses the whole request when one of its texts cannot be predicted.

    Args:
        fields: what each text is called in the request.
        max_characters: the model's limit, Unicode code points.

    Raises:
        InvalidInput: names every text that is wrong.
    """
    violations = []
    for text, field in zip(texts, fields, strict=True):
        fault = fault_of(text)
        if fault is None and len(text) > max_characters:
            fault = f"is longer than {max_characters} characters"
        if fault is not None:
            violations.append(FieldViolation(field, fault))
    if violations:
        raise InvalidInput("A text cannot be predicted.", violations=violations)
