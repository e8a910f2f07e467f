"""Starts children together, with checkpoints of their parent."""

import json
import sqlite3
from datetime import datetime

from runtara_domain.model import Caller, ChildrenStarted, NewChildren, Saved
from runtara_domain.status import Condition
from runtara_persistence import queries
from runtara_persistence.sqlite import children, rows, saving
from runtara_persistence.sqlite.rows import to_text

_SQL = queries.load("runtara_persistence.sqlite", "children.sql")


def start(
    connection: sqlite3.Connection, caller: Caller, new: NewChildren, when: Condition, at: datetime
) -> ChildrenStarted:
    """Carry out `instances.start_children`."""
    row = connection.execute(
        _SQL["start.find_parent"], {"parent_id": caller.instance_id}
    ).fetchone()
    if row is None:
        return ChildrenStarted(before=None)
    tenant_id, *run_state = row
    before = rows.run_state(*run_state)
    if not before.admits(caller, when):
        return ChildrenStarted(before)
    asked = [children.asked_for(caller, child, tenant_id, to_text(at)) for child in new.children]
    ids = {"ids": json.dumps([child.child_id for child in new.children])}
    known = {child_id for (child_id,) in connection.execute(_SQL["start.known"], ids)}
    for place, one in enumerate(asked):
        differs_in = children.differences(connection, one) if one["child_id"] in known else ()
        if differs_in:
            return ChildrenStarted(before, refused=place, differs_in=differs_in)
    connection.executemany(
        _SQL["start.create"], [one for one in asked if one["child_id"] not in known]
    )
    saves = [saving.Save(caller, write, when, at) for write in new.writes]
    saved = saving.save(connection, saves) if saves else []
    signal = connection.execute(_SQL["start.signal"], {"parent_id": caller.instance_id}).fetchone()
    return ChildrenStarted(
        before,
        tuple([one["child_id"] not in known for one in asked]),
        tuple([Saved(before, one.kept, is_large=one.is_large) for one in saved]),
        None if signal is None else rows.signal(*signal),
    )
