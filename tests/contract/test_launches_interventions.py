"""What operators do to instances: stop, resume, retry, move and fork them."""

from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.launching import (
    KILLED,
    SECOND,
    claim,
    close,
    hold_lease,
    launch,
    put_image,
    start,
)
from tests.contract.states import (
    EARLIER,
    TENANT,
    put_checkpoint,
    put_instance,
)
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    Claim,
    Ending,
    Registration,
    Reopening,
    Signal,
    Sleep,
    child_signal_id,
)
from runtara_domain.model.interventions import Fork, Retry, Stop
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, OPEN, WORKING, SignalType, State

WAITED = LaunchEnd(cause=Cause.WAITING, reports=False)


async def running(persistence: Persistence) -> Assignment:
    launched = await launch(persistence)
    own = Registration("i", TENANT, launch_id=launched.launch_id)
    await persistence.instances.register(own, when=OPEN, at=START)
    return launched


async def test_a_stop_of_a_running_instance_is_left_to_its_environment(
    persistence: Persistence, database: Database
) -> None:
    """Its row has the cancel, the grace's end and the reason; a longer grace changes nothing."""
    launched = await running(persistence)

    stopped = await persistence.launches.stop(Stop("i", 5 * SECOND, "why"), at=START)
    again = await persistence.launches.stop(Stop("i", 9 * SECOND, "why"), at=START)
    [seen] = await persistence.launches.open_launches("e", at=START)
    nobodys = await persistence.launches.end_stopped(at=START + 60 * SECOND)
    await persistence.environments.close("e")
    early = await persistence.launches.end_stopped(at=START + 6 * SECOND)
    ended = await persistence.launches.end_stopped(at=START + 7 * SECOND)

    assert (stopped.launch_id, stopped.environment_id) == (launched.launch_id, "e")
    assert stopped.stop_at == again.stop_at == seen.stop_at == START + 5 * SECOND
    assert (seen.pending_signal, seen.stop_reason) == (SignalType.CANCEL, "why")
    assert (nobodys, early, ended) == ([], [], ["i"])
    row = await database.row("i")
    assert (row["status"], row["error"]) == ("cancelled", "why")


@pytest.mark.parametrize("state", sorted(State))
async def test_a_stop_ends_what_is_pending_and_cancels_what_is_open(
    persistence: Persistence, database: Database, state: State
) -> None:
    """A finished instance is left alone."""
    await put_instance(database, state)
    before = await database.row("i")

    stopped = await persistence.launches.stop(Stop("i", reason="why"), at=START)
    unknown = await persistence.launches.stop(Stop("unknown"), at=START)

    row = await database.row("i")
    assert (stopped.before, unknown.before) == (state, None)
    if state in FINAL:
        assert row == before
    elif state is State.PENDING:
        assert (row["status"], row["error"], stopped.after) == ("cancelled", "why", "cancelled")
    else:
        pending = await persistence.signals.pending(Caller("i"))
        assert pending.signal is not None
        assert pending.signal.type is SignalType.CANCEL


async def test_resuming_makes_launchable_at_once(
    persistence: Persistence, database: Database
) -> None:
    """Paused, asleep, blocked, or backing off; a pause of a running one is taken back."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    free: Row = {"image_id": image.image_id, "wake_claim_by": None, "wake_claim_until": None}
    await put_instance(database, State.PAUSED, "paused", **free)
    await put_instance(database, State.ASLEEP, "asleep", **free)
    await put_instance(
        database, State.PAUSED, "blocked", error="old", blocked_signal_at=START, **free
    )
    await database.put_signal("blocked", SignalType.CANCEL, created_at=START)
    backing_off: Row = {"launch_after": START + 60 * SECOND, "backoff_ms": 60_000, **free}
    await put_instance(database, State.PENDING, "new", **backing_off)
    await put_instance(database, State.RUNNING, "over", ended_run=2, **backing_off)
    await put_instance(database, State.RUNNING, "works")
    await database.put_signal("works", SignalType.PAUSE)
    await put_instance(database, State.COMPLETED, "done")
    names = ["paused", "asleep", "blocked", "new", "over"]
    before = await claim(persistence)

    for name in (*names, "works", "done", "unknown"):
        await persistence.launches.resume(name, at=START)

    assert before == []
    assert sorted(one.instance_id for one in await claim(persistence)) == sorted(names)
    assert (await persistence.signals.pending(Caller("works"))).signal is None


async def test_room_ends_the_wait_for_it(persistence: Persistence, database: Database) -> None:
    """Only instances that waited for room are launchable. A back-off for another reason goes on."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    for name in ("waited", "crashed", "waits", "open"):
        await start(persistence, name, image_id=image.image_id)
    for launched in await claim(persistence):
        if launched.instance_id != "open":
            end = KILLED if launched.instance_id == "crashed" else WAITED
            await close(persistence, launched.launch_id, end)
    before = await claim(persistence)

    await persistence.launches.end_waits(["waited", "crashed", "open", "unknown"])

    assert before == []
    assert [one.instance_id for one in await claim(persistence)] == ["waited"]
    assert (await database.row("waits"))["launch_after"] is not None


