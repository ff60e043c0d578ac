"""Compiles what a service imports, Python's own library included, to where the image looks for it.

No start has to do it again, and none could, where the root is read-only. Without this a start takes
seconds longer; compiling what is never imported would only make the image larger.
"""

import contextlib
import importlib
import py_compile
import sys

CACHE = "/opt/weir/cache"
# Imported once there is something to do for them. Not every service has each.
LATER = (
    "servicekit.health_command",
    "grpc_health.v1.health_pb2_grpc",
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    "inference.assembly",
)


def main() -> None:
    """Compiles for the service that the command line names."""
    service = sys.argv[1]
    for name in LATER:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    importlib.import_module(f"{service}.__main__")
    sys.pycache_prefix = CACHE
    # As a program of its own, this one knows what Python imports at its start, too.
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None) or ""
        if source.endswith(".py") and getattr(module, "__name__", "") != "__main__":
            # Never compared with the source again, which nobody changes.
            py_compile.compile(
                source,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )


if __name__ == "__main__":
    main()
