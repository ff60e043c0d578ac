"""The numbers of the advisory locks, in one place, so that no two purposes share one.

A lock belongs to the database, not to a table: replicas, and versions of the service, meet in it.
A number that was given is never given to another purpose. The migrations repeat theirs as text.
"""

from enum import IntEnum


class AdvisoryLock(IntEnum):
    """What only one transaction at a time may do, or many who share it."""

    MIGRATIONS = 7_236_001
    PARTITIONS = 7_236_002
    ROLLUPS = 7_236_003
    """Shared by inserts of predictions, alone for feedback; taken by the triggers."""
    ERASURES = 7_236_004
    """Shared by who writes private parts, alone for who begins an erasure."""
    AUDIT_CHAIN = 7_236_005
