import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from tests.domain.desk import ID, Desk, settled, until
from tests.support.clock import FrozenClock
from tests.support.interposed import Interposed

from runtara_domain.error import (
    DatabaseError,
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    InvalidValue,
)
from runtara_domain.model import CustomSignal, Pending, Signal
from runtara_domain.ports.transport import OnAbandoned, never_abandoned
from runtara_domain.sessions import Session
from runtara_domain.status import FINAL, SignalType, State
from runtara_domain.use_cases.signals import PollSignals, SendCustomSignal, SendSignal
from runtara_persistence.memory.persistence import MemoryPersistence

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
async def at_work(desk: Desk) -> AsyncIterator[None]:
    """See that every test leaves nothing that waits, and no task."""
    tasks = len(asyncio.all_tasks())
    async with desk.at_work():
        yield
    await settled()
    assert (desk.waits.held, len(asyncio.all_tasks())) == (0, tasks)


@pytest.fixture
def send(persistence: MemoryPersistence, clock: FrozenClock) -> SendSignal:
    return SendSignal(persistence.signals, clock)


@pytest.fixture
def send_custom(persistence: MemoryPersistence, clock: FrozenClock) -> SendCustomSignal:
    return SendCustomSignal(persistence.signals, clock)


async def polling(
    desk: Desk,
    session: Session,
    *,
    named: Collection[str] = (),
    on_abandoned: OnAbandoned = never_abandoned,
) -> "asyncio.Task[Pending]":
    """Begin a poll that waits, and see that it does."""
    held = desk.waits.held
    task = asyncio.create_task(desk.poll(session, 60, named=named, on_abandoned=on_abandoned))
    await until(lambda: desk.waits.held > held)
    await settled()
    assert not task.done()
    return task


async def acknowledge(
    desk: Desk, session: Session, kind: SignalType, *, accepted: bool = True
) -> None:
    await desk.acknowledge_signal(
        session=session, caller=session.caller(ID), signal=kind, accepted=accepted
    )


async def test_a_poll_that_does_not_wait_returns_what_is_pending(desk: Desk) -> None:
    session = await desk.registered()
    assert await desk.poll(session) == Pending(desk.row.run_state)

    desk.put_signal(SignalType.PAUSE)

    for _ in range(2):
        assert (await desk.poll(session)).signal == Signal(SignalType.PAUSE)


async def test_a_poll_waits_for_a_signal_and_returns_it(desk: Desk, send: SendSignal) -> None:
    poll = await polling(desk, await desk.registered())

    assert await send(instance_id=ID, signal=Signal(SignalType.RESUME, b"go"))

    assert (await poll).signal == Signal(SignalType.RESUME, b"go")


async def test_a_poll_that_is_due_looks_once_more(desk: Desk) -> None:
    """A signal that was inserted just before is not left to the next poll, reported or not."""
    poll = await polling(desk, await desk.registered())
    desk.put_signal(SignalType.PAUSE)

    desk.clock.advance(timedelta(minutes=1))

    assert (await poll).signal == Signal(SignalType.PAUSE)


async def test_a_poll_waits_for_the_signal_of_its_checkpoint_and_no_other(
    desk: Desk, send_custom: SendCustomSignal
) -> None:
    poll = await polling(desk, await desk.registered(), named=["c-1"])

    await send_custom(instance_id=ID, signal=CustomSignal("c-2", b"other"))
    await settled()
    assert not poll.done()
    await send_custom(instance_id=ID, signal=CustomSignal("c-1", b""))

    assert (await poll).custom_signals == {"c-1": b""}


async def test_a_poll_with_something_to_say_says_it_at_once(desk: Desk) -> None:
    desk.put_signal(SignalType.CANCEL)
    session = await desk.registered()

    assert (await desk.poll(session, 60)).signal == Signal(SignalType.CANCEL)


@pytest.mark.parametrize("iterations", range(6))
async def test_a_signal_that_comes_while_a_poll_begins_is_not_missed(
    desk: Desk, send: SendSignal, iterations: int
) -> None:
    poll = asyncio.create_task(desk.poll(await desk.registered(), 60))
    for _ in range(iterations):
        await asyncio.sleep(0)

    await send(instance_id=ID, signal=Signal(SignalType.PAUSE))

    assert (await poll).signal == Signal(SignalType.PAUSE)


async def test_a_poll_ends_empty_when_its_time_is_over(desk: Desk, clock: FrozenClock) -> None:
    poll = await polling(desk, await desk.registered())
    clock.advance(MINUTE - timedelta(milliseconds=1))
    await settled()
    assert not poll.done()

    clock.advance(timedelta(milliseconds=1))

    assert (await poll).signal is None


