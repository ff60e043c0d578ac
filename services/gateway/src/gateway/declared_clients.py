"""The clients file and the pepper, followed: a change counts without a restart."""

import asyncio
from pathlib import Path

import structlog

from gateway.client_entries import ClientsFile, ClientsFileInvalid, parse_clients
from gateway.secret_hashes import Pepper, PepperInvalid, load_pepper
from gateway.watched_files import signature_of

_log = structlog.get_logger(__name__)


class DeclaredClients:
    """What both files last held that could be used.

    Raises:
        ClientsFileInvalid: the clients file cannot be used.
        PepperInvalid: the pepper cannot be used.
    """

    def __init__(self, clients_file: Path, pepper_file: Path) -> None:
        self._files = (clients_file, pepper_file)
        self._signature = signature_of(*self._files)
        self.content, self.pepper = self._read()
        self.broken = False
        """Whether the files of now cannot be used, and what is here is older."""

    async def look(self) -> bool:
        """Reads the files if they were touched; whether there is something new here now.

        What cannot be used is told once, and changes nothing.
        """
        signature = signature_of(*self._files)
        if signature == self._signature:
            return False
        self._signature = signature
        try:
            # Beside the requests: a long file takes a second to parse.
            self.content, self.pepper = await asyncio.to_thread(self._read)
        except (ClientsFileInvalid, PepperInvalid) as error:
            self.broken = True
            _log.error("clients_file_broken", reason=str(error))
            return False
        self.broken = False
        _log.info(
            "clients_file_read", clients=len(self.content.clients), keys=len(self.content.keys)
        )
        return True

    def _read(self) -> tuple[ClientsFile, Pepper]:
        clients_file, pepper_file = self._files
        return parse_clients(clients_file), load_pepper(pepper_file)