async def test_a_retry_has_a_failed_instance_go_on(
    persistence: Persistence, database: Database
) -> None:
    """It keeps its image or gets another one. Its count of crashes and its stop are cleared."""
    launched = await running(persistence)
    await put_checkpoint(database, "c")
    await persistence.launches.stop(Stop("i", reason="why"), at=START)
    await close(persistence, launched.launch_id, KILLED)
    other = await put_image(persistence, "other")

    missing = await persistence.launches.retry(Retry(instance_id="i", image_id="none"), at=START)
    asked = Retry(instance_id="i", image_id=other.image_id, set_aside=["c", "d"])
    retried = await persistence.launches.retry(asked, at=START)
    [again] = await claim(persistence)

    assert (missing.before, missing.image_is_found) == (State.CANCELLED, False)
    assert (retried.before, set(retried.set_aside)) == (State.CANCELLED, {"c"})
    assert (again.image, again.crashes, again.checkpoint_id) == (other, 0, None)
    row = await database.row("i")
    assert (row["stop_at"], row["stop_reason"], row["error"]) == (None, None, None)


async def test_a_retry_takes_an_open_instance_from_its_launch(persistence: Persistence) -> None:
    """The launch is closed, so that its process is ended, and the instance launched anew."""
    launched = await running(persistence)

    retried = await persistence.launches.retry(Retry(instance_id="i"), at=START)
    late = await close(persistence, launched.launch_id, KILLED)
    [again] = await claim(persistence)

    assert retried.closed_launch_id == launched.launch_id
    assert not late.is_closed
    assert again.number == 2


async def test_reopening_by_the_core_closes_the_launch_too(persistence: Persistence) -> None:
    """A late verdict says nothing of the instance that goes on."""
    launched = await running(persistence)
    ending = Ending(State.FAILED, error="broken")
    await persistence.instances.finish(Caller("i"), ending, when=OPEN, at=START)

    await persistence.instances.reopen(Reopening("i"), when=FINAL, at=START)
    late = await close(persistence, launched.launch_id, KILLED)

    assert not late.is_closed
    assert [one.number for one in await claim(persistence)] == [2]


async def test_an_instance_without_an_open_launch_moves_to_another_image(
    persistence: Persistence, database: Database
) -> None:
    """A blocked one is due with it."""
    launched = await running(persistence)
    other = await put_image(persistence, "other")
    strange = await put_image(persistence, "strange", tenant_id="another")
    open_one = await persistence.launches.move("i", other.image_id, at=START)
    await put_instance(
        database,
        State.PAUSED,
        "b",
        error="old",
        image_id=launched.image and launched.image.image_id,
    )

    anothers = await persistence.launches.move("b", strange.image_id, at=START)
    moved = await persistence.launches.move("b", other.image_id, at=START)
    [again] = await claim(persistence)

    assert open_one.open_launch_id == launched.launch_id
    assert (anothers.image_is_found, moved.before) == (False, State.PAUSED)
    assert (again.instance_id, again.image) == ("b", other)


async def put_history(persistence: Persistence, database: Database) -> None:
    """Three checkpoints, an attempt at the second, and a child whose end came after the first."""
    image = await put_image(persistence)
    await put_instance(
        database, State.FAILED, input=b"[1]", image_id=image.image_id, priority=3, env='{"A": "b"}'
    )
    for number, name in enumerate(("one", "two", "three")):
        at = EARLIER + number * SECOND
        await put_checkpoint(database, name, state=name.encode(), created_at=at)
    await database.put_attempt("i", "two", 1)
    await database.put_attempt("i", "three", 1)
    await put_instance(
        database, State.RUNNING, "child", parent_id="i", created_at=EARLIER + 1.5 * SECOND
    )
    await database.put_custom_signal("i", "approval", b"yes")


