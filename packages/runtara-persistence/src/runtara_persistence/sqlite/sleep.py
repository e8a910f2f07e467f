"""Going to sleep: a checkpoint with its deadline, and the move that comes with it."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import Caller, Claim, Signal, Sleep, Slept, owner
from runtara_domain.status import MOVES, Condition, Move, SignalType, State
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.moment import from_optional, from_text, to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "checkpoints.sql")
_FIND = _QUERIES["sleep.find"]
_INSERT = _QUERIES["sleep.insert"]
_POINT = _QUERIES["sleep.point"]
_SET_DEADLINE = _QUERIES["sleep.set_deadline"]
_TOUCH = _QUERIES["sleep.touch"]
_FALL_ASLEEP = _QUERIES["sleep.fall_asleep"]
_CLAIM = _QUERIES["sleep.claim"]
_STIR = _QUERIES["save.stir"]


def sleep(
    connection: sqlite3.Connection,
    caller: Caller,
    asked: Sleep,
    *,
    when: Condition,
    claim: Claim,
    earliest: datetime | None,
    at: datetime,
) -> Slept:
    """Carry out `checkpoints.sleep`."""
    key = {"instance_id": caller.instance_id, "checkpoint_id": asked.checkpoint_id}
    row = connection.execute(_FIND, key).fetchone()
    if row is None:
        return Slept(before=None)
    status, sleep_until, run, kept_id, kept_wake_at, signal_type, payload = row
    before = rows.standing(status, sleep_until, run)
    if not before.admits(caller, when):
        return Slept(before)
    wake_at = from_optional(kept_wake_at)
    if wake_at is None:
        wake_at = _keep_deadline(connection, key, asked, is_kept=kept_id is not None, at=at)
    signal = rows.signal(signal_type, payload)
    after = _lead(before.state, asked, is_over=wake_at <= at or _is_cancel(signal))
    connection.execute(_TOUCH, {**key, "at": to_text(at)})
    if after is State.ASLEEP:
        asleep_until = from_optional(sleep_until) if before.state is State.ASLEEP else None
        until = min(each for each in (wake_at, earliest, asleep_until) if each is not None)
        _fall_asleep(connection, key, asked, until)
        if not asked.detach:
            _claim(connection, key, claim, at)
    elif after is not before.state:
        connection.execute(_STIR, {**key, "status": after.status})
    return Slept(before, wake_at, signal, after)


def _lead(state: State, asked: Sleep, *, is_over: bool) -> State:
    if asked.keep_running and state is State.RUNNING:
        return state
    if is_over and not asked.detach:
        stir = MOVES[Move.STIR]
        return stir.target if state in stir.sources else state
    return MOVES[Move.SLEEP].target


def _keep_deadline(
    connection: sqlite3.Connection,
    key: Mapping[str, str],
    asked: Sleep,
    *,
    is_kept: bool,
    at: datetime,
) -> datetime:
    wake_at = to_text(at + min(asked.duration, values.MAX_SLEEP))
    slept = {**key, "wake_at": wake_at, "at": to_text(at), "state": asked.state}
    if is_kept:
        connection.execute(_SET_DEADLINE, slept)
    else:
        connection.execute(_INSERT, slept)
        connection.execute(_POINT, slept)
    return from_text(wake_at)


def _fall_asleep(
    connection: sqlite3.Connection, key: Mapping[str, str], asked: Sleep, until: datetime
) -> None:
    asleep = {
        **key,
        "status": State.ASLEEP.status,
        "sleep_until": to_text(until),
        "waits": asked.waits,
    }
    connection.execute(_FALL_ASLEEP, asleep)


def _claim(
    connection: sqlite3.Connection, key: Mapping[str, str], claim: Claim, at: datetime
) -> None:
    claimed = {
        **key,
        "token": claim.token,
        "owner": owner(claim.token),
        "claim_until": to_text(claim.until),
        "at": to_text(at),
    }
    connection.execute(_CLAIM, claimed)


def _is_cancel(signal: Signal | None) -> bool:
    return signal is not None and signal.type is SignalType.CANCEL
