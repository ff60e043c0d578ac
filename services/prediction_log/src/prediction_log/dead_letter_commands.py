"""`dead-letters list | show | replay`: what an operator does with events that became no rows."""

import argparse
import base64
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from opentelemetry.trace import NoOpTracer

from prediction_log.database import Database, database_url
from prediction_log.dead_letter_replay import DeadLetterReplay
from prediction_log.dead_letters import DeadLetters, Letter, LetterFilter, ReplayStore
from prediction_log.errors import LogStoreUnavailable, QueryTooSlow
from prediction_log.event_decoding import Decode
from prediction_log.insert_spans import InsertSpans
from prediction_log.key_files import KeyFileInvalid
from prediction_log.privacy_keys import load_privacy_keys
from prediction_log.private_parts import PrivateParts
from prediction_log.record_store import record_writers
from prediction_log.recorder import Recorder
from prediction_log.settings import Settings
from servicekit.startup import run_service

DecodersOf = Callable[[Settings], Mapping[str, Decode]]
_LIMIT = 1000
_STILL_DEAD, _NOT_DONE = 1, 2


def add_dead_letter_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", decoders_of: DecodersOf
) -> None:
    """Adds the commands' arguments."""
    letters = commands.add_parser(
        "dead-letters", help="list, show or replay events that could not become rows"
    )
    kinds = letters.add_subparsers(required=True, metavar="list | show | replay")
    listing = kinds.add_parser("list", help="the oldest first; no payloads")
    listing.add_argument("--all", action="store_true", help="also those that were replayed")
    showing = kinds.add_parser("show", help="one of them")
    showing.add_argument("stream")
    showing.add_argument("entry_id")
    showing.add_argument(
        "--payload", action="store_true", help="print it in base64; it may hold private data"
    )
    replaying = kinds.add_parser(
        "replay",
        help="try them again with today's code and keys",
        description="Exit code 0: all became rows; 1: some did not; 2: it could not be tried.",
    )
    for each in (listing, replaying):
        each.add_argument("--stream", help="only those of a stream")
        each.add_argument("--reason", help="only those whose reason holds this text")
        each.add_argument("--limit", type=int, default=_LIMIT, help="default: %(default)s")
    listing.set_defaults(run=_command(_list))
    showing.set_defaults(run=_command(_show))
    replaying.set_defaults(
        run=_command(
            lambda options, database, settings: _replay(
                options, database, settings, decoders_of(settings)
            )
        )
    )


Act = Callable[[argparse.Namespace, Database, Settings], Awaitable[int]]


def _command(act: Act) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        codes: list[int] = []

        async def with_database(settings: Settings) -> None:
            database = Database(
                database_url(settings.database_url.get_secret_value()),
                pool_size=1,
                pool_timeout=settings.database_pool_timeout,
                connect_timeout=settings.database_connect_timeout,
                statement_timeout=settings.database_write_timeout,
                statement_cache_size=settings.database_statement_cache_size,
            )
            try:
                codes.append(await act(options, database, settings))
            finally:
                await database.close()

        expected = (KeyFileInvalid, LogStoreUnavailable, QueryTooSlow)
        failed = run_service("prediction_log", Settings, with_database, expected=expected)
        return _NOT_DONE if failed else codes[0]

    return run


async def _list(options: argparse.Namespace, database: Database, _: Settings) -> int:
    wanted = LetterFilter(options.stream, options.reason, replayed=options.all)
    async for letter in DeadLetters(database).find(wanted, options.limit):
        state = "replayed" if letter.replayed_at else f"{letter.size} bytes"
        sys.stdout.write(
            f"{_time(letter.recorded_at)}  {letter.stream}  {letter.entry_id}  "
            f"{letter.type_name or '-'}  {state}  {letter.reason}\n"
        )
    return 0


async def _show(options: argparse.Namespace, database: Database, _: Settings) -> int:
    found = await DeadLetters(database).get(options.stream, options.entry_id)
    if found is None:
        sys.stderr.write("no such dead letter\n")
        return 1
    letter, event = found
    for name in Letter.__slots__:
        value = getattr(letter, name)
        shown = _time(value) if isinstance(value, datetime) else value
        sys.stdout.write(f"{name:<12} {'-' if shown is None else shown}\n")
    if options.payload:
        sys.stdout.write(f"{'payload':<12} {base64.b64encode(event.data).decode()}\n")
    return 0


async def _replay(
    options: argparse.Namespace,
    database: Database,
    settings: Settings,
    decoders: Mapping[str, Decode],
) -> int:
    keys = load_privacy_keys(settings)
    writers = record_writers(keys.subject_keys)
    private_parts = PrivateParts(keys.opener)

    def store_of(stream: str, entry_id: str) -> ReplayStore:
        return ReplayStore(database, writers, stream, entry_id)

    def recorder_of(store: ReplayStore, stream: str) -> Recorder | None:
        if stream not in decoders:
            return None
        spans = InsertSpans(NoOpTracer(), stream)
        return Recorder(stream, decoders[stream], store, spans, private_parts)

    replay = DeadLetterReplay(DeadLetters(database), store_of, recorder_of)
    result = await replay.run(LetterFilter(options.stream, options.reason), options.limit)
    sys.stdout.write(f"{result.replayed} replayed, {result.still_dead} still dead\n")
    return _STILL_DEAD if result.still_dead else 0


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