@pytest.mark.parametrize(
    ("fork", "copied", "repeated"),
    [
        (Fork("i", "new", through_checkpoint_id="two"), ["one", "two"], ("three",)),
        (Fork("i", "new", before_checkpoint_id="two"), ["one"], ("two", "three")),
        (Fork("i", "new", before_checkpoint_id="one"), [], ("one", "two", "three")),
    ],
    ids=["through", "before", "nothing"],
)
async def test_a_fork_copies_history_up_to_a_point(
    persistence: Persistence,
    database: Database,
    fork: Fork,
    copied: list[str],
    repeated: tuple[str, ...],
) -> None:
    """Input, variables, attempts and custom signals go along. The answer has what is done again."""
    await put_history(persistence, database)
    await hold_lease(persistence, "e")

    forked = await persistence.launches.fork(fork, at=START)
    again = await persistence.launches.fork(fork, at=START)
    [launched] = await claim(persistence)

    assert (forked.copied, forked.repeated, forked.created) == (len(copied), repeated, True)
    assert (again.is_taken, again.created) == (True, False)
    page = await persistence.checkpoints.page("new")
    assert [one.checkpoint_id for one in page.entries] == copied
    assert [one.state for one in page.entries] == [name.encode() for name in copied]
    assert [one.failed_attempts for one in page.entries] == [int(one == "two") for one in copied]
    assert (launched.instance_id, launched.priority, launched.env) == ("new", 3, {"A": "b"})
    assert launched.checkpoint_id == (copied[-1] if copied else None)
    assert await persistence.instances.input("new") == b"[1]"
    pending = await persistence.signals.pending(Caller("new"), ["approval"])
    assert pending.custom_signals == {"approval": b"yes"}
    one = await persistence.instances.get("new")
    assert one is not None
    assert (one.status, one.parent_id, one.run) == ("pending", None, 0)


async def test_a_fork_is_refused_where_a_child_had_not_ended(
    persistence: Persistence, database: Database
) -> None:
    """It names the child. After the child's end has come, the whole history is copied."""
    await put_history(persistence, database)

    refused = await persistence.launches.fork(Fork("i", "new"), at=START)
    await database.put_custom_signal("i", child_signal_id("child"), b"{}")
    forked = await persistence.launches.fork(Fork("i", "new"), at=START)
    others = [
        await persistence.launches.fork(asked, at=START)
        for asked in (
            Fork("none", "n"),
            Fork("i", "n", through_checkpoint_id="none"),
            Fork("i", "n", image_id="none"),
        )
    ]

    assert (refused.open_child_id, refused.created) == ("child", False)
    assert (forked.copied, forked.repeated) == (3, ())
    assert [one.is_found for one in others] == [False, True, True]
    assert [one.point_is_found for one in others] == [True, False, True]
    assert [one.image_is_found for one in others] == [True, True, False]


async def test_due_while_its_process_lives_shows_with_the_open_launch(
    persistence: Persistence, database: Database
) -> None:
    """It does not if a core holds its sleep: then the process awaits the answer."""
    await running(persistence)
    sleep = Sleep("nap", b"", SECOND)
    until = START + 30 * SECOND
    await persistence.checkpoints.sleep(
        Caller("i"), sleep, when=WORKING, claim=Claim("core/1", until), earliest=None, at=START
    )
    at = START + 2 * SECOND

    [held] = await persistence.launches.open_launches("e", at=at)
    await persistence.claims.release("core/1", ["i"], at=at)
    [due] = await persistence.launches.open_launches("e", at=at)
    await persistence.signals.send("i", Signal(SignalType.RESUME), when=OPEN, at=START)
    [told] = await persistence.launches.open_launches("e", at=START + timedelta(milliseconds=1))

    assert (held.state, held.is_sleep_held, held.due_since) == (State.ASLEEP, True, None)
    assert (due.is_sleep_held, due.due_since) == (False, START + SECOND)
    assert told.due_since == START
