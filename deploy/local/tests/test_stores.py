"""The stores' directories and what becomes of them."""

import os
import signal
import stat
import time
from pathlib import Path

import pytest
from redis import Redis

from testkit.stores import running_postgres, running_redis
from weir_local import embedded_postgres
from weir_local.embedded_postgres import postgres_process
from weir_local.process import ManagedProcess, ProcessSpec


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_postgres_is_closed_to_other_users_and_opens_nothing_for_listing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with running_postgres(closed):
        assert _mode(closed / "data") == 0o700
        assert _mode(closed / "run") == 0o700
        # Root's server runs as another user, who must pass through, and no more.
        assert _mode(closed) == (0o701 if os.geteuid() == 0 else 0o700)


def test_programs_that_a_strict_umask_closed_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, libraries = tmp_path / "install" / "bin", tmp_path / "libraries"
    for directory in (programs, libraries):
        directory.mkdir(parents=True, mode=0o700)
    (tmp_path / "install").chmod(0o700)
    (programs / "postgres").touch(mode=0o700)
    (libraries / "lib.so").touch(mode=0o600)
    monkeypatch.setattr("weir_local.embedded_postgres._PROGRAMS", programs)
    monkeypatch.setattr("weir_local.embedded_postgres._LIBRARIES", libraries)

    embedded_postgres._allow_reading()

    assert _mode(programs / "postgres") == 0o705
    assert _mode(programs) == 0o705
    assert _mode(libraries / "lib.so") == 0o604


def test_cluster_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "data.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")

    with running_postgres(tmp_path) as server:
        assert server.running

    assert not unfinished.exists()


def test_impossible_cluster_says_why(tmp_path: Path) -> None:
    (tmp_path / "postgres").touch(mode=0o755)

    with pytest.raises(RuntimeError, match=r"cannot run .*/initdb: No such file"):
        postgres_process(tmp_path / "data", tmp_path / "run", tmp_path / "log", programs=tmp_path)


def test_postgres_comes_back_after_a_crash_with_what_it_had(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        url = server.create_database()
        server.kill()

        server.start_ready()

        assert url
        assert server.running


def test_stopped_redis_hears_the_request_to_stop(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        server.send(signal.SIGSTOP)

        server.stop()

        assert server.exit_code == 0


def test_program_that_cannot_be_started_says_so_in_its_log(tmp_path: Path) -> None:
    spec = ProcessSpec("missing", ["/nowhere/program"], tmp_path / "missing.log")
    process = ManagedProcess(spec)

    process.start()
    while process.running:
        time.sleep(0.01)

    assert process.exit_code == 1
    assert spec.log_file.read_text() == "cannot run /nowhere/program: No such file or directory\n"


def test_events_redis_keeps_all_that_it_acknowledged_and_takes_no_snapshots(
    tmp_path: Path,
) -> None:
    with running_redis(tmp_path, durable=True) as server, Redis.from_url(server.url) as redis:
        redis.set("fact", "acknowledged")
        server.kill()
        server.start_ready()
        assert redis.get("fact") == b"acknowledged"
        assert redis.config_get("appendfsync")["appendfsync"] == "always"
        assert redis.config_get("save")["save"] == ""
        assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
