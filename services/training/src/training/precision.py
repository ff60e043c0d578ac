"""The arithmetic that a device is good at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from training.domain import InputError

# Without one of these instructions, a CPU computes bf16 far slower than fp32.
CPU_BF16 = ("amx_bf16", "avx512_bf16")
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device() -> torch.device:
    """The CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(wanted: str, device: torch.device, capabilities: Mapping[str, Any]) -> str:
    """``fp32``, ``bf16`` or ``fp16`` for ``wanted`` (``auto`` or one of them).

    ``capabilities`` are those of ``torch.cpu.get_capabilities()``. Raises InputError for a
    precision that the device has not got.
    """
    if device.type == "cuda":
        has_bf16 = bool(capabilities.get("cuda_bf16", torch.cuda.is_bf16_supported()))
        best = "bf16" if has_bf16 else "fp16"
        able = {"fp32", "fp16", best}
    else:
        has_bf16 = any(capabilities.get(name) for name in CPU_BF16)
        best = "bf16" if has_bf16 else "fp32"
        able = {"fp32", best}
    if wanted == "auto":
        return best
    if wanted not in able:
        raise InputError(f"precision {wanted}: this {device.type} can do {', '.join(sorted(able))}")
    return wanted
