"""The clients file, the keys beside it, and the commands that make them."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from joserfc.jwk import ECKey

from gateway.__main__ import main
from gateway.client_entries import ClientsFileInvalid, parse_clients
from gateway.client_registry import ClientRegistry
from gateway.domain import QuotaPolicy
from gateway.identity_snapshot import merged
from gateway.identity_store import StoredIdentity
from gateway.secret_hashes import Pepper, PepperInvalid, hash_secret, load_pepper

DEFAULTS = (QuotaPolicy(60, 60), QuotaPolicy(1000, 3600))
HASH = hash_secret(b"p" * 32, "s")
ENTRY: dict[str, Any] = {
    "client_id": "shop",
    "tenant": "acme",
    "secret_hashes": [HASH],
    "scopes": ["models:predict"],
}

Command = Callable[..., int]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clients.yaml"


@pytest.fixture
def create(tmp_path: Path, file: Path) -> Command:
    def call(*more: str, client_id: str = "shop", scope: str = "models:predict") -> int:
        arguments = ["create-client", "--clients-file", str(file)]
        arguments += ["--pepper-file", str(tmp_path / "pepper"), "--client-id", client_id]
        return main([*arguments, "--tenant", "acme", "--scope", scope, *more])

    return call


def registry_of(file: Path, pepper: Pepper) -> ClientRegistry:
    snapshot = merged(parse_clients(file), StoredIdentity(), DEFAULTS)
    registry = ClientRegistry([], pepper)
    registry.replace(snapshot.callers.values(), snapshot.usable_keys, pepper)
    return registry


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_created_client_can_prove_itself(
    create: Command, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create("drift:read", "--limit", "5", "--window", "60") == 0
    answer = json.loads(capsys.readouterr().out)
    registry = registry_of(file, load_pepper(tmp_path / "pepper"))
    client = registry.authenticate(answer["client_id"], answer["client_secret"])
    assert client is not None
    assert client.scopes == {"models:predict", "drift:read"}
    assert client.quotas == (QuotaPolicy(5, 60),)
    assert answer["client_secret"] not in file.read_text()


def test_files_are_for_their_owner_alone(create: Command, file: Path, tmp_path: Path) -> None:
    create()
    assert mode(file) == mode(tmp_path / "pepper") == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"clients.yaml", "pepper"}


def test_clients_add_up(create: Command, file: Path) -> None:
    create()
    create(client_id="other")
    clients = yaml.safe_load(file.read_text())["clients"]
    assert [client["client_id"] for client in clients] == ["shop", "other"]


def test_existing_client_is_an_error(
    create: Command, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create()
    before = file.read_text()
    assert create() == 1
    assert "shop" in capsys.readouterr().err
    assert file.read_text() == before


def test_replaced_client_has_a_new_secret(
    create: Command, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create()
    create("--replace")
    old, new = (json.loads(line)["client_secret"] for line in capsys.readouterr().out.splitlines())
    registry = registry_of(file, load_pepper(tmp_path / "pepper"))
    assert registry.authenticate("shop", old) is None
    assert registry.authenticate("shop", new)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--limit", "5"], "--window"),
        (["--limit", "0", "--window", "60"], "greater than 0"),
    ],
)
def test_wrong_quota_is_explained(
    create: Command, more: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(*more) == 1
    assert word in capsys.readouterr().err


@pytest.mark.parametrize("scope", ["delegate", "nonsense"])
def test_scope_that_nobody_may_have_is_explained(
    create: Command, scope: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(scope=scope) == 1
    assert scope in capsys.readouterr().err
    assert not file.exists()


def test_client_without_quotas_gets_the_defaults(file: Path) -> None:
    file.write_text(yaml.safe_dump({"clients": [ENTRY]}))
    client = registry_of(file, Pepper(b"p" * 32)).find("shop")
    assert client is not None
    assert client.quotas == DEFAULTS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scopes": ["delegate"]}, ["clients.0.scopes", "'shop'", "delegate"]),
        ({"secret_hashes": ["hunter2"]}, ["clients.0.secret_hashes.0", "'shop'"]),
        ({"tenant": ""}, ["clients.0.tenant"]),
        ({"quota": []}, ["clients.0.quota"]),
        ({"quotas": [{"limit": -1, "window_seconds": 60}]}, ["clients.0.quotas.0.limit"]),
        ({"quotas": [{"limit": 1, "window_seconds": 60}] * 2}, ["window_seconds"]),
        ({"client_id": "a{b}"}, ["clients.0.client_id"]),
        ({"grant_types": ["password"]}, ["clients.0.grant_types", "no such grant type"]),
    ],
)
def test_wrong_entry_is_named_without_its_value(
    file: Path, change: dict[str, Any], words: list[str]
) -> None:
    file.write_text(yaml.safe_dump({"clients": [ENTRY | change]}))
    with pytest.raises(ClientsFileInvalid) as caught:
        parse_clients(file)
    for word in words:
        assert word in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_client_that_is_there_twice_is_named(file: Path) -> None:
    file.write_text(yaml.safe_dump({"clients": [ENTRY, ENTRY]}))
    with pytest.raises(ClientsFileInvalid, match="shop is there twice"):
        parse_clients(file)


@pytest.mark.parametrize("content", ["clients: [", "- a\n", "7", "clients: 7", "client: []"])
def test_file_of_another_shape_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ClientsFileInvalid, match=r"clients\.yaml"):
        parse_clients(file)


def test_missing_file_is_named(file: Path) -> None:
    with pytest.raises(ClientsFileInvalid, match=r"clients\.yaml"):
        parse_clients(file)


@pytest.mark.parametrize(
    "content", ["", "not hex", "ab" * 31, "\n".join(["ab" * 32] * 3), "ab" * 32 + "\nab"]
)
def test_bad_pepper_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "pepper").write_text(content)
    with pytest.raises(PepperInvalid, match="pepper"):
        load_pepper(tmp_path / "pepper")


def test_missing_pepper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PepperInvalid, match="pepper"):
        load_pepper(tmp_path / "pepper")


@pytest.mark.parametrize("command", [[], ["serve"], ["create-client"], ["create-key"]])
def test_help_is_there(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert "usage: python -m gateway" in capsys.readouterr().out


def test_client_with_a_public_key_gets_no_secret(
    create: Command, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ECKey.generate_key("P-256")
    (tmp_path / "public.pem").write_bytes(key.as_pem(private=False))
    (tmp_path / "private.pem").write_bytes(key.as_pem(private=True))
    assert create("--public-key", str(tmp_path / "private.pem")) == 1
    assert "private" in capsys.readouterr().err
    assert create("--public-key", str(tmp_path / "public.pem"), "--role", "viewer") == 0
    assert json.loads(capsys.readouterr().out) == {"client_id": "shop"}
    (entry,) = parse_clients(file).clients
    assert (entry.secret_hashes, entry.roles) == ([], ["viewer"])
    assert entry.public_keys[0]["kid"] == key.thumbprint()


def create_key(file: Path, tmp_path: Path, *more: str) -> int:
    files = ["--clients-file", str(file), "--pepper-file", str(tmp_path / "pepper")]
    return main(["create-key", *files, "--client-id", "shop", *more])


def test_created_key_is_its_clients(
    create: Command, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create("drift:read")
    capsys.readouterr()
    assert create_key(file, tmp_path, "--scope", "drift:read", "--days", "30") == 0
    answer = json.loads(capsys.readouterr().out)
    registry = registry_of(file, load_pepper(tmp_path / "pepper"))
    key = registry.authenticate_key(answer["key_id"], answer["api_key"])
    assert key is not None
    assert (key.client.client_id, key.client.scopes) == ("shop", {"drift:read"})
    assert key.client.key_id == answer["key_id"]
    assert answer["api_key"] not in file.read_text()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--scope", "drift:read"], "drift:read"),
        (["--scope", "models:predict", "--days", "0"], "--days"),
        (["--scope", "models:predict", "--client-id", "nobody"], "nobody"),
    ],
)
def test_wrong_key_is_explained(
    create: Command, file: Path, tmp_path: Path, more: list[str], word: str, capsys: Any
) -> None:
    create()
    before = file.read_text()
    assert create_key(file, tmp_path, *more) == 1
    assert word in capsys.readouterr().err
    assert file.read_text() == before
