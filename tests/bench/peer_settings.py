"""The settings that the peers' documentation and users recommend for a CPU, to choose the best of.

- LitServe: as many workers as cores ("For CPU, set to the number of cores"), ZeroMQ for more than
  100 requests a second (`fast_queue`), as many HTTP processes as workers or fewer, and dynamic
  batching with a short window.
- BentoML: `workers` as many as cores, or one with a pool of `threads`; its adaptive batching, whose
  dispatcher finds the window by itself.
- MLServer: parallel inference with as many workers as cores, or none and a pool of threads; its
  adaptive batching with a short window.

Each is tried with one intra-op thread for each core and with one model on all cores, and batching
with texts of like length put together (what a batch is best made of, see `ceiling.py`) and padded
as most examples do it. An idle machine and a busy one may prefer different settings: both are kept.
"""

from collections.abc import Sequence

from peer_servers.text_model import Settings


def candidates(peer: str, cores: int) -> Sequence[Settings]:
    """What to try, the most promising first."""
    several = {
        "litserve": [
            Settings(workers=cores),
            Settings(workers=cores, batch=8, window_ms=2),
            Settings(workers=1, threads=cores),
            Settings(workers=cores, fast_queue=False),
            Settings(workers=cores, api_servers=cores),
            Settings(workers=cores, batch=16, window_ms=5, order="padded"),
        ],
        "bentoml": [
            Settings(workers=cores),
            Settings(workers=cores, batch=16),
            Settings(workers=1, pool=cores),
            Settings(workers=1, threads=cores),
            Settings(workers=1, threads=cores, batch=16, order="padded"),
        ],
        "mlserver": [
            Settings(workers=0, pool=cores),
            Settings(workers=cores),
            Settings(workers=0, pool=cores, batch=8, window_ms=2),
            Settings(workers=0, threads=cores),
            Settings(workers=cores, batch=16, window_ms=5, order="padded"),
        ],
    }
    return several[peer]


def described(peer: str, settings: Settings) -> str:
    """In words, as the peer's users would say it."""
    parts = [f"{settings.workers} workers" if settings.workers else "in the server's process"]
    parts.append(f"{settings.threads} intra-op thread{'s' * (settings.threads > 1)}")
    if settings.pool > 1:
        parts.append(f"pool of {settings.pool} threads")
    if settings.batch == 1:
        parts.append("no batching")
    else:
        window = "" if peer == "bentoml" else f" within {settings.window_ms:g} ms"
        parts.append(f"batches of {settings.batch}{window}, {settings.order}")
    if peer == "litserve":
        parts.append("ZeroMQ" if settings.fast_queue else "no ZeroMQ")
        parts.append(f"{settings.api_servers} HTTP process{'es' * (settings.api_servers > 1)}")
    return ", ".join(parts)
