"""Starts children, and sends parents how their children ended."""

import sqlite3
from typing import Any

from runtara_domain.model import (
    Caller,
    ChildStarted,
    Ending,
    NewChild,
    ending_signal,
)
from runtara_domain.status import Condition, State
from runtara_persistence import queries
from runtara_persistence.sqlite import rows

_SQL = queries.load("runtara_persistence.sqlite", "children.sql")


def start(
    connection: sqlite3.Connection, caller: Caller, child: NewChild, when: Condition, at: str
) -> ChildStarted:
    """Carry out `instances.start_child`."""
    key = {"parent_id": caller.instance_id}
    row = connection.execute(_SQL["start.find_parent"], key).fetchone()
    if row is None:
        return ChildStarted(before=None)
    tenant_id, *run_state = row
    before = rows.run_state(*run_state)
    if not before.admits(caller, when):
        return ChildStarted(before)
    asked = asked_for(caller, child, tenant_id, at)
    if connection.execute(_SQL["start.create"], asked).rowcount == 1:
        return ChildStarted(before, created=True)
    return ChildStarted(before, differs_in=differences(connection, asked))


def asked_for(caller: Caller, child: NewChild, tenant_id: str, at: str) -> dict[str, Any]:
    """Return the parameters of the statements that start a child."""
    return {
        "child_id": child.child_id,
        "tenant_id": tenant_id,
        "parent_id": caller.instance_id,
        "workflow": child.workflow,
        "input": child.input,
        "is_successor": child.is_successor,
        "at": at,
    }


def differences(connection: sqlite3.Connection, asked: dict[str, Any]) -> tuple[str, ...]:
    """Name the fields in which an instance differs from the child that is asked for."""
    same = connection.execute(_SQL["start.compare"], asked).fetchone()
    names = ("parent", "workflow", "input")
    return tuple(name for name, is_same in zip(names, same, strict=True) if not is_same)


def tell_parent(
    connection: sqlite3.Connection,
    child_id: str,
    parent_id: str | None,
    ending: Ending,
    at: str,
    heard: list[str],
) -> None:
    """
    Send a child's ending to its parent, if it has one, within the step that ends the child.

    heard: gets the parent's id if the signal was put in, so that the watch reports it.
    """
    if parent_id is None:
        return
    key = {"child_id": child_id, "parent_id": parent_id}
    row = connection.execute(_SQL["ended.find_parent"], key).fetchone()
    parent = None if row is None else rows.state(*row)
    if parent is None or parent.is_final:
        return
    checkpoint_id, payload = ending_signal(child_id, ending)
    told = {
        "parent_id": parent_id,
        "checkpoint_id": checkpoint_id,
        "payload": payload,
        "at": at,
    }
    is_first = connection.execute(_SQL["ended.put"], told).rowcount == 1
    if is_first and parent is State.ASLEEP:
        connection.execute(_SQL["ended.make_due"], told)
    if is_first:
        heard.append(parent_id)
