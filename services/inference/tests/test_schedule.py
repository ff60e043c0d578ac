"""What runs when, with simulated time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from inference.admission import Limits
from inference.domain import Fault
from inference.runnable import Batching

from .simulated import ALONE, PER_TOKEN, TOGETHER, FakeModel, Simulation

SIZES = st.integers(1, 256)
EVERY_KIND = st.sampled_from([ALONE, TOGETHER])


@settings(deadline=None, max_examples=40)
@given(
    batching=EVERY_KIND,
    threads=st.integers(1, 3),
    flood=st.lists(st.lists(SIZES, min_size=1, max_size=20), min_size=1, max_size=30),
    single=SIZES,
    share=st.floats(0, 0.9),
)
def test_one_that_floods_delays_another_by_one_batch_at_most(
    batching: Batching, threads: int, flood: list[list[int]], single: int, share: float
) -> None:
    simulation = Simulation(FakeModel(batching), threads)
    for number, sizes in enumerate(flood):
        simulation.arrive(0.0, "flood", f"f-{number}", sizes)
    at = share * sum(map(sum, flood)) * PER_TOKEN / threads
    simulation.arrive(at, "calm", "c", [single])
    simulation.run()
    (wait,) = simulation.waits("calm")
    assert wait <= simulation.longest_batch + 1e-9


@settings(deadline=None, max_examples=20)
@given(
    batching=EVERY_KIND,
    flood=st.lists(SIZES, min_size=50, max_size=100),
    calm=st.lists(SIZES, min_size=1, max_size=8),
)
def test_one_that_stays_below_its_share_never_waits_for_more_than_a_batch(
    batching: Batching, flood: list[int], calm: list[int]
) -> None:
    simulation = Simulation(FakeModel(batching))
    for number, size in enumerate(flood):
        simulation.arrive(0.0, "flood", f"f-{number}", [size])
    at = 0.0
    for number, size in enumerate(calm):
        at += 2 * (size + 8 * 256) * PER_TOKEN
        simulation.arrive(at, "calm", f"c-{number}", [size])
    simulation.run()
    assert max(simulation.waits("calm")) <= simulation.longest_batch + 1e-9


def test_tenants_that_want_everything_get_the_same_whatever_their_texts_are_like() -> None:
    simulation = Simulation(FakeModel())
    simulation.arrive(0.0, "short", "s", [4] * 1000)
    simulation.arrive(0.0, "long", "l", [200] * 20)
    simulation.run()
    both = min(simulation.ended[job] for job in list(simulation.ended)[-2:])
    half = [
        sum(job.seconds for job, end in simulation.ended.items() if end < both / 2 and owner(job))
        for owner in (lambda job: job.tenant == "short", lambda job: job.tenant == "long")
    ]
    assert abs(half[0] - half[1]) <= 200 * PER_TOKEN


def test_request_does_not_wait_for_all_of_the_same_tenants_bulk() -> None:
    simulation = Simulation(FakeModel())
    simulation.arrive(0.0, "acme", "bulk", [100] * 100)
    simulation.arrive(0.05, "acme", "single", [10])
    simulation.run()
    (end,) = (at for job, at in simulation.ended.items() if job.item.request_id == "single")
    assert end <= 0.1 + 0.01 + 1e-9


def test_flood_of_one_model_delays_another_model_by_one_batch() -> None:
    simulation = Simulation(FakeModel(name="busy"))
    simulation.arrive(0.0, "acme", "bulk", [100] * 100)
    simulation.arrive(0.05, "acme", "bulk", [10], model=FakeModel(name="other"))
    simulation.run()
    (end,) = (at for job, at in simulation.ended.items() if job.model.name == "other")
    assert end <= 0.1 + 0.01 + 1e-9


@settings(deadline=None, max_examples=10)
@given(batching=EVERY_KIND, long=st.integers(150, 256))
def test_no_text_starves_among_shorter_ones_that_keep_coming(batching: Batching, long: int) -> None:
    simulation = Simulation(FakeModel(batching))
    simulation.arrive(0.0, "acme", "bulk", [long, long, long])
    for number in range(500):
        # More than the thread can do.
        simulation.arrive(number * 0.009, "acme", f"s-{number}", [10])
    simulation.run()
    assert max(simulation.waits("acme")[:3]) <= 3.5
    bulk = [at for job, at in simulation.began.items() if job.item.request_id == "bulk"]
    assert max(bulk) <= 3.5


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(SIZES, min_size=1, max_size=200), threads=st.integers(1, 3))
def test_batches_keep_to_the_models_limits_and_pay(sizes: list[int], threads: int) -> None:
    simulation = Simulation(FakeModel(TOGETHER), threads)
    simulation.arrive(0.0, "acme", "r", sizes)
    simulation.run()
    assert len(simulation.ended) == len(sizes)
    for batch in simulation.batches:
        assert len(batch.jobs) <= TOGETHER.max_items
        assert len(batch.jobs) * batch.size <= TOGETHER.max_padded_tokens
        alone = sum(job.size for job in batch.jobs) * PER_TOKEN
        together = simulation.schedule.latency_of(batch.model).seconds(len(batch.jobs), batch.size)
        assert together <= alone + 1e-9


def test_similar_lengths_run_together() -> None:
    simulation = Simulation(FakeModel(TOGETHER))
    simulation.arrive(0.0, "acme", "r", [10, 60, 11, 59] * 8)
    simulation.run()
    # The first one is lone: nothing else waited when it began.
    padding = sum(len(batch.jobs) * batch.size for batch in simulation.batches)
    assert padding <= 1.02 * sum(job.size for job in simulation.ended)
    assert len(simulation.batches) <= 6


def test_idle_threads_share_what_waits_instead_of_one_taking_it_all() -> None:
    simulation = Simulation(FakeModel(TOGETHER), threads=2)
    simulation.arrive(0.0, "acme", "r", [10] * 4)
    simulation.run()
    assert [len(batch.jobs) for batch in simulation.batches] == [2, 2]


def test_deadline_that_passes_while_waiting_drops_the_item_before_it_runs() -> None:
    simulation = Simulation(FakeModel())
    simulation.arrive(0.0, "acme", "a", [200])
    simulation.arrive(0.01, "zeta", "z", [50], deadline=0.26)
    # Foreseen to begin at 0.2, were it not for those that come later and were given less.
    simulation.schedule.latency_of(simulation.model).observe(1, 200, 0.4)
    for tenant in ("a", "b", "c"):
        simulation.arrive(0.005, tenant, tenant, [200])
    simulation.run()
    assert [job.tenant for job in simulation.late + [job for job, _ in simulation.refused]] == [
        "zeta"
    ]
    assert {job.tenant for job in simulation.ended} == {"acme", "a", "b", "c"}


@settings(deadline=None, max_examples=20)
@given(batching=EVERY_KIND, threads=st.integers(1, 2), factor=st.floats(2, 5))
def test_overload_is_refused_and_what_is_taken_is_answered_in_time(
    batching: Batching, threads: int, factor: float
) -> None:
    limits = Limits(items=2048, seconds=0.4, short_queue=16)
    simulation = Simulation(FakeModel(batching), threads, limits)
    every = 0.01 / threads / factor
    for number in range(400):
        simulation.arrive(number * every, "acme", f"r-{number}", [10])
    simulation.run()
    ends = max(simulation.ended.values())
    assert {rejection.fault for _, rejection in simulation.refused} == {Fault.SATURATED}
    assert all(0 < rejection.retry_after < 2 for _, rejection in simulation.refused)
    assert max(simulation.waits("acme")) <= limits.seconds + 0.15
    busy = sum(job.seconds for job in simulation.ended) / threads
    assert busy >= 0.9 * ends
