"""Fills a log with made rows, as fast as PostgreSQL makes them: spread evenly over 92 days.

Most rows belong to one tenant. Two models, three versions that follow each other, two labels and
one that is rare, shadows, five clients and one that is rare, feedback on every twentieth. The
triggers count the rollups as they would for rows that the service writes.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import asyncpg

from prediction_log.database import Database, database_url
from prediction_log.partitions import make_partitions

DAYS = 92
RARE_LABEL = "unsure"
RARE_CLIENT = "once"
RARE_EVERY = 50_000
_BATCH = 100_000
_MILLISECONDS = DAYS * 86_400_000

# The made values depend on the row's number alone, so that two fillings are the same.
_PREDICTIONS = f"""
    INSERT INTO prediction_logs (
        id, predicted_at, tenant, client_id, delegate_id, request_id, model, model_version,
        input_sha256, input_characters, input_tokens, input_unknown_tokens, input_special_tokens,
        label, confidence, probabilities, inference_ms, shadow, retention_class
    )
    SELECT
        (
            lpad(to_hex(ms), 12, '0') || '7' || substr(hash, 14, 3) || '8' || substr(hash, 18, 15)
        )::uuid,
        to_timestamp(ms / 1000.0),
        CASE WHEN i % 10 < 7 THEN $1 ELSE 'other-' || i % 10 END,
        CASE WHEN i % {RARE_EVERY} = 7001 THEN '{RARE_CLIENT}' ELSE 'client-' || i % 5 END,
        'weir-gateway', hash,
        CASE WHEN i % 20 = 0 THEN 'toxicity' ELSE 'sentiment' END,
        (1 + i * 3 / $4)::text,
        sha256(hash::bytea), 20 + i % 200, 5 + i % 50, i % 3, 2,
        CASE
            WHEN i % {RARE_EVERY} = 4002 THEN '{RARE_LABEL}'
            WHEN i % 3 = 0 THEN 'negative'
            ELSE 'positive'
        END,
        c, jsonb_build_object('negative', 1 - c, 'positive', c),
        exp(1.0 + (i * 7919 % 1000) / 400.0), i % 25 = 3, 'standard'
    FROM (
        SELECT i, md5(i::text) AS hash, 0.5 + (i * 104729 % 10000) / 20000.0 AS c,
            $5 + i * $6::bigint / $4 AS ms
        FROM generate_series($2::bigint, $3::bigint) AS i
    ) AS made
"""
# Far behind the chain that the service makes meanwhile.
_AUDIT = f"""
    INSERT INTO audit_log (
        id, occurred_at, recorded_at, action, outcome, client_id, tenant, client_address,
        request_id, reason, target, sequence, batch
    )
    SELECT
        gen_random_uuid(), at, at,
        CASE WHEN i % 50 = 0 THEN 'client.change' ELSE 'token.issue' END,
        CASE WHEN i % 40 = 0 THEN 'refused' ELSE 'allowed' END,
        'audited-' || i % 500, CASE WHEN i % 10 < 7 THEN $1 ELSE 'other-' || i % 10 END,
        '198.51.100.7', md5(i::text), CASE WHEN i % 40 = 0 THEN 'invalid_client' END,
        CASE WHEN i % 50 = 0 THEN 'target-' || i % 5000 / 50 END, 1000000000 + i, 1000000
    FROM (
        SELECT i, now() - (1 - i / $2::float) * interval '{DAYS} days' AS at
        FROM generate_series(1, $2::bigint) AS i
    ) AS made
"""
_FEEDBACK = """
    INSERT INTO feedback (id, given_at, prediction_id, tenant, client_id, correct_label, score)
    SELECT gen_random_uuid(), predicted_at + interval '1 minute', id, tenant, client_id,
        CASE WHEN input_characters % 3 = 0 THEN 'negative' ELSE label END, 0.5
    FROM prediction_logs
    WHERE id >= $1 AND id < $2 AND input_characters % 20 = 0
"""


async def fill(url: str, tenant: str, rows: int, told: Callable[[int], None]) -> datetime:
    """Adds so many rows that end now; returns the first one's moment.

    Args:
        url: SQLAlchemy's, of a migrated database.
        told: hears after each batch how many rows there are.
    """
    began = datetime.now(UTC) - timedelta(days=DAYS)
    await _make_months(url, began)
    connection = await _connect(url)
    started_ms = int(began.timestamp() * 1000)
    for first in range(0, rows, _BATCH):
        last = min(first + _BATCH, rows) - 1
        await connection.execute(
            _PREDICTIONS, tenant, first, last, rows, started_ms, _MILLISECONDS, timeout=600
        )
        await connection.execute(
            _FEEDBACK,
            _id_at(started_ms + first * _MILLISECONDS // rows),
            _id_at(started_ms + (last + 1) * _MILLISECONDS // rows),
            timeout=600,
        )
        told(last + 1)
    # As autovacuum would have left it: pages of the index alone can be answered from it.
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.close()
    return began


async def fill_audit(url: str, tenant: str, rows: int) -> None:
    """Fills the audit trail over the same days: issued tokens, a few refusals, a few acts."""
    connection = await _connect(url)
    await connection.execute(_AUDIT, tenant, rows, timeout=600)
    await connection.execute("VACUUM ANALYZE audit_log", timeout=600)
    await connection.close()


async def one_hash(url: str, tenant: str) -> str:
    """The hash of some input in the middle of the tenant's rows, hex."""
    connection = await _connect(url)
    query = "SELECT input_sha256 FROM prediction_logs WHERE tenant = $1 AND id > $2 ORDER BY id"
    middle = _id_at(int((time.time() - DAYS * 43_200) * 1000))
    found: bytes = await connection.fetchval(f"{query} LIMIT 1", tenant, middle)
    await connection.close()
    return found.hex()


async def _make_months(url: str, began: datetime) -> None:
    database = Database(
        database_url(url),
        pool_size=1,
        pool_timeout=5,
        connect_timeout=5,
        statement_timeout=60,
        statement_cache_size=0,
    )
    await make_partitions(database, began, DAYS // 28 + 1)
    await database.close()


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(database_url(url).render_as_string(False).replace("+asyncpg", ""))


def _id_at(milliseconds: int) -> str:
    return f"{milliseconds:012x}"[:8] + "-" + f"{milliseconds:012x}"[8:] + "-0000-0000-000000000000"
