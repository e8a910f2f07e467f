"""Signals in PostgreSQL."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from runtara_domain import values
from runtara_domain.model import (
    Acknowledged,
    Caller,
    CustomSignal,
    Delivered,
    Ending,
    Pending,
    Signal,
    ending_signal,
)
from runtara_domain.status import Condition, SignalType, State, acknowledge, replaces
from runtara_persistence import queries, records
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.database import OnDatabase, Records

_SQL = queries.load("runtara_persistence.postgres", "signals.sql")

_ACKNOWLEDGED: Mapping[SignalType, list[tuple[str, str]]] = MappingProxyType(
    {
        signal: [
            (state.value, after.value)
            for state in State
            if (after := acknowledge(state, signal)) is not None
        ]
        for signal in SignalType
    }
)
"""The domain's table: for each signal, pairs of the state before and the state after."""
_REPLACED: Mapping[SignalType, list[str]] = MappingProxyType(
    {
        sent: [pending.value for pending in SignalType if replaces(sent, pending)]
        for sent in SignalType
    }
)


class PostgresSignals(OnDatabase):
    """Fits `runtara_domain.ports.signals.Signals`."""

    async def pending(self, caller: Caller, checkpoint_ids: Collection[str] = ()) -> Pending:
        found = await self._database.read(
            "read the signals of an instance",
            _SQL["pending"],
            caller.instance_id,
            list(checkpoint_ids),
            values.MAX_POLLED_BYTES,
        )
        if not found:
            return Pending(before=None)
        [row] = found
        before = records.run_state(row)
        if before.state.is_final or before.supersedes(caller):
            return Pending(before)
        return Pending(before, rows.signal(row), rows.custom_signals(row))

    async def acknowledge(
        self, caller: Caller, acknowledged: SignalType, *, at: datetime
    ) -> Acknowledged:
        moves = _ACKNOWLEDGED[acknowledged]
        found = await self._database.write(
            "acknowledge a signal",
            _SQL["acknowledge"],
            caller.instance_id,
            caller.run,
            acknowledged,
            [state for state, _ in moves],
            [after for _, after in moves],
            at,
            *_told_if_cancelled(caller.instance_id),
        )
        if not found:
            return Acknowledged(before=None)
        [row] = found
        after = None if row["after"] is None else State(row["after"])
        return Acknowledged(records.run_state(row), after)

    async def send(
        self, instance_id: str, signal: Signal, *, when: Condition, at: datetime
    ) -> Delivered:
        found = await self._database.write(
            "send a signal",
            _SQL["send"],
            instance_id,
            rows.states(when),
            signal.type,
            signal.payload,
            at,
            _REPLACED[signal.type],
            *_told_if_cancelled(instance_id),
        )
        return _delivered(found)

    async def send_custom(
        self, instance_id: str, signal: CustomSignal, *, when: Condition, at: datetime
    ) -> Delivered:
        found = await self._database.write(
            "send a custom signal",
            _SQL["send_custom"],
            instance_id,
            rows.states(when),
            signal.checkpoint_id,
            signal.payload,
            at,
        )
        return replace(_delivered(found), waits=found[0]["waits"] if found else None)


def _told_if_cancelled(instance_id: str) -> tuple[str, bytes]:
    return ending_signal(instance_id, Ending(State.CANCELLED))


def _delivered(found: Records) -> Delivered:
    return Delivered(records.run_state(found[0]), found[0]["stands"]) if found else Delivered(None)
