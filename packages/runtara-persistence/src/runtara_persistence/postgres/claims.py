"""Claims on the right to wake instances, and waking."""

from collections.abc import Collection, Mapping
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import Caller, Claim, Claimed, RunState, Woken, owner
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries, records
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.database import OnDatabase

_SQL = queries.load("runtara_persistence.postgres", "claims.sql")


class PostgresClaims(OnDatabase):
    """Fits `runtara_domain.ports.claims.Claims`."""

    async def claim_due(self, claim: Claim, *, limit: int, at: datetime) -> list[Claimed]:
        values.check_limit(limit)
        found = await self._database.write(
            "claim due instances", _SQL["claim_due"], at, limit, claim.until, claim.token
        )
        return [records.claimed(row) for row in found]

    async def next_due(self, *, at: datetime) -> datetime | None:
        [row] = await self._database.read("read the next due time", _SQL["next_due"], at)
        moment: datetime | None = row["moment"]
        return moment

    async def renew(
        self, claim: Claim, sleepers: Mapping[Caller, datetime | None], *, at: datetime
    ) -> Mapping[str, RunState]:
        found = await self._database.write(
            "renew claims",
            _SQL["renew"],
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
        return {row["instance_id"]: records.run_state(row) for row in found}

    async def release(self, token: str, instance_ids: Collection[str], *, at: datetime) -> set[str]:
        left = await self._database.write(
            "release claims", _SQL["release"], token, list(instance_ids), at, is_repeatable=True
        )
        return {row["instance_id"] for row in left}

    async def wake(self, caller: Caller, *, token: str, when: Condition, at: datetime) -> Woken:
        found = await self._database.write(
            "wake an instance",
            _SQL["wake"],
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
        return Woken(records.run_state(row), row["woken"], row["claimed_until"])
