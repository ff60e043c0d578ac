"""How much work waits, and how much of it goes before a newcomer."""

from dataclasses import dataclass, field

from inference.waiting import Job


@dataclass(slots=True)
class _Request:
    jobs: int = 0
    seconds: float = 0.0

    @property
    def mean(self) -> float:
        return self.seconds / self.jobs if self.jobs else 0.0


@dataclass(slots=True)
class _Share:
    """What one tenant waits for."""

    jobs: int = 0
    seconds: float = 0.0
    heads: float = 0.0
    """Seconds of one mean job of each of its requests."""
    requests: dict[str, _Request] = field(default_factory=dict)


class Backlog:
    """Predicted seconds of the jobs that were taken and do not run yet."""

    def __init__(self) -> None:
        self.jobs = 0
        self._shares: dict[str, _Share] = {}

    def __len__(self) -> int:
        return len(self._shares)

    def jobs_of(self, tenant: str) -> int:
        """How many of a tenant's wait."""
        share = self._shares.get(tenant)
        return share.jobs if share else 0

    def add(self, job: Job) -> None:
        """It waits from now on."""
        self._change(job, 1)

    def remove(self, job: Job) -> None:
        """It waits no more; its `seconds` are what they were when it was added."""
        self._change(job, -1)

    def ahead_of(self, job: Job) -> float:
        """Seconds of work that the fair order puts before a new job.

        Of the tenant's own requests, as much of each as the job's request asks for, and one mean
        job more; of every other tenant, as much as that and the job itself.
        """
        share = self._shares.get(job.tenant) or _Share()
        request = share.requests.get(job.item.request_id) or _Request()
        own = min(share.seconds, share.heads + len(share.requests) * request.seconds)
        upto = own + job.seconds
        return own + sum(
            min(other.seconds, upto)
            for tenant, other in self._shares.items()
            if tenant != job.tenant
        )

    def _change(self, job: Job, by: int) -> None:
        share = self._shares.setdefault(job.tenant, _Share())
        request = share.requests.setdefault(job.item.request_id, _Request())
        share.heads -= request.mean
        for counted in (share, request):
            counted.jobs += by
            counted.seconds += by * job.seconds
        share.heads += request.mean
        self.jobs += by
        if not request.jobs:
            del share.requests[job.item.request_id]
        if not share.jobs:
            del self._shares[job.tenant]
