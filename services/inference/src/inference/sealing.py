"""Seals what only the prediction log may read."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from inference.domain import Prediction, SealingKeyInvalid
from weir.events.v1 import events_pb2

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_INFO = "weir.events.v1.PrivateInput "


class InputSealer:
    """Seals private parts with the log's public key (HPKE, RFC 9180), bound to their predictions.

    One costs about 0.2 ms of a core, so they are made on the executor's threads.
    """

    def __init__(self, key: X25519PublicKey, executor: Executor) -> None:
        self._key = key
        self._executor = executor

    async def seal(self, predictions: Sequence[Prediction]) -> list[bytes]:
        """The sealed private part of each; empty where there is none."""
        if not any(prediction.item.is_private for prediction in predictions):
            return [b""] * len(predictions)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, lambda: [self._sealed(prediction) for prediction in predictions]
        )

    def _sealed(self, prediction: Prediction) -> bytes:
        item = prediction.item
        if not item.is_private:
            return b""
        private = events_pb2.PrivateInput(
            subject=item.subject, text=(item.text or "") if item.keeping.keeps_text else ""
        )
        info = (_INFO + str(prediction.prediction_id)).encode()
        return _SUITE.encrypt(private.SerializeToString(), self._key, info=info)


def load_sealing_key(file: Path) -> X25519PublicKey:
    """Reads the log's public key.

    Raises:
        OSError: the file is not there.
        SealingKeyInvalid: it is no X25519 public key as PEM.
    """
    try:
        key = load_pem_public_key(file.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SealingKeyInvalid(f"{file} is no public key as PEM") from error
    if not isinstance(key, X25519PublicKey):
        raise SealingKeyInvalid(f"{file} is no X25519 public key")
    return key
