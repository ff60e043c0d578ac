"""Moments on their way into the contracts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from servicekit.timestamps import to_timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])


@given(st.integers(-(10**15), 10**16), ZONES)
def test_moment_is_the_one_that_protobuf_makes_of_it(microseconds: int, zone: timezone) -> None:
    moment = (EPOCH + timedelta(microseconds=microseconds)).astimezone(zone)
    expected = Timestamp()
    expected.FromDatetime(moment)
    assert to_timestamp(moment) == expected


def test_last_microsecond_of_a_second_stays_in_it() -> None:
    moment = datetime(2199, 12, 31, 23, 59, 59, 999_999, UTC)
    assert to_timestamp(moment).ToDatetime(UTC) == moment


def test_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        to_timestamp(EPOCH.replace(tzinfo=None))
