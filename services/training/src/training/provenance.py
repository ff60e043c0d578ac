"""What a result came from, as digests: independent of git, so that an installed copy knows too."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def code_sha256() -> str:
    """The SHA-256 (hex) over the names and contents of this package's modules."""
    here = Path(__file__).parent
    total = hashlib.sha256()
    for module in sorted(here.glob("*.py")):
        total.update(module.name.encode() + b"\0" + module.read_bytes() + b"\0")
    return total.hexdigest()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
