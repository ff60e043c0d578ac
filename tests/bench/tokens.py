"""How fast access tokens are issued and verified: `make bench BENCH=tokens`.

First the decisions alone, in this process, in seconds of CPU time: signing; the token endpoint's
answer for each way in which a client can prove itself, and for an exchange; the check of a token
that is new and of one that is known. Then a gateway as a process, with a Redis that keeps its audit
trail and nothing else behind it: tokens a second over HTTP, and a second of its CPU time. Exit code
1 where a bound is missed.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey
from load import Plan, Result, measured
from rich.console import Console
from rich.table import Table

from gateway.attempt_limit import AttemptLimit
from gateway.client_assertions import AssertionVerifier
from gateway.client_authentication import ClientAuthentication
from gateway.client_credentials import ASSERTION_TYPE
from gateway.client_registry import ClientRegistry
from gateway.domain import CLIENT_CREDENTIALS, TOKEN_EXCHANGE, Client
from gateway.issued_tokens import IssuedTokens
from gateway.secret_hashes import Pepper, hash_secret
from gateway.signing_keys import KeyRing, SigningKey
from gateway.token_endpoint import ACCESS_TOKEN_TYPE, TokenEndpoint
from gateway.token_issuer import TokenIssuer
from gateway.token_targets import TokenTargets
from servicekit.access_tokens import AccessTokenVerifier
from testkit.stores import running_redis

ISSUER, AUDIENCE, PEPPER, SECRET = "https://issuer.test", "weir", bytes(32), "s" * 43
LEAST_RATE, MOST_MICROSECONDS = 1000.0, 5.0
Form = list[tuple[str, str]]
BASIC = "Basic " + b64encode(f"bench:{SECRET}".encode()).decode()


@dataclass(frozen=True)
class Cost:
    """What one of a kind costs."""

    name: str
    microseconds: float
    """Of CPU time; the median of the rounds."""

    @property
    def rate(self) -> float:
        """How many a second one core does."""
        return 1e6 / self.microseconds


@dataclass(frozen=True)
class Served:
    """What a gateway did over HTTP."""

    result: Result
    cpu_seconds: float
    tokens: int

    @property
    def rate_per_core(self) -> float:
        """Tokens for each second of CPU time that the process used."""
        return self.tokens / self.cpu_seconds


class Memory:
    """Takes the place of Redis, whose time is not the gateway's."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    async def use(self, client_id: str, assertion_id: str, *, lifetime: float) -> bool:
        is_new = assertion_id not in self._used
        self._used.add(assertion_id)
        return is_new


class Bench:
    """The decisions, put together as the gateway does."""

    def __init__(self) -> None:
        self.client_key = ECKey.generate_key("P-256", auto_kid=True)
        client = Client(
            client_id="bench",
            tenant="bench",
            secret_hashes=(hash_secret(PEPPER, SECRET),),
            scopes=frozenset({"models:predict", "models:read"}),
            quotas=(),
            public_keys=(self.client_key.as_dict(private=False),),
        )
        registry = ClientRegistry([client], Pepper(PEPPER))
        self.key = SigningKey(ECKey.generate_key("P-256"))
        self.keys = KeyRing([self.key])
        self.verifier = self.new_verifier()
        issuer = TokenIssuer(self.keys, issuer=ISSUER, audience=AUDIENCE, lifetime=600)
        authentication = ClientAuthentication(
            registry,
            AssertionVerifier(registry.find, [ISSUER]),
            Memory(),
            AttemptLimit(per_address=30, per_client=100),
        )
        targets = TokenTargets(AUDIENCE, issuer=ISSUER)
        self.endpoint = TokenEndpoint(
            authentication, issuer, targets, IssuedTokens({AUDIENCE: self.verifier})
        )
        self.token = issuer.issue("bench", "bench", ["models:predict", "models:read"]).value

    def new_verifier(self) -> AccessTokenVerifier:
        return AccessTokenVerifier(self.keys, issuer=ISSUER, audience=AUDIENCE)

    def assertions(self, count: int) -> Iterator[str]:
        header = {"alg": "ES256", "kid": self.client_key.kid}
        claims = {"iss": "bench", "sub": "bench", "aud": ISSUER, "exp": int(time.time()) + 300}
        signed = [
            jwt.encode(header, claims | {"jti": uuid4().hex}, self.client_key) for _ in range(count)
        ]
        return iter(signed)

    async def answer(self, form: Form, authorization: str | None) -> None:
        answer = await self.endpoint.answer(form, authorization, "192.0.2.1")
        assert answer.status == 200, answer.body


