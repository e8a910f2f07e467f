"""Claiming launchable instances, within one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from runtara_domain.launching.room import (
    Candidate,
    Lane,
    LimitUsage,
    Room,
    Targets,
    choose,
    elsewhere,
    is_for_others,
    keys,
    once,
)
from runtara_domain.model.launches import INLINE, LOWEST_PRIORITY, Assignment, Claims, new_launch_id
from runtara_persistence import queries, records, stored
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.rows import from_optional, from_text, to_text

if TYPE_CHECKING:
    from runtara_domain.launching.room import Target
    from runtara_domain.model.launches import Offer
    from runtara_domain.model.limits import Limit
    from runtara_domain.model.stored_images import Image

_SQL = queries.load("runtara_persistence.sqlite", "claiming.sql")


def claim(connection: sqlite3.Connection, offer: Offer, limit: int, at: datetime) -> Claims:
    """Carry out the port's step `launches.claim`."""
    key = {"environment_id": offer.environment_id, "at": to_text(at)}
    row = connection.execute(_SQL["environment"], key).fetchone()
    if row is None or not row[2]:
        return Claims(has_lease=False)
    if row[1] or not row[0]:
        return Claims(is_draining=True)
    lanes, foreign = _split(offer, dict(_lanes(connection)))
    others = [*_told(connection, at), *_silent(connection, offer, at)]
    has_others = any(is_for_others(offer, each.lane) for each in others)
    has_others = has_others or _is_any_due(connection, foreign, at)
    others = [each for each in others if not is_for_others(offer, each.lane)]
    all_lanes = {*lanes, *(each.lane for each in others)}
    targets = _targets(connection, offer, all_lanes, at)
    free = room(connection, offer.tenant_limit, offer.environment_id, at)
    waiting = _waiting(connection, lanes, targets, free, limit, at)
    found = choose(once([*waiting, *others]), targets, free, limit=limit, at=at)
    bounded = {(row.scope, row.tenant_id, row.name) for row in _limits(connection)}
    claimed = [_launch(connection, offer, *one, bounded, at) for one in found.chosen]
    next_at = None if len(claimed) == limit else _next(connection, offer, at)
    return Claims(
        tuple(claimed),
        again_at=found.again_at,
        next_at=next_at,
        is_held_back=found.is_held_back,
        has_others=has_others,
    )


def claim_with_start(connection: sqlite3.Connection, offer: Offer, at: datetime) -> Claims:
    """Claim one instance for an environment that has a free slot."""
    key = {"environment_id": offer.environment_id, "at": to_text(at)}
    row = connection.execute(_SQL["environment"], key).fetchone()
    [open_count] = connection.execute(_SQL["open_count"], key).fetchone()
    if row is None or open_count >= row[0]:
        return Claims(has_lease=row is not None)
    return claim(connection, offer, 1, at)


def room(
    connection: sqlite3.Connection,
    tenant_limit: int | None,
    environment_id: str | None,
    at: datetime,
) -> Room:
    """Return the slots that limits and holds leave free."""
    limits = _limits(connection)
    holds = rows.found(connection, _SQL["holds"], {}, records.hold)
    usage = [
        LimitUsage(tenant_id, image_name, queue, bool(is_here), number)
        for tenant_id, image_name, queue, is_here, number in connection.execute(
            _SQL["usage"], {"environment_id": environment_id}
        )
    ]
    for limit in limits:
        if limit.rate_period is not None:
            since = to_text(at - limit.rate_period)
            key = {"tenant_id": limit.tenant_id, "queue": limit.name, "since": since}
            begun, begun_at = connection.execute(_SQL["begun"], key).fetchone()
            counted = (begun, from_optional(begun_at))
            usage.append(LimitUsage(limit.tenant_id, None, limit.name, False, 0, *counted))
    return Room(limits, usage, holds, tenant_limit)


def ahead(connection: sqlite3.Connection, candidate: Candidate, at: datetime, limit: int) -> int:
    """Count the instances of its queue that are launched before a candidate, up to a limit."""
    asked, found = candidate.lane, 0
    for lane, key in _lanes(connection):
        is_meant = (lane.tenant_id, lane.queue) == (asked.tenant_id, asked.queue)
        if not is_meant or lane.priority < asked.priority:
            continue
        first = {
            "lane": key,
            "priority": lane.priority,
            "is_first": lane.priority > asked.priority,
            "at": to_text(at),
            "since": to_text(candidate.since),
            "instance_id": candidate.instance_id,
            "limit": limit - found,
        }
        [number] = connection.execute(_SQL["ahead"], first).fetchone()
        found += number
    return found


def _limits(connection: sqlite3.Connection) -> list[Limit]:
    return rows.found(connection, _SQL["limits"], {}, records.limit)


def _lanes(connection: sqlite3.Connection) -> Iterator[tuple[Lane, str]]:
    """Skip through the index from lane to lane, and in each lane from priority to priority."""
    key = ""
    while (row := connection.execute(_SQL["lanes.next"], {"lane": key}).fetchone()) is not None:
        key, tenant_id, image_id, workflow, queue = row
        priority = LOWEST_PRIORITY - 1
        while True:
            asked = {"lane": key, "priority": priority}
            found = connection.execute(_SQL["lanes.next_priority"], asked).fetchone()
            if found is None:
                break
            [priority] = found
            yield Lane(tenant_id, image_id, workflow, queue, priority), key


