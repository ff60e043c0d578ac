"""The keys of a home that an earlier release has made."""

import json
from pathlib import Path

from weir_local.home import Home
from weir_local.identity import ensure_identity


def test_the_one_signing_key_of_an_older_home_goes_on_signing(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path)
    (home.identity / "log-keys").mkdir(parents=True)
    (home.identity / "log-keys" / "master-keys.json").write_text("keys")
    (home.identity / "clients.yaml").write_text("clients: []")
    (home.identity / "signing-key.pem").write_text("the key")
    home.client_file.write_text(json.dumps({"client_id": "demo", "client_secret": "s"}))

    for _ in range(2):
        identity = ensure_identity(home, "http://127.0.0.1:8080")

        assert [file.read_text() for file in identity.signing_keys.iterdir()] == ["the key"]
        assert not (home.identity / "signing-key.pem").exists()
