"""Claims on the right to wake instances, and waking."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime

from runtara_domain.model import Caller, Claim, Claimed, Standing, Woken, owner
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.moment import from_optional, to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "claims.sql")
_CLAIM_DUE_FIND = _QUERIES["claim_due.find"]
_CLAIM_DUE_TAKE = _QUERIES["claim_due.take"]
_RENEW_CLAIMS_TAKE = _QUERIES["renew_claims.take"]
_RENEW_CLAIMS_HASTEN = _QUERIES["renew_claims.hasten"]
_RENEW_CLAIMS_FIND = _QUERIES["renew_claims.find"]
_RELEASE_CLAIMS = _QUERIES["release_claims"]
_WAKE_FIND = _QUERIES["wake.find"]
_WAKE_MOVE = _QUERIES["wake.move"]


def claim_due(connection: sqlite3.Connection, claim: Claim, limit: int, at: str) -> list[Claimed]:
    """Carry out `instances.claim_due`."""
    found = connection.execute(_CLAIM_DUE_FIND, {"at": at, "limit": limit}).fetchall()
    until = to_text(claim.until)
    taken = [
        {"instance_id": instance_id, "token": claim.token, "until": until}
        for instance_id, *_ in found
    ]
    connection.executemany(_CLAIM_DUE_TAKE, taken)
    return [rows.claimed(row) for row in found]


def renew(
    connection: sqlite3.Connection,
    claim: Claim,
    sleepers: Mapping[Caller, datetime | None],
    at: datetime,
) -> Mapping[str, Standing]:
    """Carry out `instances.renew_claims`."""
    held = [
        (sleeper.instance_id, sleeper.run, None if moment is None else to_text(moment))
        for sleeper, moment in sleepers.items()
    ]
    renewed = {
        "sleepers": json.dumps(held),
        "token": claim.token,
        "owner": owner(claim.token),
        "until": to_text(claim.until),
        "at": to_text(at),
        "half_way": to_text(at + (claim.until - at) / 2),
    }
    connection.execute(_RENEW_CLAIMS_TAKE, renewed)
    connection.execute(_RENEW_CLAIMS_HASTEN, renewed)
    found = connection.execute(_RENEW_CLAIMS_FIND, {"sleepers": renewed["sleepers"]}).fetchall()
    return {instance_id: rows.standing(*standing) for instance_id, *standing in found}


def release(
    connection: sqlite3.Connection, token: str, instance_ids: Collection[str], at: str
) -> None:
    """Carry out `instances.release_claims`."""
    released = {"token": token, "instance_ids": json.dumps(list(instance_ids)), "at": at}
    connection.execute(_RELEASE_CLAIMS, released)


def wake(
    connection: sqlite3.Connection, caller: Caller, token: str, when: Condition, at: datetime
) -> Woken:
    """Carry out `instances.wake`."""
    key = {"instance_id": caller.instance_id, "owner": owner(token), "at": to_text(at)}
    row = connection.execute(_WAKE_FIND, key).fetchone()
    if row is None:
        return Woken(before=None, woken=False)
    *standing, others_claim_until = row
    before = rows.standing(*standing)
    claimed_until = from_optional(others_claim_until)
    if claimed_until is not None or not before.admits(caller, when):
        return Woken(before, woken=False, claimed_until=claimed_until)
    connection.execute(_WAKE_MOVE, {**key, "status": MOVES[Move.WAKE].target.status})
    return Woken(before, woken=True)
