"""The models of a process: what keeps them in step with their files, and what runs them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from inference.admission import Limits
from inference.cpu_limit import available_cores
from inference.model_repository import ModelRepository
from inference.repository_watch import RepositoryWatch
from inference.scheduler import Scheduler
from inference.settings import Settings


@dataclass(frozen=True, slots=True)
class ServedModels:
    """They need no connection and no server, so they are there before those are."""

    repository: ModelRepository
    scheduler: Scheduler
    watch: RepositoryWatch


@contextmanager
def served_models(settings: Settings) -> Iterator[ServedModels]:
    """The models, none loaded yet: the watch's first look does that, on a thread of its own."""
    limits = Limits(
        settings.max_waiting_items,
        settings.max_waiting_seconds,
        short_queue=settings.max_items_per_call,
    )
    repository = ModelRepository()
    scheduler = Scheduler(settings.model_threads or available_cores(), limits)
    with ThreadPoolExecutor(1, thread_name_prefix="loader") as loader:
        watch = RepositoryWatch(
            settings.model_repository, repository, loader, warm_up=scheduler.warm_up
        )
        yield ServedModels(repository, scheduler, watch)
