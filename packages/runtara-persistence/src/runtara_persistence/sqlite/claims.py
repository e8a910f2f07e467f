"""Claims on the right to wake instances, and waking."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import Caller, Claim, Claimed, RunState, Woken, owner
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries, records
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.database import OnDatabase, read, write
from runtara_persistence.sqlite.rows import from_optional, to_text

_SQL = queries.load("runtara_persistence.sqlite", "claims.sql")


class SqliteClaims(OnDatabase):
    """Fits `runtara_domain.ports.claims.Claims`."""

    @write("claim what is due")
    def claim_due(
        self, connection: sqlite3.Connection, claim: Claim, *, limit: int, at: datetime
    ) -> list[Claimed]:
        values.check_limit(limit)
        due = {"at": to_text(at), "limit": limit}
        found = rows.found(connection, _SQL["claim_due.find"], due, records.claimed)
        until = to_text(claim.until)
        taken = [
            {"instance_id": one.instance_id, "token": claim.token, "until": until} for one in found
        ]
        connection.executemany(_SQL["claim_due.take"], taken)
        return found

    @read("read when something is due")
    def next_due(self, connection: sqlite3.Connection, *, at: datetime) -> datetime | None:
        [moment] = connection.execute(_SQL["next_due"], {"at": to_text(at)}).fetchone()
        return from_optional(moment)

    @write("renew claims")
    def renew(
        self,
        connection: sqlite3.Connection,
        claim: Claim,
        sleepers: Mapping[Caller, datetime | None],
        *,
        at: datetime,
    ) -> Mapping[str, RunState]:
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
        connection.execute(_SQL["renew.take"], renewed)
        connection.execute(_SQL["renew.bring_forward"], renewed)
        found = connection.execute(_SQL["renew.find"], {"sleepers": renewed["sleepers"]}).fetchall()
        return {instance_id: rows.run_state(*run_state) for instance_id, *run_state in found}

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
        connection.execute(
            _SQL["release"], {"token": token, "instance_ids": named, "at": to_text(at)}
        )
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
        row = connection.execute(_SQL["wake.find"], key).fetchone()
        if row is None:
            return Woken(before=None, woken=False)
        *run_state, others_claim_until = row
        before = rows.run_state(*run_state)
        claimed_until = from_optional(others_claim_until)
        if claimed_until is not None or not before.admits(caller, when):
            return Woken(before, woken=False, claimed_until=claimed_until)
        connection.execute(_SQL["wake.move"], {**key, "status": MOVES[Move.WAKE].target.status})
        return Woken(before, woken=True)
