"""Opens what inference sealed for the log alone."""

from collections.abc import Sequence
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from google.protobuf.message import DecodeError

from prediction_log.domain import MAX_SUBJECT, InputKeeping, PredictionRecord
from prediction_log.pseudonyms import Pseudonyms
from weir.events.v1 import events_pb2

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_INFO = "weir.events.v1.PrivateInput "


class InputUnopened(Exception):
    """A private part stays shut; the message says why and repeats nothing of it."""


class InputOpener:
    """Opens sealed private parts (HPKE, RFC 9180) and puts a pseudonym in the subject's place.

    One costs about 0.1 ms of a core.

    Args:
        keys: tried one after the other.
    """

    def __init__(self, keys: Sequence[X25519PrivateKey], pseudonyms: Pseudonyms) -> None:
        self._keys = keys
        self._pseudonyms = pseudonyms

    def open(self, event_data: bytes, record: PredictionRecord) -> PredictionRecord:
        """The record of a PredictionRecorded with its private part.

        What the policy does not keep is dropped here. A text that is to be encrypted is still
        readable in the result.

        Raises:
            InputUnopened: it was sealed for another key or prediction, or holds what it must not.
        """
        fact = events_pb2.PredictionRecorded.FromString(event_data)
        private = self._unseal(fact)
        if len(private.subject) > MAX_SUBJECT:
            raise InputUnopened("the sealed subject is too long")
        digest = None
        if private.subject:
            digest = self._pseudonyms.digest(record.tenant, private.subject)
        text = None
        if record.input_keeping is not InputKeeping.NOTHING and private.text:
            text = private.text
            if "\0" in text:
                raise InputUnopened("the sealed text holds a NUL character")
        return replace(record, input_unopened=False, subject_digest=digest, input_text=text)

    def subject_digest(self, fact: events_pb2.PredictionRecorded) -> bytes | None:
        """Whom a sealed private part is about; None for nobody, or where it cannot be opened."""
        try:
            subject = self._unseal(fact).subject
        except InputUnopened:
            return None
        return self._pseudonyms.digest(fact.tenant, subject) if subject else None

    def _unseal(self, fact: events_pb2.PredictionRecorded) -> events_pb2.PrivateInput:
        info = (_INFO + fact.prediction_id).encode()
        for key in self._keys:
            try:
                return events_pb2.PrivateInput.FromString(
                    _SUITE.decrypt(fact.sealed_input, key, info=info)
                )
            except (InvalidTag, ValueError):
                continue
            except DecodeError as error:
                raise InputUnopened("the sealed bytes are no PrivateInput") from error
        raise InputUnopened("the input was sealed for another key or prediction, or is damaged")
