"""Reopening: a finished instance goes on."""

from __future__ import annotations

from datetime import datetime
from itertools import starmap
from typing import TYPE_CHECKING

from runtara_domain.model import (
    Ending,
    FormerEnding,
    Reopened,
    child_signal_id,
    ending_signal,
)
from runtara_domain.model.children import MAX_HEARD_OUTPUT_BYTES
from runtara_domain.model.reopening import SET_ASIDE, aside_suffix
from runtara_domain.status import MOVES, Move, State
from runtara_persistence import queries, records
from runtara_persistence.transactions.moves import lock_parent, supersede
from runtara_persistence.transactions.transaction import execute_many, fetch, first

if TYPE_CHECKING:
    from runtara_domain.model import Reopening
    from runtara_domain.status import Condition
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("reopening.sql")


def reopen(asked: Reopening, when: Condition, at: datetime) -> Transaction[Reopened]:
    """Carry out the port's step `instances.reopen`."""
    instance_id = asked.instance_id
    parent_id = yield from lock_parent(instance_id)
    row = yield from first(_SQL["lock"], instance_id=instance_id)
    if row is None:
        return Reopened(before=None)
    before = records.run_state(row)
    if before.state not in when:
        return Reopened(before, before.run)
    former = FormerEnding(before.state, row["finished_at"], row["output"], row["error"]).event(at)
    yield from supersede(instance_id, at)
    status = MOVES[Move.REOPEN].target.status
    yield from fetch(_SQL["open"], instance_id=instance_id, status=status, at=at)
    yield from fetch(_SQL["settle_signal"], instance_id=instance_id, at=at)
    if parent_id is not None:
        signal_id = child_signal_id(instance_id)
        yield from fetch(_SQL["forget_ending"], parent_id=parent_id, signal_id=signal_id)
    yield from _hear_children(instance_id, at)
    yield from fetch(
        _SQL["add_event"],
        instance_id=instance_id,
        event_type=former.type,
        payload=former.payload,
        subtype=former.subtype,
        at=at,
    )
    run = before.run + 1
    return Reopened(before, run, (yield from _set_aside(asked, run)))


def _hear_children(instance_id: str, at: datetime) -> Transaction[None]:
    # One byte more than the limit, so that an output that is too long for a signal is noticed.
    most_bytes = MAX_HEARD_OUTPUT_BYTES + 1
    children = yield from fetch(_SQL["children"], instance_id=instance_id, most_bytes=most_bytes)
    if not children:
        return
    still_open = [child_signal_id(row["instance_id"]) for row in children if row["is_open"]]
    yield from fetch(_SQL["forget_children"], instance_id=instance_id, signal_ids=still_open)
    endings = [
        (row["instance_id"], Ending(State(row["status"]), row["output"], row["error"]))
        for row in children
        if not row["is_open"]
    ]
    heard = [
        {"instance_id": instance_id, "signal_id": signal_id, "payload": payload, "at": at}
        for signal_id, payload in starmap(ending_signal, endings)
    ]
    yield from execute_many(_SQL["hear_child"], heard)


def _set_aside(asked: Reopening, run: int) -> Transaction[frozenset[str]]:
    if not asked.set_aside:
        return frozenset()
    wanted = list(asked.set_aside)
    found = yield from fetch(
        _SQL["set_aside.find"], instance_id=asked.instance_id, checkpoint_ids=wanted
    )
    named = [row["checkpoint_id"] for row in found]
    aside = {
        "instance_id": asked.instance_id,
        "checkpoint_ids": named,
        "suffix": aside_suffix(run),
        "reason": SET_ASIDE,
    }
    for part in ("attempts", "checkpoints", "point"):
        yield from fetch(_SQL[f"set_aside.{part}"], **aside)
    return frozenset(named)
