"""Runs checkov over the chart, rendered with each of its example values.

A check that is let go is named in checkov.yaml, with the reason.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from deploy.chart_rendering import EXAMPLES, render


def main() -> int:
    """Returns checkov's exit status: 0 where every check passes."""
    with tempfile.TemporaryDirectory(prefix="weir-rendered-") as directory:
        for example in EXAMPLES:
            values = yaml.safe_load(example.read_text()) or {}
            objects = render(values).objects
            for each in objects:
                each["metadata"]["namespace"] = "weir"  # Helm's part
            file = Path(directory, example.name)
            file.write_text(yaml.safe_dump_all(objects, sort_keys=False))
        command = ("checkov", "--directory", directory, "--framework", "kubernetes")
        options = ("--config-file", str(Path(__file__).with_name("checkov.yaml")))
        return subprocess.run([*command, *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
