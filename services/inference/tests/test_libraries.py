"""What a process that serves has read, and what not."""

import subprocess
import sys

_TOLD = """
import sys
import inference.__main__ as service

service.read_assembly()
print(*[name for name in ("inference.assembly", "rich", "click", "psutil") if name in sys.modules])
"""


def test_a_service_does_not_read_what_terminals_and_commands_need() -> None:
    done = subprocess.run([sys.executable, "-c", _TOLD], check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["inference.assembly"]
