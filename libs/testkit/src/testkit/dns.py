"""A DNS server on loopback that answers what a test says: how gRPC clients find replicas.

It stands in for a headless Service of Kubernetes: one name, an A record for each replica that is
ready. Clients ask it with targets such as `dns://127.0.0.1:5353/inference.test:50051`.
"""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!2H")
_RECORD = struct.Struct("!3HLH")
_A, _INTERNET = 1, 1
_ANSWERED = 0x8180
"""Flags of an answer: a response, recursion desired and available, no error (RFC 1035, 4.1.1)."""
_NO_SUCH_NAME = 0x8183
_NAME_OF_QUESTION = 0xC00C
"""Points at the question's name (RFC 1035, 4.1.4)."""
_LARGEST = 4096
_SHORTEST_TTL = 0


class FakeDns:
    """Answers with the addresses that each name has at the moment."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._addresses: dict[str, tuple[str, ...]] = {}
        self.authority = "{}:{}".format(*listener.getsockname())

    def target(self, name: str, port: int) -> str:
        """What a gRPC client is given to find the replicas of a name."""
        return f"dns://{self.authority}/{name}:{port}"

    def publish(self, name: str, addresses: Sequence[str]) -> None:
        """Sets the IPv4 addresses that the name has from now on."""
        self._addresses[name] = tuple(addresses)

    def serve(self) -> None:
        """Answers until an empty datagram comes, which no client sends."""
        while True:
            query, asker = self._listener.recvfrom(_LARGEST)
            if not query:
                return
            self._listener.sendto(self._answer(query), asker)

    def _answer(self, query: bytes) -> bytes:
        identifier = _HEADER.unpack_from(query)[0]
        labels, end = _name_in(query, _HEADER.size)
        kind, _ = _QUESTION.unpack_from(query, end)
        question = query[_HEADER.size : end + _QUESTION.size]
        known = self._addresses.get(".".join(labels).lower())
        addresses = known if known and kind == _A else ()
        flags = _NO_SUCH_NAME if known is None else _ANSWERED
        header = _HEADER.pack(identifier, flags, 1, len(addresses), 0, 0)
        return header + question + b"".join(map(_record, addresses))


@contextmanager
def running_dns() -> Iterator[FakeDns]:
    """A server on a free port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        dns = FakeDns(listener)
        thread = threading.Thread(target=dns.serve, name="dns", daemon=True)
        thread.start()
        try:
            yield dns
        finally:
            listener.sendto(b"", listener.getsockname())
            thread.join()


def _name_in(message: bytes, start: int) -> tuple[list[str], int]:
    """The labels of a question's name, and where it ends."""
    labels = []
    while length := message[start]:
        labels.append(message[start + 1 : start + 1 + length].decode("ascii"))
        start += 1 + length
    return labels, start + 1


def _record(address: str) -> bytes:
    packed = IPv4Address(address).packed
    return _RECORD.pack(_NAME_OF_QUESTION, _A, _INTERNET, _SHORTEST_TTL, len(packed)) + packed
