"""
The faults that an audit looks for in a database, as SQL for both PostgreSQL and SQLite.

Each check selects one column: the id of the row it finds. `{now}`, `{soon}` (an hour ahead, more
than clocks differ), `{late}` (five minutes ago, more than a takeover lasts) and `{far}` (beyond the
longest sleep) stand for literals of times, `{created}` for an hour before `i` was created, `{yes}`
and `{no}` for truth.
"""

from runtara_domain.record import record

_OPEN = "i.status IN ('pending', 'running', 'suspended')"
_FINAL = "i.status IN ('completed', 'failed', 'cancelled')"
_ALIVE = "e.closed_at IS NULL AND e.lease_until > {now}"
# A subquery for each row: joining all associations would take most of the time.
_IMAGE = (
    "coalesce(i.image_id, (SELECT a.image_id FROM instance_images AS a"
    " WHERE a.instance_id = i.instance_id))"
)
_SERVED = f"({_IMAGE} IS NOT NULL OR i.workflow IS NOT NULL)"
_ANY_ROOM = (
    f"EXISTS (SELECT 1 FROM environments AS e WHERE {_ALIVE} AND e.is_draining = {{no}}"
    " AND e.kind = 'environment' AND e.capacity > (SELECT count(*) FROM launches AS l"
    " WHERE l.environment_id = e.environment_id AND l.closed_at IS NULL))"
)
_UNBOUNDED = (
    "NOT EXISTS (SELECT 1 FROM holds) AND NOT EXISTS (SELECT 1 FROM limits)"
    " AND i.queue IS NULL AND (i.launch_after IS NULL OR i.launch_after < {late})"
)
# The timeout of a worker's launch of a suspect counts from its turn. No row tells of the turn: once
# the launch has begun, the audit assumes that its turn came at once. See `Assignment.is_suspect`.
_WAITS_FOR_ITS_TURN = (
    "EXISTS (SELECT 1 FROM instances AS i WHERE i.instance_id = l.instance_id"
    " AND l.placement = 'inline' AND i.run_epoch <= coalesce(i.ended_run, 0)"
    " AND (i.crashes > 0 OR (i.backoff_ms IS NOT NULL AND EXISTS (SELECT 1 FROM launches AS p"
    " WHERE p.instance_id = l.instance_id AND p.number = l.number - 1"
    " AND p.cause IN ('environment_lost', 'runner_failed')))))"
)


@record
class Check:
    """
    name: stable, for programs. problem: the fault of each row. remedy: the command that helps.

    condition: of a row `i` of instances; None if the check reads other rows.
    """

    name: str
    problem: str
    remedy: str
    select: str
    condition: str | None = None


def _instances(name: str, problem: str, remedy: str, where: str, rows: str = "") -> Check:
    select = f"SELECT i.instance_id FROM {rows or 'instances AS i'} WHERE {where}"
    return Check(name, problem, remedy, select, None if rows else where)


_RETRY = "runtara retry ID clears it, or runtara cancel ID"
_CLOCK = "look at the clock of the machine that wrote it"

