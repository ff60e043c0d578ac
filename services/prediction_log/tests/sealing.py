"""Seals private parts as inference does."""

from pathlib import Path

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from prediction_log.key_making import PUBLIC_KEY
from weir.events.v1 import events_pb2
from weir.predictions.v1.keeping_pb2 import (
    INPUT_KEEPING_ENCRYPTED,
    INPUT_KEEPING_NOTHING,
    INPUT_KEEPING_PLAIN,
    Keeping,
)

NOTHING = Keeping(input=INPUT_KEEPING_NOTHING)
ENCRYPTED = Keeping(input=INPUT_KEEPING_ENCRYPTED)
PLAIN = Keeping(input=INPUT_KEEPING_PLAIN)
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def seal(
    directory: Path,
    fact: events_pb2.PredictionRecorded,
    keeping: Keeping,
    *,
    subject: str = "",
    text: str = "",
) -> events_pb2.PredictionRecorded:
    """Puts a private part into the fact, for the log whose keys are in the directory."""
    private = events_pb2.PrivateInput(subject=subject, text=text).SerializeToString()
    fact.keeping.CopyFrom(keeping)
    fact.sealed_input = sealed_bytes(directory, fact.prediction_id, private)
    return fact


def sealed_bytes(directory: Path, prediction_id: str, private: bytes) -> bytes:
    """Seals any bytes as the private part of a prediction."""
    key = load_pem_public_key((directory / PUBLIC_KEY).read_bytes())
    assert isinstance(key, X25519PublicKey)
    info = f"weir.events.v1.PrivateInput {prediction_id}".encode()
    return SUITE.encrypt(private, key, info=info)
