"""ONNX Runtime reports nothing to its makers."""

import os
import subprocess
import sys
from pathlib import Path


def left_by(program: str, home: Path) -> list[str]:
    """The files that a program leaves in a home of its own, without this process's variables."""
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)
    return [path.name for path in home.rglob("*") if path.is_file()]


def test_the_service_makes_no_identifier_of_the_machine_as_the_runtime_alone_does(
    tmp_path: Path,
) -> None:
    assert "deviceid" in left_by("import onnxruntime", tmp_path / "alone")
    assert left_by("import inference.onnx_backend", tmp_path / "service") == []
