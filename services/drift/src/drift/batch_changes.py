"""What a batch of events changes: nothing of it holds before it is stored, then all of it."""

from collections import Counter
from dataclasses import dataclass, field

from google.protobuf.message import Message

from drift.domain import ModelVersion, Population
from drift.judging_faults import WindowUnjudgeable
from drift.state_transaction import StateTransaction, Versions
from drift.version_state import PopulationState, VersionState
from drift.window_history import KeptWindow


@dataclass(frozen=True, slots=True)
class SetAside:
    """A window that closed and could not be judged."""

    of: Population
    window_id: str
    fault: WindowUnjudgeable


@dataclass(slots=True)
class Batch:
    """Filled as events are applied."""

    transaction: StateTransaction
    versions: Versions
    states: dict[ModelVersion, VersionState] = field(default_factory=dict)
    tenants: dict[Population, PopulationState] = field(default_factory=dict)
    """States of tenants that have windows of their own."""
    dropped: set[Population] = field(default_factory=set)
    """Tenants that lost theirs; they may have got new ones."""
    outcomes: Counter[tuple[Population, str]] = field(default_factory=Counter)
    """Of the windows that were filled."""
    set_aside: list[SetAside] = field(default_factory=list)
    repeated: int = 0
    kept: dict[Population, list[KeptWindow]] = field(default_factory=dict)
    told: list[tuple[str, Message]] = field(default_factory=list)
    """What is told to the world, each with its stream."""

    async def tenant(self, of: Population) -> PopulationState:
        """The state of a tenant, read when it is wanted first; it will be stored."""
        if of not in self.tenants:
            self.tenants[of] = (
                PopulationState() if of in self.dropped else await self.transaction.load_tenant(of)
            )
        return self.tenants[of]

    def drop(self, of: Population) -> None:
        """Lets nothing be kept of a tenant."""
        self.tenants.pop(of, None)
        self.kept.pop(of, None)
        self.dropped.add(of)
