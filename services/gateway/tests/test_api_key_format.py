"""The text of an API key: what scanners may rely on, and what costs no lookup."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api_key_format import key_id_of, new_api_key, new_key_id

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY_IDS = st.text(DIGITS, min_size=12, max_size=12)


@given(KEY_IDS)
def test_key_tells_its_id(key_id: str) -> None:
    key = new_api_key(key_id)
    assert key.text.startswith(f"weir_live_{key_id}_")
    assert key_id_of(key.text) == key_id
    assert key.text not in repr(key)


@given(KEY_IDS, st.data())
def test_key_with_one_wrong_character_is_none(key_id: str, data: st.DataObject) -> None:
    text = new_api_key(key_id).text
    at = data.draw(st.integers(len("weir_live_"), len(text) - 1))
    other = data.draw(st.sampled_from(DIGITS).filter(lambda digit: digit != text[at]))
    assert key_id_of(text[:at] + other + text[at + 1 :]) is None


@given(KEY_IDS, st.integers(0, 71))
def test_cut_key_is_none(key_id: str, length: int) -> None:
    text = new_api_key(key_id).text
    assert len(text) == 72
    assert key_id_of(text[:length]) is None
    assert key_id_of(text + "0") is None


@given(st.text(max_size=100))
def test_any_text_is_taken_without_an_error(text: str) -> None:
    assert key_id_of(text) is None
    assert key_id_of("weir_live_" + text) is None


def test_checksum_is_the_documented_one() -> None:
    body = "weir_live_000000000000_" + "A" * 43
    assert key_id_of(body + checksum(body)) == "000000000000"


def checksum(body: str) -> str:
    """CRC-32 bit by bit, and base 62 as the format's description says."""
    register = 0xFFFFFFFF
    for byte in body.encode():
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    number = register ^ 0xFFFFFFFF
    return "".join(DIGITS[number // 62**place % 62] for place in range(5, -1, -1))


def test_secrets_do_not_repeat() -> None:
    key_id = new_key_id()
    assert len({new_api_key(key_id).text for _ in range(1000)}) == 1000


@pytest.mark.parametrize("key_id", ["short", "with-a-dash0", "0" * 12 + "\n"])
def test_other_ids_are_none(key_id: str) -> None:
    assert key_id_of(new_api_key(key_id).text) is None
