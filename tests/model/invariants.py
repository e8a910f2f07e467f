"""What must hold of all that is stored, whatever the steps were."""

import json
from collections.abc import Mapping
from typing import TypeAlias

from tests.contract.database import Row

Tables: TypeAlias = Mapping[str, list[Row]]

# Written down here once more: the adapters get theirs from the domain's table.
FINAL = {"completed", "failed", "cancelled"}
OPEN = {"pending", "running", "asleep", "paused"}


def check(before: Tables, after: Tables, *, single: bool) -> None:
    """Check what is stored now, and what became of what was; single: by one step alone."""
    for row in after["instances"]:
        _check_row(row)
        _check_runs(row, after)
    _check_kept(before, after)
    old, new = _by_id(before["instances"]), _by_id(after["instances"])
    for name in old.keys() & new.keys():
        is_reopened = _reopenings(after, name) > _reopenings(before, name)
        _check_way(old[name], new[name], is_reopened=is_reopened)
        if single and not is_reopened:
            _check_will_be_woken(new[name], _pending(before, name), _pending(after, name))
        if single:
            _check_heard(old[name], new[name], before, after)
        if single and is_reopened:
            _check_children_heard(new[name], after)
    for name in old.keys() - new.keys():
        assert state_of(old[name]) in FINAL or _is_left(old[name], before), (
            "only finished instances are deleted, and those that an export left"
        )
        if single:
            parent = _open_parent(old[name], old)
            assert parent is None or parent["instance_id"] not in new, (
                "children of the open are kept"
            )


def _check_row(row: Row) -> None:
    state = state_of(row)
    assert (row["finished_at"] is not None) == (state in FINAL), "finished_at: in final states"
    assert (row["sleep_until"] is not None) == (state == "asleep"), "sleep_until: asleep"
    if row["wake_claim_by"] is not None:
        assert row["status"] == "suspended", "only what can be woken is claimed"
    if row["output"] is not None:
        assert state in FINAL, "an output comes with the end"
    if row["error"] is not None:
        assert state in FINAL | {"paused"}, "an error comes with the end, or tells of a block"
    if row["waits"] is not None:
        assert row["status"] == "suspended", "only what is suspended awaits anything"


def _check_runs(row: Row, now: Tables) -> None:
    events = [one for one in now["instance_events"] if one["instance_id"] == row["instance_id"]]
    started = [one for one in events if one["event_type"] == "started"]
    assert row["started_at"] is not None or not started, "started_at: the first start"
    reopened = [one for one in events if one["subtype"] == "runtara.reopened"]
    runs = len(started) + len(reopened)
    assert runs == row["run_epoch"], "one `started` event a run, but for those a reopen passed by"


def _check_way(old: Row, new: Row, *, is_reopened: bool) -> None:
    if state_of(old) in FINAL and not is_reopened:
        assert new == old, "nothing in a finished row changes"
    if is_reopened:
        assert state_of(old) != "completed", "a completed instance is never reopened"
    assert new["run_epoch"] >= old["run_epoch"], "runs only grow"
    for name in ("tenant_id", "input", "created_at"):
        assert new[name] == old[name], f"{name} is set once"
    if old["started_at"] is not None:
        assert new["started_at"] == old["started_at"], "started_at is the first start"
    if old["last_activity_at"] is not None:
        assert new["last_activity_at"] >= old["last_activity_at"], "activity moves forward"


def _check_will_be_woken(row: Row, told: str | None, tells: str | None) -> None:
    """
    Every instance has something that wakes it: PENDING is launched, RUNNING found when silent,
    asleep due at a known time; paused waits for a resume or cancel, and with one it is due.

    So a signal that would make an instance due is never acknowledged while the instance pauses, or
    is paused. A pause that an operator sent later may have replaced a resume.
    """
    if state_of(row) == "paused" and told in ("cancel", "resume"):
        assert tells == "cancel" or (told == "resume" and tells is not None), "told, and lost"
    if told == "cancel" and state_of(row) in OPEN:
        assert tells == "cancel", "a cancel stays until it is heard"


