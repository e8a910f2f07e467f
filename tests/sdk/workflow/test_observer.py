"""The observer port: the events of a run, and their order."""

from datetime import timedelta

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore

from runtara_sdk.workflow import Ended, Outcome, Retry, Workflow, execute, sleep, step, workflow
from runtara_sdk.workflow.engine.observer import (
    AttemptFailed,
    Event,
    Recorded,
    Replayed,
    RunBegun,
    RunEnded,
    RunResumed,
    RunSuspended,
    StepBegun,
)
from runtara_sdk.workflow.engine.records import Kind
from runtara_sdk.workflow.errors import NondeterminismError


class Told:
    """Keeps the events that it gets."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, instance_id: str, event: Event, /) -> None:
        assert instance_id == "i-1"
        self.events.append(event)


@pytest.fixture
def told() -> Told:
    return Told()


def failing_once() -> Workflow[[], str]:
    """A workflow whose step fails once, and that sleeps then."""
    errors = [ValueError("once")]

    @step(retry=Retry(2, wait="0s", cap="0s"))
    async def pay() -> str:
        if errors:
            raise errors.pop()
        return "paid"

    @workflow
    async def paying() -> str:
        paid = await pay()
        await sleep("1d")
        return paid

    return paying


async def test_each_event_is_observed_when_it_happens(told: Told) -> None:
    """A run tells what it begins, records and replays, and last how it ended or suspended."""
    core, paying = Core(), failing_once()

    suspended = await execute(paying, MemoryStore(core), clock=core.clock, observers=[told])

    failed = told.events[3]
    assert isinstance(failed, AttemptFailed)
    assert (failed.key, failed.attempt, repr(failed.error)) == ("pay#1", 1, "ValueError('once')")
    assert failed.next_at == core.now
    assert told.events == [
        Recorded("~workflow", Kind.START),
        RunBegun("paying"),
        StepBegun("pay#1", 1),
        failed,
        Recorded("pay#1!failed#1", Kind.ATTEMPT),
        StepBegun("pay#1", 2),
        Recorded("pay#1", Kind.RESULT),
        Recorded("sleep#1", Kind.UNTIL),
        RunSuspended(suspended),
    ]
    assert suspended.until == core.now + timedelta(days=1)

    told.events.clear()
    core.now += timedelta(days=1)
    ended = await execute(paying, MemoryStore(core), clock=core.clock, observers=[told])

    assert told.events == [
        RunResumed("paying", 1),
        Replayed("pay#1", Kind.RESULT),
        Replayed("sleep#1", Kind.UNTIL),
        RunEnded(ended),
    ]
    assert ended == Ended(Outcome.DONE, b'"paid"')

    told.events.clear()
    await execute(paying, MemoryStore(core), clock=core.clock, observers=[told])
    assert told.events == [RunEnded(ended)]


async def test_the_last_attempt_has_none_after_it(told: Told) -> None:
    """The event of the last attempt names no next one, and its failure is recorded."""

    @step
    async def pay() -> None:
        raise ValueError("never")

    @workflow
    async def paying() -> None:
        await pay()

    ended = await execute(paying, MemoryStore(Core()), observers=[told])

    (failed,) = [one for one in told.events if isinstance(one, AttemptFailed)]
    assert failed.next_at is None
    assert told.events[-2:] == [Recorded("pay#1", Kind.FAILURE), RunEnded(ended)]
    assert ended.outcome is Outcome.FAILED


async def test_a_run_that_cannot_go_on_says_why(told: Told) -> None:
    """A run that raises tells its error as the end."""
    core = Core()

    @workflow(name="one")
    async def before() -> None:
        await sleep(0)

    @workflow(name="one")
    async def after() -> None:
        return

    await execute(before, MemoryStore(core))
    core.ended = None
    with pytest.raises(NondeterminismError) as raised:
        await execute(after, MemoryStore(core), observers=[told])

    assert told.events == [RunResumed("one", 0), RunEnded(raised.value)]


async def test_an_observer_that_raises_changes_nothing(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """What an observer raises is logged, and neither the run nor the other observers notice."""

    def broken(instance_id: str, event: Event, /) -> None:
        raise RuntimeError("broken")

    core, paying = Core(), failing_once()
    ended = await execute(paying, MemoryStore(core), clock=core.clock, observers=[broken, told])

    assert ended.outcome is Outcome.SUSPENDED
    assert len(told.events) == 9
    logged = [one for one in caplog.records if one.getMessage().startswith("an observer of")]
    assert len(logged) == 9
    assert str(logged[0].exc_info[1] if logged[0].exc_info else None) == "broken"
