"""Quotas as they are stated, and what becomes of them."""

import pytest
from pydantic import ValidationError

from gateway.domain import ConcurrencyCap, CostUnit, QuotaPolicy, QuotaSubject, WhenAway
from gateway.quota_entries import QuotaFields, default_quotas, quota_entries

MINUTE = {"limit": 10, "window_seconds": 60}


def test_quota_counts_whom_it_stands_with() -> None:
    stated = QuotaFields.model_validate({"quotas": [MINUTE], "concurrency": {"limit": 4}})
    assert stated.policies(QuotaSubject.TENANT) == (QuotaPolicy(10, 60, QuotaSubject.TENANT),)
    assert stated.caps(QuotaSubject.KEY) == (ConcurrencyCap(4, QuotaSubject.KEY),)


def test_client_may_allow_each_of_its_keys_as_much() -> None:
    stated = QuotaFields.model_validate({"quotas": [MINUTE | {"per": "key"}]})
    assert stated.policies(QuotaSubject.CLIENT) == (QuotaPolicy(10, 60, QuotaSubject.KEY),)


def test_one_window_may_have_a_limit_of_each_unit() -> None:
    stated = QuotaFields.model_validate({"quotas": [MINUTE, MINUTE | {"cost": "tokens"}]})
    names = [policy.name for policy in stated.policies(QuotaSubject.TENANT)]
    assert names == ["tenant-minute", "tenant-minute-tokens"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"quotas": [MINUTE, MINUTE]},
        {"quotas": [MINUTE | {"limit": 0}]},
        {"quotas": [MINUTE | {"per": "tenant"}]},
        {"quotas": [MINUTE | {"when_away": "maybe"}]},
        {"quotas": [MINUTE | {"name": "x"}]},
        {"concurrency": {"limit": 0}},
    ],
)
def test_wrong_entry_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        QuotaFields.model_validate(wrong)


def test_default_is_each_keys() -> None:
    assert default_quotas(60, 1000) == (
        QuotaPolicy(60, 60, QuotaSubject.KEY),
        QuotaPolicy(1000, 3600, QuotaSubject.KEY),
    )


def test_policies_are_listed_as_they_were_stated() -> None:
    policy = QuotaPolicy(5, 60, QuotaSubject.KEY, CostUnit.TOKENS, WhenAway.OPEN)
    (entry,) = quota_entries([policy])
    assert QuotaFields(quotas=[entry]).policies(QuotaSubject.CLIENT) == (policy,)
