"""What a result must tell of the machine and the programs that it was measured with."""

import hashlib
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peer_process import PEERS
from peer_servers.text_model import Package

_REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
_TELLING = re.compile(r"avx512f|avx512_vnni|avx_vnni|avx2|amx_int8|amx_tile|fma")


def machine_facts() -> dict[str, Any]:
    """The processor, the memory, the versions; no name and no path."""
    cpu = Path("/proc/cpuinfo").read_text()
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*: (.*)", cpu)
    flags = re.search(r"flags\s*: (.*)", cpu)
    return {
        "processor": model[1] if model else platform.machine(),
        "flags": sorted(set(_TELLING.findall(flags[1]))) if flags else [],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "tokenizers": version("tokenizers"),
        **{name: _locked(name) for name in PEERS},
    }


def package_facts(package: Package, manifest: dict[str, Any]) -> dict[str, Any]:
    """Which model it was."""
    model = (Path(package.directory) / "model.onnx").read_bytes()
    return {
        "name": manifest["name"],
        "version": manifest["version"],
        "quantisation": manifest.get("quantisation", "dynamic"),
        "batching": manifest.get("batching", {"independent": False}),
        "max_tokens": package.max_tokens,
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "model_mib": round(len(model) / 2**20, 1),
    }


def _locked(peer: str) -> str:
    text = (_REQUIREMENTS / f"peer-{peer}.txt").read_text()
    found = re.search(rf"^{peer}==(\S+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no version of {peer} is locked")
    return found[1]