def _check_heard(old: Row, new: Row, before: Tables, after: Tables) -> None:
    """The parent of a child that has just ended gets its ending, and a sleeping one is due."""
    parent = _open_parent(new, _by_id(before["instances"]))
    if state_of(old) in FINAL or state_of(new) not in FINAL or parent is None:
        return
    told = [_key(row) for row in after["pending_checkpoint_signals"]]
    key = (parent["instance_id"], f"~child/{new['instance_id']}")
    assert told.count(key) == 1, "a parent hears of each ending once"
    was_told = key in [_key(row) for row in before["pending_checkpoint_signals"]]
    if state_of(parent) == "asleep" and not was_told:
        now = _by_id(after["instances"])[parent["instance_id"]]
        assert now["sleep_until"] <= new["finished_at"], "a parent is due when a child ends"


def _open_parent(row: Row, rows: Mapping[str, Row]) -> Row | None:
    parent = rows.get(row["parent_id"])
    if parent is None or parent["instance_id"] == row["instance_id"]:
        return None
    is_heard = parent["tenant_id"] == row["tenant_id"] and state_of(parent) in OPEN
    return parent if is_heard else None


def _check_kept(before: Tables, after: Tables) -> None:
    names = {row["instance_id"] for row in after["instances"]}
    kept = {_key(row): row for row in after["checkpoints"]}
    for row in before["checkpoints"]:
        if row["instance_id"] in names and not row["is_retry_attempt"]:
            if _is_set_aside(row, after):
                continue
            now = kept[_key(row)]
            deadline = row["wake_at"] or now["wake_at"]
            assert now == row | {"wake_at": deadline}, "a checkpoint never changes"
    for table in ("instance_events", "pending_checkpoint_signals"):
        for row in before[table]:
            is_gone = row["instance_id"] not in names or _is_taken_back(row, before, after)
            assert row in after[table] or is_gone, f"{table} are kept"


def _is_taken_back(row: Row, before: Tables, after: Tables) -> bool:
    """Tell whether it reported a child, and either of the two was reopened since."""
    child = (row["checkpoint_id"] or "").removeprefix("~child/")
    family = {child, row["instance_id"]} if child != row["checkpoint_id"] else {child}
    return any(_reopenings(after, name) > _reopenings(before, name) for name in family)


def _check_children_heard(parent: Row, after: Tables) -> None:
    """A parent that has just been reopened gets the present state of its children."""
    heard = {
        row["checkpoint_id"]: row["payload"]
        for row in after["pending_checkpoint_signals"]
        if row["instance_id"] == parent["instance_id"]
    }
    for child in after["instances"]:
        if (child["parent_id"], child["tenant_id"]) != (parent["instance_id"], parent["tenant_id"]):
            continue
        payload = heard.get(f"~child/{child['instance_id']}")
        told = None if payload is None else json.loads(payload)["status"]
        now = child["status"] if state_of(child) in FINAL else None
        assert told == now, "a reopened parent hears of its children as they are"


def _is_set_aside(row: Row, after: Tables) -> bool:
    prefix = f"{row['checkpoint_id']}::reopened"
    return any(
        one["instance_id"] == row["instance_id"]
        and one["checkpoint_id"].startswith(prefix)
        and one["state"] == row["state"]
        and one["created_at"] == row["created_at"]
        for one in after["checkpoints"]
    )


def _reopenings(tables: Tables, name: str) -> int:
    return sum(
        row["instance_id"] == name and row["subtype"] == "runtara.reopened"
        for row in tables["instance_events"]
    )


def _key(row: Row) -> tuple[str, str]:
    return row["instance_id"], row["checkpoint_id"]


def _by_id(rows: list[Row]) -> dict[str, Row]:
    return {row["instance_id"]: row for row in rows}


def _pending(tables: Tables, name: str) -> str | None:
    row = _by_id(tables["pending_signals"]).get(name)
    return None if row is None or row["acknowledged_at"] is not None else row["signal_type"]


def _is_left(row: Row, tables: Tables) -> bool:
    """Whether nothing but a user moves it, as an export leaves an open instance."""
    left = {("paused", None), ("paused", "pause"), ("asleep", "pause")}
    return (state_of(row), _pending(tables, row["instance_id"])) in left


def state_of(row: Row) -> str:
    """Tell asleep (`sleep_until` is set) and paused (it is null) apart: both are `suspended`."""
    if row["status"] == "suspended":
        return "paused" if row["sleep_until"] is None else "asleep"
    return str(row["status"])
