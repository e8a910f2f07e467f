"""Claims on the right to wake instances, and waking."""

from collections.abc import Collection, Mapping
from datetime import datetime

from runtara_domain.model import Caller, Claim, Claimed, Standing, Woken, owner
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.database import Database

_QUERIES = queries.load("runtara_persistence.postgres", "claims.sql")
_CLAIM_DUE = _QUERIES["claim_due"]
_RENEW_CLAIMS = _QUERIES["renew_claims"]
_RELEASE_CLAIMS = _QUERIES["release_claims"]
_WAKE = _QUERIES["wake"]


async def claim_due(database: Database, claim: Claim, limit: int, at: datetime) -> list[Claimed]:
    """Carry out `instances.claim_due`."""
    found = await database.write(
        "claim what is due", _CLAIM_DUE, at, limit, claim.until, claim.token
    )
    return [rows.claimed(row) for row in found]


async def renew(
    database: Database, claim: Claim, sleepers: Mapping[Caller, datetime | None], at: datetime
) -> Mapping[str, Standing]:
    """Carry out `instances.renew_claims`."""
    found = await database.write(
        "renew claims",
        _RENEW_CLAIMS,
        [sleeper.instance_id for sleeper in sleepers],
        [sleeper.run for sleeper in sleepers],
        list(sleepers.values()),
        claim.token,
        owner(claim.token),
        at,
        at + (claim.until - at) / 2,
        claim.until,
        is_repeatable=True,
    )
    return {row["instance_id"]: rows.standing(row) for row in found}


async def release(
    database: Database, token: str, instance_ids: Collection[str], at: datetime
) -> set[str]:
    """Carry out `instances.release_claims`."""
    left = await database.write(
        "release claims", _RELEASE_CLAIMS, token, list(instance_ids), at, is_repeatable=True
    )
    return {row["instance_id"] for row in left}


async def wake(
    database: Database, caller: Caller, token: str, when: Condition, at: datetime
) -> Woken:
    """Carry out `instances.wake`."""
    found = await database.write(
        "wake an instance",
        _WAKE,
        caller.instance_id,
        caller.run,
        owner(token),
        rows.states(when),
        at,
        MOVES[Move.WAKE].target.status,
    )
    if not found:
        return Woken(before=None, woken=False)
    [row] = found
    return Woken(rows.standing(row), row["woken"], row["claimed_until"])
