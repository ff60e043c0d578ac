"""What `make env` leaves for docker compose."""

import json
import ssl
from pathlib import Path

import pytest
import yaml
from cryptography.x509 import DNSName, SubjectAlternativeName, load_pem_x509_certificate
from typer.testing import CliRunner

from weir_local.__main__ import app
from weir_local.container_environment import renew_certificate


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the command made in it."""
    directory = tmp_path_factory.mktemp("environment")
    done = run(directory, "--name", "weir.example.com", "--port", "443")
    assert done == (0, "")
    return directory


def run(directory: Path, *arguments: str) -> tuple[int, str]:
    files = ("--env-file", str(directory / ".env"), "--folder", str(directory / "files"))
    done = CliRunner().invoke(app, ["env", *files, *arguments])
    return done.exit_code, done.stderr


def variables(directory: Path) -> dict[str, str]:
    lines = (directory / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_every_file_that_compose_mounts_is_there(made: Path) -> None:
    compose = yaml.safe_load(Path(__file__).parents[3].joinpath("docker-compose.yml").read_text())

    for secret in compose["secrets"].values():
        file = secret["file"].replace("${WEIR_SECRETS}", str(made / "files"))
        assert Path(file).stat().st_size > 0
    for folder in ("identity/signing-keys", "clients", "identity/log-keys", "training"):
        assert made.joinpath("files", folder).is_dir()


def test_nobody_else_on_the_machine_reads_any_of_it(made: Path) -> None:
    assert (made / ".env").stat().st_mode & 0o777 == 0o600
    assert (made / "files").stat().st_mode & 0o777 == 0o700


def test_what_others_than_the_services_read_is_little(made: Path) -> None:
    open_to_all = {
        path.name
        for path in (made / "files").rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077
    }

    assert open_to_all == {
        *("postgres-owner-password", "postgres-service-password", "grafana-password"),
        *("redis-events.conf", "redis-quota.conf", "authority.pem", "gateway.pem"),
    }


def test_no_password_is_in_the_variables(made: Path) -> None:
    assert variables(made).keys() == {
        *("COMPOSE_PROJECT_NAME", "WEIR_VERSION", "WEIR_SECRETS", "WEIR_TRAINING_DATA"),
        *("WEIR_USER", "WEIR_PORT", "WEIR_ISSUER"),
    }


def test_every_password_is_its_own(made: Path) -> None:
    names = ("postgres-owner-password", "postgres-service-password", "grafana-password")
    passwords = {(made / "files" / name).read_text() for name in names}
    urls = [(made / "files" / f"{name}-url").read_text() for name in ("events-redis", "database")]

    assert len(passwords) == 3
    assert min(map(len, passwords)) >= 32
    assert not any(password in urls[0] for password in passwords)
    assert (made / "files" / "postgres-service-password").read_text() in urls[1]


def test_the_demo_client_knows_where_tokens_are(made: Path) -> None:
    client = json.loads((made / "files/client.json").read_text())

    assert client["token_url"] == "https://weir.example.com:443/oauth2/token"
    assert variables(made)["WEIR_ISSUER"] == "https://weir.example.com:443"


def test_the_certificate_is_signed_and_for_every_name(made: Path) -> None:
    tls = made / "files/tls"
    certificate = load_pem_x509_certificate((tls / "gateway.pem").read_bytes())
    authority = load_pem_x509_certificate((tls / "authority.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value

    certificate.verify_directly_issued_by(authority)
    assert names.get_values_for_type(DNSName) == ["weir.example.com", "localhost", "gateway"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        tls / "gateway.pem", tls / "gateway.key"
    )


def test_it_is_made_once(made: Path) -> None:
    before = (made / ".env").read_text()

    code, told = run(made)

    assert code == 1
    assert told == f"{made / '.env'} is there already, and stays: its passwords may be in use\n"
    assert (made / ".env").read_text() == before


def test_a_new_certificate_leaves_everything_else(made: Path, tmp_path: Path) -> None:
    password = (made / "files/redis-events.conf").read_text()
    before = (made / "files/tls/gateway.pem").read_text()

    renew_certificate(made / "files", [])

    assert (made / "files/tls/gateway.pem").read_text() != before
    assert (made / "files/redis-events.conf").read_text() == password
