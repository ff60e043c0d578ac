"""The file of trusted issuers: what it may say, and that a change of it counts."""

from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.followed_issuers import followed_issuers
from gateway.identity_directory import STALE
from gateway.trusted_issuers_file import TrustedIssuersFileInvalid, load_trusted_issuers
from servicekit.errors import Unauthenticated
from testkit.oidc import running_oidc_issuer
from testkit.waiting import until

from .trusted_issuers import DEFAULTS, OURSELVES, PREDICTING, entry, followed, written


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"issuer": "http://login.test"}, "https"),
        ({"issuer": "https://user@login.test"}, "https"),
        ({"jwks_uri": "ftp://login.test"}, "https"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"name": "a:b"}, "name"),
        ({"tenant": ""}, "tenant"),
        ({"grants": []}, "grants"),
        ({"grants": [{"claim": "a", "scopes": ["delegate"]}]}, "no such scope"),
        ({"grants": [{"claim": "a", "roles": ["king"]}]}, "no such role"),
        ({"grants": [{"claim": "a"}]}, "needs scopes or roles"),
        ({"colour": "blue"}, "colour"),
    ],
    ids=str,
)
def test_file_with_a_fault_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises(TrustedIssuersFileInvalid, match=fault):
        load_trusted_issuers(written(tmp_path, entry("https://login.test", **changes)))


def test_two_entries_for_one_issuer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrustedIssuersFileInvalid, match="same issuer"):
        load_trusted_issuers(
            written(tmp_path, entry("https://a.test"), entry("https://a.test", name="other"))
        )


async def test_our_own_issuer_is_no_external_one(tmp_path: Path) -> None:
    file = written(tmp_path, entry(OURSELVES))
    with pytest.raises(TrustedIssuersFileInvalid, match="this gateway"):
        async with followed_issuers(file, DEFAULTS, own_issuer=OURSELVES):
            pass
    async with followed_issuers(file, DEFAULTS, own_issuer="https://other.test") as issuers:
        assert issuers is not None
        assert issuers.trusts(OURSELVES)
    async with followed_issuers(None, DEFAULTS, own_issuer=OURSELVES) as nobody:
        assert nobody is None


@pytest.mark.parametrize("content", ["issuers: [", "", "[]", "issuers: 1"])
def test_file_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "issuers.yaml"
    file.write_text(content)
    with pytest.raises(TrustedIssuersFileInvalid):
        load_trusted_issuers(file)
    with pytest.raises(TrustedIssuersFileInvalid, match="cannot be read"):
        load_trusted_issuers(tmp_path / "missing")


async def test_change_of_the_file_counts_without_a_restart(tmp_path: Path) -> None:
    file = written(tmp_path, entry("https://a.test"))
    async with followed_issuers(file, DEFAULTS, own_issuer=OURSELVES) as issuers:
        assert issuers is not None
        written(tmp_path, entry("https://b.test"))
        await until(lambda: issuers.trusts("https://b.test"))
        assert not issuers.trusts("https://a.test")


async def test_broken_file_is_told_once_and_the_last_good_one_stays(tmp_path: Path) -> None:
    subject = followed(tmp_path, entry("https://a.test"))
    file = tmp_path / "issuers.yaml"
    file.write_text("issuers: [")
    with structlog.testing.capture_logs() as logs:
        await subject.look()
        await subject.look()
    assert [line["event"] for line in logs] == ["trusted_issuers_file_broken"]
    assert subject.issuers.trusts("https://a.test")
    assert STALE.labels("trusted_issuers")._value.get() == 1
    written(tmp_path, entry("https://b.test"))
    await subject.look()
    assert subject.issuers.trusts("https://b.test")
    assert STALE.labels("trusted_issuers")._value.get() == 0


async def test_token_of_whom_the_file_trusts_no_longer_is_refused_though_it_was_verified(
    tmp_path: Path,
) -> None:
    with running_oidc_issuer() as oidc:
        subject = followed(tmp_path, entry(oidc.issuer))
        token = oidc.token(groups=["ml"])
        assert (await subject.issuers.verify(token)).scopes == {"models:predict"}
        written(tmp_path, entry(oidc.issuer, grants=[PREDICTING | {"value": "others"}]))
        await subject.look()
        assert (await subject.issuers.verify(token)).scopes == set()
        # Keys that were fetched stay: the issuer has been asked once.
        assert len(oidc.requests) == 2
        written(tmp_path, entry("https://b.test"))
        await subject.look()
        with pytest.raises(Unauthenticated):
            await subject.issuers.verify(token)
