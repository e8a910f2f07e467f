"""Claims on the right to wake instances, and waking."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import Caller, Claim, Claimed, Standing, Woken, owner
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.database import Database, read, write
from runtara_persistence.sqlite.rows import from_optional, to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "claims.sql")
_CLAIM_DUE_FIND = _QUERIES["claim_due.find"]
_CLAIM_DUE_TAKE = _QUERIES["claim_due.take"]
_NEXT_DUE = _QUERIES["next_due"]
_RENEW_TAKE = _QUERIES["renew.take"]
_RENEW_HASTEN = _QUERIES["renew.hasten"]
_RENEW_FIND = _QUERIES["renew.find"]
_RELEASE = _QUERIES["release"]
_WAKE_FIND = _QUERIES["wake.find"]
_WAKE_MOVE = _QUERIES["wake.move"]


class SqliteClaims:
    """Fits `runtara_domain.ports.claims.Claims`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @write("claim what is due")
    def claim_due(
        self, connection: sqlite3.Connection, claim: Claim, *, limit: int, at: datetime
    ) -> list[Claimed]:
        values.check_limit(limit)
        due = {"at": to_text(at), "limit": limit}
        found = connection.execute(_CLAIM_DUE_FIND, due).fetchall()
        until = to_text(claim.until)
        taken = [
            {"instance_id": instance_id, "token": claim.token, "until": until}
            for instance_id, *_ in found
        ]
        connection.executemany(_CLAIM_DUE_TAKE, taken)
        return [rows.claimed(row) for row in found]

    @read("read when something is due")
    def next_due(self, connection: sqlite3.Connection, *, at: datetime) -> datetime | None:
        [moment] = connection.execute(_NEXT_DUE, {"at": to_text(at)}).fetchone()
        return from_optional(moment)

    @write("renew claims")
    def renew(
        self,
        connection: sqlite3.Connection,
        claim: Claim,
        sleepers: Mapping[Caller, datetime | None],
        *,
        at: datetime,
    ) -> Mapping[str, Standing]:
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
        connection.execute(_RENEW_TAKE, renewed)
        connection.execute(_RENEW_HASTEN, renewed)
        found = connection.execute(_RENEW_FIND, {"sleepers": renewed["sleepers"]}).fetchall()
        return {instance_id: rows.standing(*standing) for instance_id, *standing in found}

    @write("release claims")
    def release(
        self,
        connection: sqlite3.Connection,
        token: str,
        instance_ids: Collection[str],
        *,
        at: datetime,
    ) -> set[str]:
        named = json.dumps(list(instance_ids))
        connection.execute(_RELEASE, {"token": token, "instance_ids": named, "at": to_text(at)})
        return set()

    @write("wake an instance")
    def wake(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        *,
        token: str,
        when: Condition,
        at: datetime,
    ) -> Woken:
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