async def decisions(count: int, rounds: int) -> list[Cost]:
    """What each costs."""
    bench = Bench()
    grant = [("grant_type", CLIENT_CREDENTIALS)]
    secret = [("client_id", "bench"), ("client_secret", SECRET)]
    exchange = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", bench.token),
        ("subject_token_type", ACCESS_TOKEN_TYPE),
        ("scope", "models:read"),
    ]
    claims = {"iss": ISSUER, "sub": "bench", "jti": "0" * 36, "scope": "models:predict"}
    assertions = bench.assertions(count * rounds)

    async def sign() -> None:
        bench.key.sign(claims)

    async def by_assertion() -> None:
        form = [*grant, ("client_assertion_type", ASSERTION_TYPE)]
        await bench.answer([*form, ("client_assertion", next(assertions))], None)

    async def verify_new() -> None:
        await bench.new_verifier().verify(bench.token)

    async def verify_known() -> None:
        await bench.verifier.verify(bench.token)

    ways: dict[str, Callable[[], Awaitable[None]]] = {
        "signature": sign,
        "token by client_secret_basic": lambda: bench.answer(grant, BASIC),
        "token by client_secret_post": lambda: bench.answer([*grant, *secret], None),
        "token by private_key_jwt": by_assertion,
        "token exchange": lambda: bench.answer(exchange, BASIC),
        "verification of a new token": verify_new,
        "verification of a known token": verify_known,
    }
    return [Cost(name, await _cost(work, count, rounds)) for name, work in ways.items()]


async def _cost(work: Callable[[], Awaitable[None]], count: int, rounds: int) -> float:
    costs = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(count):
            await work()
        costs.append((time.process_time() - began) / count * 1e6)
    return median(costs)


@contextmanager
def running_gateway(home: Path, redis_url: str) -> Iterator[tuple[int, str, str]]:
    """A gateway with its Redis alone behind it: its process id, its address, a Basic header."""

    def command(*arguments: str) -> str:
        program = [sys.executable, "-m", "gateway", *arguments]
        return subprocess.run(program, check=True, capture_output=True, text=True).stdout

    command("rotate-signing-key", "--directory", str(home / "keys"))
    files = ["--clients-file", str(home / "clients.yaml"), "--pepper-file", str(home / "pepper")]
    who = ["--client-id", "bench", "--tenant", "bench", "--scope", "models:predict"]
    secret = json.loads(command("create-client", *files, *who))["client_secret"]
    nobody = {
        f"WEIR_{name}": f"unix:{home}/nobody.sock"
        for name in ("INFERENCE_TARGET", "PREDICTION_LOG_TARGET", "DRIFT_TARGET")
    }
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WEIR_")},
        **nobody,
        "WEIR_HTTP_PORT": "0",
        "WEIR_SIGNING_KEYS_DIR": str(home / "keys"),
        "WEIR_CLIENTS_FILE": str(home / "clients.yaml"),
        "WEIR_PEPPER_FILE": str(home / "pepper"),
        "WEIR_QUOTA_REDIS_URL": redis_url,
        "WEIR_EVENTS_REDIS_URL": redis_url,
    }
    with (home / "gateway.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"], env=environment, stdout=log, stderr=log
        )
        try:
            address = _address(process, home / "gateway.log")
            yield process.pid, address, "Basic " + b64encode(f"bench:{secret}".encode()).decode()
        finally:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        for line in log.read_text().splitlines():
            if "http_listening" in line:
                return f"http://{json.loads(line)['address']}"
        time.sleep(0.1)
    raise SystemExit(f"the gateway did not start:\n{log.read_text()}")


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def served(seconds: float, concurrency: int) -> Served:
    """Tokens over HTTP, the audit trail and the log on."""
    with (
        tempfile.TemporaryDirectory(prefix="weir-bench-") as home,
        running_redis(Path(home)) as redis,
        running_gateway(Path(home), redis.url) as (process, address, basic),
    ):
        plan = Plan(
            f"{address}/oauth2/token",
            [urlencode({"grant_type": CLIENT_CREDENTIALS})],
            {"authorization": basic, "content-type": "application/x-www-form-urlencoded"},
            concurrency=concurrency,
            seconds=seconds,
            warm_up=0.0,
        )
        measured(Plan(**asdict(plan) | {"seconds": min(1.0, seconds)}))
        before = _cpu_seconds(process)
        result = measured(plan)
        tokens = result.statuses.get("200", 0)
        return Served(result, _cpu_seconds(process) - before, tokens)


def show(costs: list[Cost], http: Served) -> bool:
    """Prints what was measured; whether the bounds are kept."""
    table = Table("what", "µs of CPU", "a second and core", title="Access tokens")
    for cost in costs:
        table.add_row(cost.name, f"{cost.microseconds:.1f}", f"{cost.rate:,.0f}")
    per_token = 1e6 / http.rate_per_core
    table.add_row("token over HTTP, all of the gateway", f"{per_token:.1f}", "")
    console = Console()
    console.print(table)
    console.print(
        f"HTTP: {http.result.rate:,.0f} tokens/s answered, {http.rate_per_core:,.0f} for each "
        f"second of the gateway's CPU time; {http.result.statuses}"
    )
    known = next(cost for cost in costs if "known" in cost.name)
    bounds = {
        f"at least {LEAST_RATE:.0f} tokens/s per core over HTTP": http.rate_per_core >= LEAST_RATE,
        f"a known token in {MOST_MICROSECONDS:.0f} µs": known.microseconds <= MOST_MICROSECONDS,
    }
    for bound, kept in bounds.items():
        console.print(f"{'kept  ' if kept else 'MISSED'} {bound}")
    return all(bounds.values())


def main() -> int:
    """Runs what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="of each kind in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load over HTTP")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the results")
    options = parser.parse_args()
    costs = asyncio.run(decisions(options.count, options.rounds))
    http = served(options.seconds, options.concurrency)
    kept = show(costs, http)
    if options.json:
        content = {"decisions": [asdict(cost) for cost in costs], "http": asdict(http)}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
