"""Which of several branches ended first is saved, and the others are cancelled."""

import asyncio
import itertools
from datetime import timedelta

import pytest
from tests.sdk.workflow.memory_store import Core, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import Ended, Outcome, SignalType, promise, race, sleep, step, workflow


@step
async def note(text: str) -> str:
    probe.seen.append(text)
    return text


async def waiting() -> str:
    try:
        return await promise("approval", str)
    except asyncio.CancelledError:
        await note("cleaned")
        raise


@workflow(suspend_after="0s")
async def racing() -> str:
    first, value = await race(approved=waiting(), late=sleep("1d"))
    await sleep("1d")
    await note("went on")
    return f"{first}: {value}"


async def test_the_first_wins_and_the_others_clean_up() -> None:
    """Every replay has the same winner, though another could win by then."""
    core = Core()
    await life(racing, core)
    core.now += timedelta(days=1)
    await life(racing, core)
    await core.send("approved/approval", b'"yes"')
    ended = await lives(racing, core)
    core.ended = None

    assert ended == await lives(racing, core) == Ended(Outcome.DONE, b'"late: None"')
    assert probe.seen == ["cleaned", "went on"]


async def test_a_value_that_comes_first_wins() -> None:
    """The sleep beside it is cancelled, and its end no longer counts."""
    core = Core()
    await life(racing, core)
    await core.send("approved/approval", b'"yes"')
    await life(racing, core)
    core.now += timedelta(days=9)

    assert await lives(racing, core) == Ended(Outcome.DONE, b'"approved: yes"')
    assert probe.seen == ["went on"]


async def test_dying_at_any_call_changes_no_winner_that_was_saved() -> None:
    """The losers clean up once."""
    core = Core()
    await lives(racing, core)
    calls = len(core.calls)
    for number, is_done in itertools.product(range(calls), (False, True)):
        probe.seen.clear()
        left = itertools.count()
        core = Core()
        ended = await lives(
            racing,
            core,
            dies=lambda _, after, left=left, at=(number, is_done): (  # type: ignore[misc]
                after == at[1] and next(left) == at[0]
            ),
        )

        assert ended == Ended(Outcome.DONE, b'"late: None"'), (number, is_done)
        assert set(probe.seen) == {"cleaned", "went on"}


async def test_a_race_is_struck_as_any_durable_call() -> None:
    """All branches of the race are cancelled and clean up."""
    core = Core()
    await life(racing, core)
    await core.tell(SignalType.CANCEL)

    assert await lives(racing, core) == Ended(Outcome.CANCELLED)
    assert probe.seen == ["cleaned"]
    assert b'"cancel"' in core.states["race#1"]


async def test_a_branch_that_fails_fails_the_race() -> None:
    """The race fails as a group does, and the other branches are cancelled."""

    @step
    async def failing() -> None:
        raise ValueError("failed")

    @workflow(suspend_after="0s")
    async def flow() -> list[str]:
        try:
            await race(approved=waiting(), failing=failing())
        except ExceptionGroup as errors:
            return [type(error).__name__ for error in errors.exceptions]
        return []

    assert await lives(flow, Core()) == Ended(Outcome.DONE, b'["StepFailed"]')
    assert probe.seen == ["cleaned"]


async def test_a_race_without_runners_is_refused() -> None:
    """No branch could win such a race."""
    with pytest.raises(ValueError, match="at least one branch"):
        await race()