async def test_a_poll_is_answered_empty_when_the_core_ends(desk: Desk) -> None:
    poll = await polling(desk, await desk.registered())

    desk.waits.end()

    assert (await poll).signal is None


async def test_a_poll_ends_with_its_connection_and_shows_no_life_then(
    desk: Desk, clock: FrozenClock
) -> None:
    session = await desk.registered()
    poll = await polling(desk, session)
    await desk.activity.flush()
    heard_at = clock.now()
    clock.advance(MINUTE / 2)

    session.close()
    await poll
    await desk.activity.flush()

    assert desk.row.last_activity_at == heard_at


async def test_a_poll_ends_when_its_answer_is_no_longer_wanted(desk: Desk) -> None:
    """Other waits of its connection go on."""
    session = await desk.registered()
    dropped: list[Callable[[], None]] = []

    @contextmanager
    def on_abandoned(call: Callable[[], None]) -> Iterator[None]:
        dropped.append(call)
        yield

    poll = await polling(desk, session, on_abandoned=on_abandoned)
    another = await polling(desk, session)

    dropped[0]()
    await poll
    await settled()

    assert (another.done(), desk.waits.held) == (False, 1)
    session.close()
    await another


async def test_a_poll_waits_for_each_checkpoint_it_names(
    desk: Desk, send_custom: SendCustomSignal
) -> None:
    session = await desk.registered()
    names = [f"c-{number}" for number in range(5)]
    for name in reversed(names):
        poll = await polling(desk, session, named=names)
        await send_custom(instance_id=ID, signal=CustomSignal("another"))
        await send_custom(instance_id=ID, signal=CustomSignal(name, name.encode()))

        assert (await poll).custom_signals == {name: name.encode()}
        names.remove(name)


async def test_each_id_that_a_poll_names_is_checked(desk: Desk) -> None:
    with pytest.raises(InvalidValue, match=r"^checkpoint_id: takes 1 to"):
        await desk.poll(await desk.registered(), 60, named=["c-1", ""])


async def test_a_poll_that_is_cancelled_leaves_nothing(desk: Desk) -> None:
    poll = await polling(desk, await desk.registered())

    poll.cancel()
    await asyncio.wait([poll])

    assert desk.waits.held == 0


async def test_a_waiting_poll_of_a_superseded_run_is_refused(desk: Desk) -> None:
    poll = await polling(desk, await desk.registered())

    await desk.registered()

    with pytest.raises(InstanceSuperseded):
        await poll


async def test_a_waiting_poll_the_database_fails_is_answered_so(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock
) -> None:
    steps = Interposed(persistence)
    desk.poll_signals = PollSignals(steps.port.signals, desk.waits, desk.activity, clock)
    poll = await polling(desk, await desk.registered())
    steps.failing.add("pending")

    desk.waits.recheck([ID])

    with pytest.raises(DatabaseError):
        await poll


async def test_there_is_nothing_for_unknown_instances(desk: Desk) -> None:
    assert await desk.poll(desk.session()) == Pending(None)


@pytest.mark.parametrize("seconds", [-0.001, 60.001])
async def test_no_poll_waits_longer_than_a_minute(desk: Desk, seconds: float) -> None:
    with pytest.raises(InvalidValue, match="wait_ms"):
        await desk.poll(await desk.registered(), seconds)


async def test_an_ack_of_a_cancel_ends_the_instance_and_frees_its_place(desk: Desk) -> None:
    session = await desk.registered()
    desk.put_signal(SignalType.CANCEL)

    await acknowledge(desk, session, SignalType.CANCEL)

    assert (desk.state(), desk.slots.taken) == (State.CANCELLED, 0)


@pytest.mark.parametrize("accepted", [False, True])
async def test_an_ack_that_is_refused_or_of_another_type_leaves_it_pending(
    desk: Desk, accepted: bool
) -> None:
    session = await desk.registered()
    desk.put_signal(SignalType.CANCEL)

    await acknowledge(
        desk, session, SignalType.PAUSE if accepted else SignalType.CANCEL, accepted=accepted
    )

    assert desk.state() is State.RUNNING
    assert (await desk.poll(session)).signal == Signal(SignalType.CANCEL)


@pytest.mark.parametrize("accepted", [False, True])
async def test_an_ack_of_an_old_run_or_an_unknown_instance_is_refused(
    desk: Desk, accepted: bool
) -> None:
    with pytest.raises(InstanceNotFound):
        await acknowledge(desk, desk.session(), SignalType.CANCEL, accepted=accepted)
    old = await desk.registered()
    await desk.registered()

    with pytest.raises(InstanceSuperseded):
        await acknowledge(desk, old, SignalType.CANCEL, accepted=accepted)


