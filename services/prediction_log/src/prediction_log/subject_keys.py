"""The keys that texts are encrypted under: one for each person, and one for a tenant's others.

Destroying a key makes its texts unreadable wherever the key is gone; a backup from before holds it,
wrapped.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import RowMapping, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.domain import PredictionRecord
from prediction_log.errors import InputDamaged, MasterKeyMissing
from prediction_log.master_keys import KEY_BYTES, MasterKeys
from prediction_log.tables import SUBJECT_KEYS
from servicekit.identifiers import new_id

_K = SUBJECT_KEYS.c
_NONCE_BYTES = 12
_NOBODY = b""

Owner = tuple[str, bytes | None]
"""A tenant and the digest of one of its subjects; None for what is about nobody in particular."""


class SubjectKeysUnusable(Exception):
    """Keys of these owners are there and cannot be unwrapped."""

    def __init__(self, owners: Collection[Owner]) -> None:
        super().__init__("a subject's key is damaged or its master key missing")
        self._owners = owners

    def concerns(self, record: PredictionRecord) -> bool:
        """Whether the record's text needs one of the keys."""
        return record.is_to_be_encrypted and (record.tenant, record.subject_digest) in self._owners


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """A key of AES-256-GCM; every text that it encrypts is bound to its tenant and prediction."""

    id: UUID
    key: bytes = field(repr=False)

    def encrypt(self, text: str, tenant: str, prediction_id: UUID) -> bytes:
        """A random nonce of 12 bytes, then the ciphertext with its tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        binding = _binding(tenant, prediction_id)
        return nonce + AESGCM(self.key).encrypt(nonce, text.encode(), binding)

    def decrypt(self, ciphertext: bytes, tenant: str, prediction_id: UUID) -> str:
        """The text again.

        Raises:
            InputDamaged: it was not encrypted under this key for that prediction.
        """
        nonce, sealed = ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:]
        try:
            binding = _binding(tenant, prediction_id)
            return AESGCM(self.key).decrypt(nonce, sealed, binding).decode()
        except (InvalidTag, ValueError) as error:
            raise InputDamaged("The text is damaged.") from error


class SubjectKeys:
    """The table of keys. Every method works within the transaction of its connection."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self._master_keys = master_keys

    async def of(
        self, connection: AsyncConnection, owners: Iterable[Owner]
    ) -> Mapping[Owner, SubjectKey]:
        """The owners' keys; those that have none get one.

        Raises:
            SubjectKeysUnusable: some are there and cannot be unwrapped.
        """
        self._master_keys.refresh()
        # In one order everywhere, so that replicas that make the same keys do not deadlock.
        places = sorted({(tenant, digest or _NOBODY) for tenant, digest in owners})
        found = await self._find(connection, places)
        missing = [place for place in places if place not in found]
        if missing:
            made = insert(SUBJECT_KEYS).on_conflict_do_nothing()
            await connection.execute(made, [self._new(*place) for place in missing])
            # Where another replica was faster, it is its key that counts.
            found |= await self._find(connection, missing)
        return {(tenant, digest or None): key for (tenant, digest), key in found.items()}

    async def find(
        self, connection: AsyncConnection, tenant: str, key_id: UUID
    ) -> SubjectKey | None:
        """The key of that id; None when it was destroyed.

        Raises:
            MasterKeyMissing, InputDamaged: it cannot be unwrapped.
        """
        query = select(SUBJECT_KEYS).where(_K.id == key_id, _K.tenant == tenant)
        row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        self._master_keys.refresh()
        return self._unwrapped(row)

    async def _find(
        self, connection: AsyncConnection, places: Sequence[tuple[str, bytes]]
    ) -> dict[tuple[str, bytes], SubjectKey]:
        query = select(SUBJECT_KEYS).where(tuple_(_K.tenant, _K.subject_digest).in_(places))
        found: dict[tuple[str, bytes], SubjectKey] = {}
        unusable: set[Owner] = set()
        for row in (await connection.execute(query)).mappings():
            try:
                found[row["tenant"], row["subject_digest"]] = self._unwrapped(row)
            except (MasterKeyMissing, InputDamaged):
                unusable.add((row["tenant"], row["subject_digest"] or None))
        if unusable:
            raise SubjectKeysUnusable(unusable)
        return found

    def _new(self, tenant: str, digest: bytes) -> dict[str, object]:
        key_id = new_id()
        key = secrets.token_bytes(KEY_BYTES)
        return {
            "id": key_id,
            "tenant": tenant,
            "subject_digest": digest,
            "master_key": self._master_keys.current,
            "wrapped_key": self._master_keys.wrap(key, key_id, tenant),
        }

    def _unwrapped(self, row: RowMapping) -> SubjectKey:
        key = self._master_keys.unwrap(
            row["master_key"], row["wrapped_key"], row["id"], row["tenant"]
        )
        return SubjectKey(row["id"], key)


async def destroy_key(connection: AsyncConnection, tenant: str, digest: bytes) -> None:
    """Destroys the key of a subject, if there is one."""
    await connection.execute(
        delete(SUBJECT_KEYS).where(_K.tenant == tenant, _K.subject_digest == digest)
    )


def _binding(tenant: str, prediction_id: UUID) -> bytes:
    return prediction_id.bytes + tenant.encode()
