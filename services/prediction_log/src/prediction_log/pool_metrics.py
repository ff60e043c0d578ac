"""What is measured of the connections to PostgreSQL, by pool."""

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.pool import Pool, QueuePool

CONNECTIONS = Gauge(
    "weir_prediction_log_database_connections",
    "Open connections of a pool: in use, or idle.",
    ["pool", "state"],
)
MOST = Gauge(
    "weir_prediction_log_database_most_connections", "Connections that a pool may open.", ["pool"]
)
WAIT_SECONDS = Histogram(
    "weir_prediction_log_database_wait_seconds",
    "Time until a transaction had its connection, seconds; opening one included.",
    ["pool"],
    buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5),
)
TIMEOUTS = Counter(
    "weir_prediction_log_database_pool_timeouts_total",
    "Transactions that got no connection in time because all of the pool's were in use.",
    ["pool"],
)


class PoolMetrics:
    """The series of one pool."""

    def __init__(self, name: str, pool: Pool) -> None:
        if not isinstance(pool, QueuePool):
            raise TypeError(f"{type(pool).__name__} has no bound")
        self.wait_seconds = WAIT_SECONDS.labels(name)
        self.timeouts = TIMEOUTS.labels(name)
        MOST.labels(name).set(pool.size())
        CONNECTIONS.labels(name, "in_use").set_function(pool.checkedout)
        CONNECTIONS.labels(name, "idle").set_function(pool.checkedin)