async def test_a_cancel_is_replaced_by_nothing(desk: Desk, send: SendSignal) -> None:
    session = await desk.registered()
    sent = [SignalType.PAUSE, SignalType.RESUME, SignalType.CANCEL, SignalType.PAUSE]

    stands = [await send(instance_id=ID, signal=Signal(kind)) for kind in sent]

    assert stands == [True, True, True, False]
    assert (await desk.poll(session)).signal == Signal(SignalType.CANCEL)


async def test_the_first_custom_signal_stands(desk: Desk, send_custom: SendCustomSignal) -> None:
    session = await desk.registered()

    sent = [
        await send_custom(instance_id=ID, signal=CustomSignal("c-1", payload))
        for payload in (b"first", b"second")
    ]

    assert [one.stands for one in sent] == [True, False]
    assert (await desk.poll(session, named=["c-1"])).custom_signals == {"c-1": b"first"}


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_takes_no_more_signals(
    desk: Desk, send: SendSignal, send_custom: SendCustomSignal, state: State
) -> None:
    desk.put(state)

    with pytest.raises(InvalidInstanceState, match=state):
        await send(instance_id=ID, signal=Signal(SignalType.CANCEL))
    with pytest.raises(InvalidInstanceState, match=state):
        await send_custom(instance_id=ID, signal=CustomSignal("c-1"))


async def test_a_signal_to_an_unknown_instance_is_refused(
    send: SendSignal, send_custom: SendCustomSignal
) -> None:
    with pytest.raises(InstanceNotFound):
        await send(instance_id=ID, signal=Signal(SignalType.CANCEL))
    with pytest.raises(InstanceNotFound):
        await send_custom(instance_id=ID, signal=CustomSignal("c-1"))


@pytest.mark.parametrize(
    ("waits", "hint"),
    [
        (None, None),
        ('[{"kind": "signal", "name": "approval"}]', None),
        (
            '[{"kind": "signal", "name": "price"}, {"kind": "child", "name": "c"}]',
            "instance 'i' does not wait for 'approval' now, but for 'price', 'c'",
        ),
        (
            '[{"kind": "sleep", "name": "approval"}]',
            "instance 'i' does not wait for 'approval' now, but for nothing that can be sent",
        ),
        ("[]", "instance 'i' does not wait for 'approval' now, but for nothing that can be sent"),
        ("no JSON", None),
        ("[1]", None),
        ('[{"kind": ["signal"], "name": 1}]', None),
        ("[" * 100_000, None),
        (
            "[" + ", ".join(f'{{"kind": "signal", "name": "{n}"}}' for n in range(11)) + "]",
            "instance 'i' does not wait for 'approval' now, but for "
            + ", ".join(f"'{n}'" for n in range(10))
            + ", others",
        ),
    ],
)
async def test_a_sender_hears_that_nothing_waits_for_the_name(
    desk: Desk, send_custom: SendCustomSignal, waits: str | None, hint: str | None
) -> None:
    """The value stands all the same; what another program wrote as `waits` gives no hint."""
    await desk.registered()
    desk.row.move(State.PAUSED, desk.clock.now())
    desk.row.waits = waits

    sent = await send_custom(instance_id=ID, signal=CustomSignal("approval", b"yes"))

    assert sent
    assert sent.hint == (None if hint is None else hint.replace("'i'", repr(ID)))


@pytest.mark.parametrize(
    ("waits", "hint"),
    [
        (None, "instance 'i' runs, and has not reported that it waits for 'approval'"),
        ("[]", "instance 'i' runs, and has not reported that it waits for 'approval'"),
        (
            '[{"kind": "signal", "name": "price"}]',
            "instance 'i' did not wait for 'approval' at its last report, but for 'price'",
        ),
        ('[{"kind": "signal", "name": "approval"}]', None),
        ("no JSON", None),
    ],
)
async def test_a_sender_gets_the_last_report_of_a_running_instance(
    desk: Desk, send_custom: SendCustomSignal, waits: str | None, hint: str | None
) -> None:
    """A wait of less than a second is not reported."""
    await desk.registered()
    desk.row.waits = waits

    sent = await send_custom(instance_id=ID, signal=CustomSignal("approval", b"yes"))

    assert sent
    assert sent.hint == (None if hint is None else hint.replace("'i'", repr(ID)))


async def test_a_sender_hears_that_an_instance_has_not_begun(
    desk: Desk, send_custom: SendCustomSignal
) -> None:
    await desk.registered()
    desk.row.move(State.PENDING, desk.clock.now())

    sent = await send_custom(instance_id=ID, signal=CustomSignal("approval", b"yes"))

    assert sent.hint == f"instance {ID!r} has not begun, and does not wait for 'approval' yet"
