"""One of each call that a busy core makes, on the databases that `large_filling` filled."""

import asyncio
import hashlib
import random
import uuid
from datetime import UTC, datetime, timedelta

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    Ending,
    Event,
    EventFilter,
    EventType,
    InstanceFilter,
    Registration,
    RetryAttempt,
    Signal,
    Sleep,
)
from runtara_domain.status import ANY, OPEN, WORKING, InstanceStatus, SignalType, State
from runtara_persistence.postgres.persistence import PostgresPersistence

DAY = timedelta(days=1)
STATE = bytes(200)


async def make_calls(persistence: PostgresPersistence, instances: int) -> None:
    """Lead an instance that was suspended through its life, and look at all the others."""
    number = 1000 * random.randrange(instances // 1000)
    me = Caller(_id(number + random.randrange(6, 40)))
    await _run(persistence, me)
    await _work(persistence, me)
    await _signal(persistence, me)
    await _claim(persistence)
    await _look(persistence, _id(number + random.randrange(90, 1000)))
    now = datetime.now(UTC)
    await persistence.events.end(
        me, Event(EventType.COMPLETED, b"", now), Ending(State.COMPLETED), when=ANY, at=now
    )
    await persistence.instances.prune(now - 80 * DAY, limit=2)


def _id(number: int) -> str:
    return str(uuid.UUID(hashlib.md5(b"i%d" % number, usedforsecurity=False).hexdigest()))


async def _run(persistence: PostgresPersistence, me: Caller) -> None:
    found = await persistence.instances.get(me.instance_id)
    assert found is not None, "of those filled in, one that was suspended"
    registration = Registration(me.instance_id, found.tenant_id, "step-4")
    await persistence.instances.register(registration, when=OPEN, at=datetime.now(UTC))
    await persistence.instances.mark_active([me], at=datetime.now(UTC))
    await persistence.instances.run_states([me.instance_id])


async def _work(persistence: PostgresPersistence, me: Caller) -> None:
    now = datetime.now(UTC)
    checkpoints = persistence.checkpoints
    fresh = [CheckpointWrite(uuid.uuid4().hex, STATE) for _ in range(17)]
    await checkpoints.save(me, fresh[0], when=WORKING, at=now)
    await asyncio.gather(*(checkpoints.save(me, one, when=WORKING, at=now) for one in fresh[1:]))
    await checkpoints.get(me.instance_id, "step-5")
    await checkpoints.page(me.instance_id, limit=100)
    retry = RetryAttempt("step-6", 2, now)
    await checkpoints.record_retry(me, retry, when=WORKING, at=now)
    await persistence.events.append(me, Event(EventType.CUSTOM, b"", now), when=ANY, at=now)
    sleep = Sleep(uuid.uuid4().hex, STATE, DAY)
    mine = Claim("benchmark", now + DAY)
    await checkpoints.sleep(me, sleep, when=WORKING, claim=mine, earliest=None, at=now)
    await persistence.claims.wake(me, token=mine.token, when=WORKING, at=now)


async def _signal(persistence: PostgresPersistence, me: Caller) -> None:
    now = datetime.now(UTC)
    signals = persistence.signals
    pause = Signal(SignalType.PAUSE)
    await signals.send(me.instance_id, pause, when=OPEN, at=now)
    await signals.pending(me, ["step-5", "step-6"])
    await signals.acknowledge(me, SignalType.PAUSE, at=now)
    await persistence.events.suspend(me, Event(EventType.SUSPENDED, b"", now), at=now)


async def _claim(persistence: PostgresPersistence) -> None:
    now = datetime.now(UTC)
    mine = Claim(uuid.uuid4().hex, now + DAY)
    claimed = await persistence.claims.claim_due(mine, limit=10, at=now)
    ids = [one.instance_id for one in claimed]
    await persistence.claims.renew(mine, {Caller(one): None for one in ids}, at=now)
    await persistence.claims.release(mine.token, ids, at=now)


async def _look(persistence: PostgresPersistence, finished: str) -> None:
    now = datetime.now(UTC)
    await persistence.instances.run_state(finished)
    for tenant in (None, f"tenant-{random.randrange(200)}"):
        for status in (None, InstanceStatus.RUNNING):
            await persistence.instances.page(InstanceFilter(tenant, status), limit=100)
    await persistence.instances.inactive_since(now - 80 * DAY, limit=100)
    which = EventFilter(instance_id=finished, subtype="progress")
    await persistence.events.page(which, limit=100)
    await persistence.events.count(which)
