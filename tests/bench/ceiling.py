"""What ONNX Runtime itself reaches on this machine: no server, no HTTP, texts tokenised beforehand.

Texts are sorted by length, so that nearly nothing of a batch is padding, and each core runs batches
one after the other with one thread. No server can be faster without running the model in another
way; what it has less is the price of serving.
"""

import itertools
import random
import threading
import time
from collections.abc import Sequence
from statistics import median

from peer_servers.text_model import Package, TextModel

BATCHES = (1, 4, 8, 16)


class Ceiling:
    """The model package in this process."""

    def __init__(self, package: Package, cores: int) -> None:
        self._cores = cores
        self._single = TextModel(package, 1)
        self._wide = TextModel(package, cores)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts."""
        return [self._single.encode(text) for text in texts]

    def answers(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """The probabilities that every server must give, each text run alone."""
        return [self._single.answer(text)["probabilities"] for text in texts]

    def rate(self, rows: Sequence[list[int]], batch: int, seconds: float) -> float:
        """Texts a second on all cores, in batches of that size."""
        ordered = sorted(rows, key=len)
        groups = [ordered[start : start + batch] for start in range(0, len(ordered), batch)]
        # By chance, so that a run that ends early has seen all lengths.
        random.Random(3).shuffle(groups)
        work = itertools.cycle([(self._single.feeds(group), len(group)) for group in groups])
        guard = threading.Lock()
        rates: list[float] = []

        def run() -> None:
            started = now = time.perf_counter()
            done = 0
            while now - started < seconds:
                with guard:
                    feeds, texts = next(work)
                self._single.logits(feeds)
                done += texts
                now = time.perf_counter()
            rates.append(done / (now - started))

        threads = [threading.Thread(target=run) for _ in range(self._cores)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(rates)

    def alone_ms(self, rows: Sequence[list[int]], seconds: float, *, wide: bool) -> float:
        """Median time of one text with nothing beside it, on one core or, if `wide`, on all."""
        model = self._wide if wide else self._single
        times = []
        until = time.perf_counter() + seconds
        for row in itertools.cycle(rows):
            feeds = model.feeds([row])
            began = time.perf_counter()
            model.logits(feeds)
            ended = time.perf_counter()
            times.append((ended - began) * 1e3)
            if ended > until:
                return median(times)
        raise AssertionError("there are texts")
