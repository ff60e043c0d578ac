#!/usr/bin/env python3
"""Runs promtool or amtool, from the PATH or fetched from Debian's packages without root.

    requirements/promtool.py promtool check rules alerts.yaml
    requirements/promtool.py amtool check-config alertmanager.yml

What is fetched lies in .venvs/prometheus; the system is not touched.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venvs" / "prometheus"
PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}


def main() -> int:
    """Runs the program with the rest of the command line; returns its exit status."""
    if len(sys.argv) < 2 or sys.argv[1] not in PACKAGES:
        sys.exit(f"usage: {Path(__file__).name} {{{','.join(PACKAGES)}}} argument ...")
    name, *arguments = sys.argv[1:]
    return subprocess.run([program(name), *arguments], check=False).returncode


def program(name: str) -> str:
    """The program's path; ends this one when there is no way to it, and says what to install."""
    fetched = HOME / "usr" / "bin" / name
    if not fetched.exists():
        if found := shutil.which(name):
            return found
        _fetch(name)
    return str(fetched)


def _fetch(name: str) -> None:
    package = PACKAGES[name]
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        sys.exit(f"{name} is missing: install {package} with your system's package manager")
    HOME.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(
        ["apt-get", "download", "--quiet", package],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    files = sorted(HOME.glob(f"{package}_*.deb"))
    if fetched.returncode != 0 or not files:
        reason = fetched.stderr.strip().splitlines()[-1:] or ["apt-get fetched nothing"]
        sys.exit(f"{name} is missing, and {reason[0]}: apt-get update, or install {package}")
    subprocess.run(["dpkg-deb", "-x", files[-1], HOME], check=True)
    for file in files:
        file.unlink()


if __name__ == "__main__":
    sys.exit(main())
