"""The quota's arithmetic: a sliding window in 60 buckets, plus the partial one at its end.

Counting the current bucket and the 60 before it covers a little more than the window, so no
rolling window of `window` seconds ever holds more than the limit, and nothing is refused that would
fit into a window that is a sixtieth longer. `quota_scripts` computes the same inside Redis; a test
holds the two together.

A clock that goes back stands still for that long: what was counted does not grow younger, and no
older than its window either, however far it went.
"""

from collections.abc import Iterator

BUCKETS = 60


class SlidingWindow:
    """What was spent of one policy.

    Args:
        window: milliseconds.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._clock = 0
        self._offset = 0
        self._spent: dict[int, int] = {}

    def advance(self, now: int) -> None:
        """Lets go of what has left the window.

        Args:
            now: milliseconds; may go back.
        """
        at = now + self._offset
        if at < self._clock:
            self._offset += self._clock - at
            at = self._clock
        self._clock = at
        oldest = self.bucket - BUCKETS
        if any(bucket < oldest for bucket in self._spent):
            self._spent = {b: count for b, count in self._spent.items() if b >= oldest}

    @property
    def bucket(self) -> int:
        """The number of the current bucket."""
        return self._clock * BUCKETS // self._window

    @property
    def total(self) -> int:
        """What counts now."""
        return sum(self._spent.values())

    def wait(self, excess: int) -> int:
        """Milliseconds until so much has left, if nothing comes; 0 where there is no excess."""
        if excess <= 0:
            return 0
        last = self.bucket
        for bucket in sorted(self._spent):
            excess -= self._spent[bucket]
            last = bucket
            if excess <= 0:
                break
        return self._leaves_at(last) - self._clock

    def changes_in(self) -> int:
        """Milliseconds until anything leaves; 0 where there is nothing."""
        return self._leaves_at(min(self._spent)) - self._clock if self._spent else 0

    def add(self, amount: int) -> int:
        """Spends; returns the bucket, which a refund needs."""
        bucket = self.bucket
        if amount:
            self._spent[bucket] = self._spent.get(bucket, 0) + amount
        return bucket

    def take_back(self, bucket: int, amount: int) -> None:
        """Gives back what was spent in a bucket, if that still counts."""
        left = self._spent.get(bucket, 0) - amount
        if left > 0:
            self._spent[bucket] = left
        else:
            self._spent.pop(bucket, None)

    def by_age(self) -> Iterator[tuple[int, int, int]]:
        """Bucket, least age in milliseconds and amount of what counts."""
        for bucket, amount in self._spent.items():
            end = -(-(bucket + 1) * self._window // BUCKETS)
            yield bucket, max(0, self._clock - end), amount

    def _leaves_at(self, bucket: int) -> int:
        """The first millisecond at which a bucket no longer counts."""
        return -(-(bucket + BUCKETS + 1) * self._window // BUCKETS)
