"""A statement sees one snapshot; what others commit while it waits for its row counts too."""

import asyncio

import asyncpg
from tests.support.clock import START
from tests.support.postgres import migrated_database

from runtara_domain.model import (
    Caller,
    Claim,
    CustomSignal,
    Delivered,
    Ending,
    Event,
    EventType,
    Recorded,
    Registration,
    RunState,
)
from runtara_domain.status import OPEN, WORKING, State
from runtara_persistence.postgres.persistence import PostgresPersistence

FALL_ASLEEP = """
UPDATE instances
SET status = 'suspended', sleep_until = now() + interval '1 day'
WHERE instance_id = 'i'
"""
WHO_WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


REOPEN = """
UPDATE instances
SET status = 'suspended', sleep_until = now(), run_epoch = 2, finished_at = NULL, error = NULL
WHERE instance_id = 'i';
INSERT INTO instance_events (instance_id, event_type, subtype)
VALUES ('i', 'custom', 'runtara.reopened')
"""


async def until_somebody_waits(url: str) -> None:
    onlooker = await asyncpg.connect(url)
    async with asyncio.timeout(60):
        # A lock has no event for a waiting transaction.
        while not await onlooker.fetchval(WHO_WAITS):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await onlooker.close()


async def test_an_instance_that_fell_asleep_while_a_custom_signal_was_sent_is_due() -> None:
    """Its process has polled before: nothing else would wake it."""
    with migrated_database() as url:
        stranger = await asyncpg.connect(url)
        async with PostgresPersistence(url) as persistence:
            await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
            async with stranger.transaction():
                await stranger.execute(FALL_ASLEEP)
                signal = CustomSignal("c")
                sending = asyncio.create_task(
                    persistence.signals.send_custom("i", signal, when=OPEN, at=START)
                )
                await until_somebody_waits(url)
            delivered = await sending
            due = await persistence.claims.claim_due(Claim("me", START), limit=1, at=START)
        await stranger.close()

    assert delivered == Delivered(RunState(State.ASLEEP, 1), stands=True)
    assert [one.sleep_until for one in due] == [START]


async def test_an_instance_reopened_while_a_late_ending_came_is_not_ended_by_it() -> None:
    """Its connection never registered, and its snapshot lacks the event of the reopening."""
    event, ending = Event(EventType.FAILED, b"broken", START), Ending(State.FAILED, error="broken")
    with migrated_database() as url:
        stranger = await asyncpg.connect(url)
        async with PostgresPersistence(url) as persistence:
            await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
            await persistence.events.end(Caller("i"), event, ending, when=WORKING, at=START)
            async with stranger.transaction():
                await stranger.execute(REOPEN)
                saying = asyncio.create_task(
                    persistence.events.end(Caller("i"), event, ending, when=WORKING, at=START)
                )
                await until_somebody_waits(url)
            recorded = await saying
        await stranger.close()

    assert recorded == Recorded(RunState(State.ASLEEP, 2))
