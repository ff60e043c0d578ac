"""Stands in for a service: `python -m <name>` of tests runs this.

The gateway's stand-in answers over HTTP, the others accept connections on their Unix socket.
Behaviour is chosen by files beside the program: `<name>.dies` (exit code 3 at once),
`<name>.deaf` (no stop at SIGTERM), `<name>.unhealthy`.
"""

import http.server
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

NAME = Path(sys.argv[0]).parent.name
BEHAVIOUR = Path(__file__).parent


def behaves(how: str) -> bool:
    return (BEHAVIOUR / f"{NAME}.{how}").exists()


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = "unhealthy" if behaves("unhealthy") else "healthy"
        component = {"status": status, "latency_ms": 1}
        body = json.dumps({"status": status, "components": {"inference": component}}).encode()
        self.send_response(503 if self.path == "/health" and behaves("unhealthy") else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def command(arguments: list[str]) -> None:
    options = dict(zip(arguments[1::2], arguments[2::2], strict=False))
    match arguments[0]:
        case "rotate-signing-key":
            Path(options["--directory"]).mkdir()
            Path(options["--directory"], "key.pem").write_text("key")
        case "create-client":
            Path(options["--clients-file"]).write_text("clients")
            Path(options["--pepper-file"]).write_text("pepper")
            sys.stdout.write(json.dumps({"client_id": "demo", "client_secret": "s3cret"}))
        case "create-keys":
            Path(options["--directory"]).mkdir(parents=True)
            Path(options["--directory"], "master-keys.json").write_text("keys")
        case "migrate":
            print("migrated", os.environ["WEIR_DATABASE_URL"])


def serve() -> None:
    print(f"{NAME} starts", flush=True)
    if behaves("dies"):
        print("the reason why", flush=True)
        sys.exit(3)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: None if behaves("deaf") else stopped.set())
    if NAME == "gateway":
        address = (os.environ["WEIR_HTTP_HOST"], int(os.environ["WEIR_HTTP_PORT"]))
        server = http.server.ThreadingHTTPServer(address, Answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stopped.wait()
    else:
        path = Path(os.environ["WEIR_GRPC_ADDRESS"].removeprefix("unix:"))
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            stopped.wait()
        path.unlink(missing_ok=True)
    print(f"{NAME} stops", flush=True)


if len(sys.argv) > 1:
    command(sys.argv[1:])
else:
    serve()
