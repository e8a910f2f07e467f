"""A statement sees one snapshot; what others commit while it waits for its row counts too."""

import asyncio

import asyncpg
from tests.support.clock import START
from tests.support.postgres import migrated_database

from runtara_domain.model import Claim, CustomSignal, Delivered, Registration, Standing
from runtara_domain.status import OPEN, State
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


async def until_somebody_waits(url: str) -> None:
    onlooker = await asyncpg.connect(url)
    async with asyncio.timeout(10):
        # A lock tells nobody who waits for it.
        while not await onlooker.fetchval(WHO_WAITS):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await onlooker.close()


async def test_who_fell_asleep_while_a_custom_signal_was_sent_is_due() -> None:
    """Its process has looked before: nobody else would tell it."""
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
            due = await persistence.instances.claim_due(Claim("me", START), limit=1, at=START)
        await stranger.close()

    assert delivered == Delivered(Standing(State.ASLEEP, 1), stands=True)
    assert [one.sleep_until for one in due] == [START]