CHECKS = (
    # -- instances that nothing moves
    _instances(
        "launch_missing", "its launch has no row: it is never launched again", _RETRY,
        f"{_OPEN} AND i.launch_id IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM launches AS l WHERE l.launch_id = i.launch_id)",
    ),
    _instances(
        "launch_of_another", "its launch belongs to another instance", _RETRY,
        "EXISTS (SELECT 1 FROM launches AS l WHERE l.launch_id = i.launch_id"
        " AND l.instance_id <> i.instance_id)",
    ),
    _instances(
        "launch_closed", "its launch is closed: it is never launched again", _RETRY,
        f"{_OPEN} AND EXISTS (SELECT 1 FROM launches AS l WHERE l.launch_id = i.launch_id"
        " AND l.closed_at IS NOT NULL)",
    ),
    _instances(
        "launch_unknown", "it has an open launch that it doesn't name: a slot is lost", _RETRY,
        "l.closed_at IS NULL AND (i.launch_id IS NULL OR i.launch_id <> l.launch_id)",
        "launches AS l JOIN instances AS i ON i.instance_id = l.instance_id",
    ),
    _instances(
        "environment_lost", "the environment of its open launch is gone, and none has taken over",
        "runtara environments: one that serves it has to run",
        "l.closed_at IS NULL AND l.created_at < {late} AND NOT EXISTS (SELECT 1 FROM environments"
        " AS e WHERE e.environment_id = l.environment_id AND e.closed_at IS NULL"
        " AND e.lease_until > {late})",
        "launches AS l JOIN instances AS i ON i.instance_id = l.instance_id",
    ),
    _instances(
        "image_missing", "its image has no row, is deleted, or belongs to another tenant",
        "runtara retry ID --with-image IMAGE_ID",
        f"{_OPEN} AND {_IMAGE} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM images AS m WHERE"
        f" m.image_id = {_IMAGE} AND m.tenant_id = i.tenant_id AND m.deleted_at IS NULL)",
    ),
    _instances(
        "nothing_serves", "no environment or worker runs that could launch it",
        "start an environment, or runtara environments --undrain ID",
        f"{_OPEN} AND {_SERVED} AND i.launch_id IS NULL AND (i.status <> 'suspended' OR"
        " i.sleep_until < {late}) AND i.created_at < {late} AND NOT EXISTS (SELECT 1 FROM"
        f" environments AS e WHERE {_ALIVE} AND e.is_draining = {{no}})",
    ),
    _instances(
        "workflow_unserved", "no image and no worker serves its workflow",
        "runtara deploy SOURCE, or start a worker",
        f"{_OPEN} AND {_IMAGE} IS NULL AND i.workflow IS NOT NULL AND i.launch_id IS NULL"
        " AND i.status = 'pending' AND i.created_at < {late} AND NOT EXISTS"
        " (SELECT 1 FROM images AS m WHERE m.tenant_id = i.tenant_id AND m.is_current = {yes}"
        " AND (m.name = i.workflow OR CAST(m.metadata AS TEXT) LIKE"
        " '%\"workflow\"%' || i.workflow || '%'))"
        f" AND NOT EXISTS (SELECT 1 FROM environments AS e WHERE {_ALIVE} AND"
        " CAST(e.workflows AS TEXT) LIKE '%' || i.workflow || '%')",
    ),
    _instances(
        "overdue", "it has been due for over five minutes, and nothing launches it",
        "runtara explain ID",
        f"i.launch_id IS NULL AND {_IMAGE} IS NOT NULL AND {_UNBOUNDED} AND {_ANY_ROOM}"
        " AND ((i.status = 'suspended' AND i.sleep_until < {late} AND (i.wake_claim_until IS NULL"
        " OR i.wake_claim_until < {late})) OR (i.status = 'pending' AND i.created_at < {late}))",
    ),
    _instances(
        "stop_overdue", "its stop has been due for over five minutes", "runtara stop ID",
        f"{_OPEN} AND i.stop_at < {{late}}",
    ),
    # -- columns that contradict each other
    _instances(
        "open_but_finished", "it is open, and has a time of its end", _RETRY,
        f"{_OPEN} AND i.finished_at IS NOT NULL",
    ),
    _instances(
        "final_without_end", "it has ended, and has no time of its end: it is never pruned",
        "set finished_at", f"{_FINAL} AND i.finished_at IS NULL",
    ),
    _instances(
        "final_and_asleep", "it has ended, and has a time to wake", "set sleep_until to null",
        f"{_FINAL} AND i.sleep_until IS NOT NULL",
    ),
    _instances(
        "running_without_run", "it is running, and no process has ever registered",
        "set status to pending", "i.status = 'running' AND i.started_at IS NULL",
    ),
    _instances(
        "run_ahead", "its ended run is newer than its newest run: it isn't launched again", _RETRY,
        f"{_OPEN} AND (i.ended_run > i.run_epoch OR i.lost_run > i.run_epoch)",
    ),
    _instances(
        "claim_without_end", "the claim on its sleep never ends", "set wake_claim_by to null",
        f"{_OPEN} AND i.wake_claim_by IS NOT NULL AND i.wake_claim_until IS NULL",
    ),
    # -- times out of reach
    _instances(
        "created_ahead", "it was created in the future", _CLOCK, "i.created_at > {soon}",
    ),
    _instances(
        "started_ahead", "it was started in the future", _CLOCK, "i.started_at > {soon}",
    ),
    _instances(
        "finished_ahead", "it ended in the future: it is pruned late", _CLOCK,
        "i.finished_at > {soon}",
    ),
    _instances(
        "ended_before_start", "it was started, or has ended, before it was created", _CLOCK,
        "(i.started_at < {created} OR i.finished_at < {created})",
    ),
    _instances(
        "heard_ahead", "its last sign of life is in the future: its silence isn't noticed", _CLOCK,
        f"{_OPEN} AND i.last_activity_at > {{soon}}",
    ),
    _instances(
        "claimed_ahead", "the claim on its sleep lasts for over an hour", _CLOCK,
        f"{_OPEN} AND i.wake_claim_until > {{soon}} AND i.wake_claim_by IS NOT NULL",
    ),
    _instances(
        "sleeps_for_ever", "it sleeps for longer than any sleep may be", "runtara resume ID",
        f"{_OPEN} AND (i.sleep_until > {{far}} OR i.launch_after > {{far}})",
    ),
    Check(
        "lease_ahead", "its lease lasts for over an hour: its end is noticed late", _CLOCK,
        "SELECT e.environment_id FROM environments AS e"
        " WHERE e.closed_at IS NULL AND e.lease_until > {soon}",
    ),
    Check(
        "environment_ahead", "it was started in the future", _CLOCK,
        "SELECT e.environment_id FROM environments AS e"
        " WHERE e.closed_at IS NULL AND e.started_at > {soon}",
    ),
    Check(
        "launch_ahead", "its open launch began in the future: its timeouts come too late", _CLOCK,
        "SELECT l.launch_id FROM launches AS l"
        " WHERE l.closed_at IS NULL AND (l.created_at > {soon} OR l.started_at > {soon})",
    ),
    Check(
        "launch_overdue", "its timeout was over five minutes ago, and it is still open",
        "runtara environments: the one that serves it has to run",
        "SELECT l.launch_id FROM launches AS l"
        f" WHERE l.closed_at IS NULL AND l.timeout_at < {{late}} AND NOT {_WAITS_FOR_ITS_TURN}",
    ),
    # -- images and schedules
    Check(
        "image_without_bytes", "its bytes are not there", "runtara deploy SOURCE",
        "SELECT m.image_id FROM images AS m WHERE m.deleted_at IS NULL AND m.binary_path IS NULL"
        " AND m.bundle_path IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM image_chunks AS c WHERE c.upload_id = m.upload_id)",
    ),
    Check(
        "schedule_without_tick", "it is not paused, and has no next tick",
        "runtara schedules resume NAME",
        "SELECT s.tenant_id || '/' || s.name FROM cron_schedules AS s WHERE s.paused_by IS NULL"
        " AND s.next_tick_at IS NULL AND s.problem IS NULL",
    ),
    Check(
        "schedule_overdue", "its tick has been due for over five minutes", "runtara environments",
        "SELECT s.tenant_id || '/' || s.name FROM cron_schedules AS s WHERE s.paused_by IS NULL"
        " AND s.buffered_tick_at IS NULL AND s.next_tick_at < {late}",
    ),
    # -- rows whose owner is gone
    *(
        Check(
            f"orphans_in_{table}", "its instance is no row",
            f"DELETE FROM {table} WHERE instance_id = …",
            f"SELECT t.instance_id FROM {table} AS t WHERE NOT EXISTS"
            " (SELECT 1 FROM instances AS i WHERE i.instance_id = t.instance_id)",
        )
        for table in (
            "checkpoints", "instance_events", "pending_signals", "pending_checkpoint_signals",
            "launches", "instance_images",
        )
    ),
)  # fmt: skip

KEPT_BY_KEYS = frozenset(
    f"orphans_in_{table}"
    for table in (
        "checkpoints", "instance_events", "pending_signals", "pending_checkpoint_signals",
        "launches",
    )
)  # fmt: skip
"""Checks for rows that a valid foreign key of PostgreSQL forbids."""