def _waiting(
    connection: sqlite3.Connection,
    lanes: dict[Lane, str],
    targets: Targets,
    free: Room,
    limit: int,
    at: datetime,
) -> Iterator[Candidate]:
    for lane, key in lanes.items():
        target = targets.of(lane)
        if target is None:
            continue
        slots = free.free(lane, target)
        asked = {
            "lane": key,
            "priority": lane.priority,
            "at": to_text(at),
            "is_by_name": target.is_by_name,
            # Where there is no room, the first instance shows that it is held back.
            "limit": limit if slots is None else max(1, min(limit, slots)),
        }
        for instance_id, since, launch_count in connection.execute(_SQL["waiting"], asked):
            yield Candidate(instance_id, lane, from_text(since), launch_count)


def _split(offer: Offer, lanes: dict[Lane, str]) -> tuple[dict[Lane, str], dict[Lane, str]]:
    """Return the lanes of an offer, and those that are only for others than its worker."""
    foreign = {lane: key for lane, key in lanes.items() if is_for_others(offer, lane)}
    return {lane: key for lane, key in lanes.items() if lane not in foreign}, foreign


def _is_any_due(connection: sqlite3.Connection, lanes: dict[Lane, str], at: datetime) -> bool:
    for lane, key in lanes.items():
        asked = {"lane": key, "priority": lane.priority, "at": to_text(at)}
        asked |= {"is_by_name": False, "limit": 1}
        if connection.execute(_SQL["waiting"], asked).fetchone() is not None:
            return True
    return False


def _told(connection: sqlite3.Connection, at: datetime) -> Iterator[Candidate]:
    for instance_id, since, launch_count, *lane in connection.execute(
        _SQL["told"], {"at": to_text(at)}
    ):
        yield Candidate(instance_id, Lane(*lane), from_text(since), launch_count)


def _silent(connection: sqlite3.Connection, offer: Offer, at: datetime) -> Iterator[Candidate]:
    asked = {
        "at": to_text(at),
        "silent_since": to_text(at - offer.silence),
        "lost_since": to_text(at - offer.lost_silence),
    }
    for instance_id, heard_at, is_lost, launch_count, *lane in connection.execute(
        _SQL["silent"], asked
    ):
        found = Lane(*lane)
        silence = offer.silence_of(found.image_id, is_lost=bool(is_lost))
        yield Candidate(instance_id, found, from_text(heard_at) + silence, launch_count)


def _next(connection: sqlite3.Connection, offer: Offer, at: datetime) -> datetime | None:
    """Return when the next instance becomes launchable; None if none will."""
    asked = {"now": to_text(at), **rows.silences(offer.silence, offer.lost_silence)}
    [moment] = connection.execute(_SQL["next"], asked).fetchone()
    return from_optional(moment)


def _targets(
    connection: sqlite3.Connection, offer: Offer, lanes: Iterable[Lane], at: datetime
) -> Targets:
    image_ids = {lane.image_id for lane in lanes if lane.image_id is not None}
    asked = {"image_ids": json.dumps(sorted(image_ids))}
    images = rows.found(connection, _SQL["images"], asked, records.image)
    names = elsewhere(offer, lanes)
    served: dict[tuple[str, str], Image] = {}
    for tenant_id, workflow in names:
        key = {"tenant_id": tenant_id, "workflow": workflow}
        image = rows.first(connection, _SQL["served"], key, records.image)
        if image is not None:
            served[tenant_id, workflow] = image
    worked = {
        (tenant_id, workflow)
        for tenant_id, workflows in (
            connection.execute(_SQL["workers"], {"at": to_text(at)}) if names else ()
        )
        for workflow in json.loads(workflows)
    }
    return Targets(offer, {image.image_id: image for image in images}, served, worked)


def _launch(
    connection: sqlite3.Connection,
    offer: Offer,
    candidate: Candidate,
    target: Target,
    bounded: set[tuple[Any, str, str]],
    at: datetime,
) -> Assignment:
    assignment = _take(connection, offer, candidate, target, at)
    image = assignment.image
    name = None if image is None else image.name
    bounds = keys(assignment.tenant_id, name, assignment.queue)
    has_limit = offer.tenant_limit is not None or any(key in bounded for key in bounds)
    launched = {
        "launch_id": assignment.launch_id,
        "instance_id": assignment.instance_id,
        "number": assignment.number,
        "environment_id": offer.environment_id,
        "tenant_id": assignment.tenant_id,
        "at": to_text(at),
        "image_id": None if image is None else image.image_id,
        "image_name": name,
        "workflow": assignment.workflow,
        "queue": assignment.queue,
        "runner": INLINE if image is None else image.runner_type.value,
        "placement": INLINE if image is None else image.placement,
        "timeout_at": _text(at, assignment.timeout),
        "is_bounded": has_limit,
    }
    connection.execute(_SQL["launch"], launched)
    return assignment


def _take(
    connection: sqlite3.Connection,
    offer: Offer,
    candidate: Candidate,
    target: Target,
    at: datetime,
) -> Assignment:
    image = target.image
    launch_id = new_launch_id()
    taken = {
        "instance_id": candidate.instance_id,
        "launch_id": launch_id,
        "image_id": None if image is None else image.image_id,
        "sends_id": image is None or offer.sends_launch_id(image),
    }
    [row] = connection.execute(_SQL["take"], taken).fetchall()
    tenant_id, number, run, workflow, checkpoint_id, env, timeout_ms, crashes, *rest = row
    priority, queue, last_cause = rest
    return Assignment(
        launch_id=launch_id,
        number=number,
        instance_id=candidate.instance_id,
        tenant_id=tenant_id,
        run=run,
        created_at=at,
        image=image,
        workflow=workflow,
        checkpoint_id=checkpoint_id,
        env=stored.env(env),
        timeout=stored.timeout(timeout_ms, image),
        crashes=crashes,
        priority=priority,
        queue=queue,
        last_cause=last_cause,
    )


def _text(at: datetime, timeout: timedelta | None) -> str | None:
    return None if timeout is None else to_text(at + timeout)
