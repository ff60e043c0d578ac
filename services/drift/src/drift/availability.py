"""Tells health checks whether the windows can be read and written."""

import structlog

from drift.domain import StateUnavailable
from drift.state_store import StateStore
from servicekit.grpc_server import GrpcServer

_log = structlog.get_logger(__name__)


class Availability:
    """SERVING while Redis answers.

    That the consumers run need not be asked: when one of them ends, the process does.
    """

    def __init__(self, store: StateStore, server: GrpcServer) -> None:
        self._store = store
        self._server = server
        self._serving: bool | None = None

    async def check(self) -> None:
        """Asks Redis; a change is logged."""
        try:
            await self._store.check()
            serving = True
        except StateUnavailable:
            serving = False
        if serving == self._serving:
            return
        self._serving = serving
        await self._server.set_serving(serving)
        if serving:
            _log.info("serving")
        else:
            _log.warning("not_serving", reason="the events Redis is away")
