"""Claiming launchable instances, within one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

from runtara_domain.launching.room import (
    Candidate,
    Lane,
    LimitUsage,
    Room,
    Target,
    Targets,
    choose,
    elsewhere,
    is_for_others,
    keys,
    once,
)
from runtara_domain.model.launches import INLINE, Assignment, Claims, new_launch_id
from runtara_persistence import queries, records, stored

if TYPE_CHECKING:
    from runtara_domain.model.launches import Offer
    from runtara_domain.model.limits import Limit
    from runtara_domain.model.stored_images import Image
    from runtara_persistence.postgres.connection import Connection

_SQL = queries.load("runtara_persistence.postgres", "claiming.sql")

_ROUNDS = 4
"""The most rounds of a claim; it chooses again if other steps had just locked the chosen rows."""
_SOON = timedelta(milliseconds=100)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Claiming:
    """
    A claim that is under way.

    lanes: the lanes in which instances wait, with their keys in the database. others: launchable
    instances that were found one by one. versions: the versions of the rows that were read, by
    instance.
    has_others: whether lanes and instances were left out, which the offer's worker does not serve.
    """

    connection: Connection
    offer: Offer
    at: datetime
    lanes: dict[Lane, int] = field(default_factory=dict)
    others: list[Candidate] = field(default_factory=list)
    has_others: bool = False
    versions: dict[str, str] = field(default_factory=dict)


async def claim(connection: Connection, offer: Offer, limit: int, at: datetime) -> Claims:
    """
    Execute the port's step `launches.claim`, outside of a transaction.

    The claim looks for launchable instances without a lock. So a claim that finds none waits for no
    other step, and writes nothing. If there are limits or holds, a claim that has found some goes
    on in one transaction, which locks the environment and the limits. A worker's claim without
    limits and holds is one statement.
    """
    if offer.workflows and offer.tenant_limit is None:
        at_once = await _find_and_take(connection, offer, limit, at)
        if at_once is not None:
            return at_once
    [first, *_] = rows = await connection.fetch(_SQL["find"], *_key(offer, at))
    if not first["is_living"]:
        return Claims(has_lease=False)
    if first["is_draining"]:
        return Claims(is_draining=True)
    claiming = _found(_Claiming(connection, offer, at), rows)
    claims = Claims(has_others=claiming.has_others)
    if first["is_bounded"] or offer.tenant_limit is not None:
        if claiming.lanes or claiming.others:
            async with connection.transaction():
                await connection.execute(_SQL["lock_environment"], offer.environment_id)
                claims = await _claim(claiming, limit, is_bounded=True)
    else:
        claims = await _claim(claiming, limit, is_bounded=False)
    if len(claims.assignments) == limit:
        return claims
    return replace(claims, next_at=first["next_launchable_at"])


async def claim_with_start(connection: Connection, offer: Offer, at: datetime) -> Claims:
    """
    Claim one instance for an environment that has a free slot, within the start's transaction.

    Nothing is claimed if another step has locked the environment: the environment's next claim
    finds the instance.
    """
    if not await connection.fetch(_SQL["lock_free"], offer.environment_id):
        return Claims()
    if offer.workflows and offer.tenant_limit is None:
        at_once = await _find_and_take(connection, offer, 1, at)
        if at_once is not None:
            return at_once
    [first, *_] = rows = await connection.fetch(_SQL["find"], *_key(offer, at))
    if not first["is_living"] or first["is_draining"]:
        return Claims(has_lease=first["is_living"], is_draining=first["is_draining"])
    is_bounded = first["is_bounded"] or offer.tenant_limit is not None
    return await _claim(_found(_Claiming(connection, offer, at), rows), 1, is_bounded=is_bounded)


async def room(
    connection: Connection,
    limits: Sequence[Limit],
    tenant_limit: int | None,
    environment_id: str | None,
    at: datetime,
) -> Room:
    """Return the slots that limits and holds leave free."""
    holds = [records.hold(row) for row in await connection.fetch(_SQL["holds"])]
    usage: list[LimitUsage] = []
    if limits or tenant_limit is not None:
        # The query counts every open launch, which takes long if there are many.
        rows = await connection.fetch(_SQL["usage"], environment_id)
        usage = [LimitUsage(**row) for row in rows]
    for limit in limits:
        if limit.rate_period is not None:
            since = at - limit.rate_period
            [row] = await connection.fetch(_SQL["begun"], limit.tenant_id, limit.name, since)
            begun = (row["begun"], row["begun_at"])
            usage.append(LimitUsage(limit.tenant_id, None, limit.name, False, 0, *begun))
    return Room(limits, usage, holds, tenant_limit)


async def ahead(connection: Connection, candidate: Candidate, at: datetime, limit: int) -> int:
    """Count, up to a limit, the instances of a candidate's queue that are launched before it."""
    asked = candidate.lane
    lanes = [
        (row["lane"], row["priority"])
        for row in await connection.fetch(_SQL["lanes"], at)
        if (row["tenant_id"], row["queue"]) == (asked.tenant_id, asked.queue)
        and row["priority"] >= asked.priority
    ]
    [row] = await connection.fetch(
        _SQL["ahead"],
        [lane for lane, _ in lanes],
        [priority for _, priority in lanes],
        asked.priority,
        at,
        candidate.since,
        candidate.instance_id,
        limit,
    )
    return int(row["ahead"])


async def _find_and_take(
    connection: Connection, offer: Offer, limit: int, at: datetime
) -> Claims | None:
    """
    Claim the first instances of a worker's workflows, in one statement.

    None: it took none of those that it found, because there are limits or holds, or because other
    steps had all of them locked. Then they are to be chosen as for other environments.
    """
    served = (offer.tenant_id, list(offer.workflows), limit, INLINE)
    rows = await connection.fetch(_SQL["find_and_take"], *_key(offer, at), *served)
    [first, *_] = rows
    if not first["is_living"]:
        return Claims(has_lease=False)
    if first["is_draining"]:
        return Claims(is_draining=True)
    taken = [row for row in rows if row["launch_id"] is not None]
    if first["chosen"] and not taken:
        return None
    taken.sort(key=lambda row: (-row["priority"], row["since"], row["instance_id"]))
    target = Target(None)
    return Claims(
        tuple(_assignment(row, target, at) for row in taken),
        again_at=at + _SOON if len(taken) < first["chosen"] else None,
        next_at=first["next_launchable_at"] if len(taken) < limit else None,
        has_others=first["has_others"],
    )


async def _claim(claiming: _Claiming, limit: int, *, is_bounded: bool) -> Claims:
    every = {*claiming.lanes, *(each.lane for each in claiming.others)}
    if not every:
        return Claims(has_others=claiming.has_others)
    targets = await _targets(claiming, every)
    meant = {lane.tenant_id for lane in every if targets.of(lane) is not None}
    limits = await _locked_limits(claiming, meant) if is_bounded else ()
    claimed: list[Assignment] = []
    tried: set[str] = set()
    again_at: datetime | None = None
    is_held_back = False
    # The number of chosen rows that other steps had locked. If there are any, the next claim comes
    # soon, because no event tells when they are free.
    missed = 0
    for _ in range(_ROUNDS):
        free = await _room(claiming, limits) if is_bounded else Room((), (), (), None)
        wanted = limit - len(claimed)
        candidates = await _waiting(claiming, targets, free, wanted, tried)
        is_held_back = free.is_full
        found = choose(candidates, targets, free, limit=wanted, at=claiming.at)
        again_at, is_held_back = found.again_at, is_held_back or found.is_held_back
        taken = await _take(claiming, found.chosen, limits, is_bounded=is_bounded)
        claimed += taken
        tried |= {candidate.instance_id for candidate, _ in found.chosen}
        missed += len(found.chosen) - len(taken)
        # Without a transaction, the taken launches are committed. An error in a further round would
        # lose their assignments.
        if len(taken) == len(found.chosen) or (taken and not is_bounded):
            break
    return Claims(
        tuple(claimed),
        again_at=claiming.at + _SOON if missed else again_at,
        is_held_back=is_held_back and len(claimed) < limit,
        has_others=claiming.has_others,
    )


def _key(offer: Offer, at: datetime) -> tuple[object, ...]:
    """Return the arguments of `find`."""
    return (offer.environment_id, at, offer.lost_silence, offer.silence)


async def _room(claiming: _Claiming, limits: Sequence[Limit]) -> Room:
    offer = claiming.offer
    return await room(
        claiming.connection, limits, offer.tenant_limit, offer.environment_id, claiming.at
    )


def _found(claiming: _Claiming, rows: Sequence[asyncpg.Record]) -> _Claiming:
    for row in rows:
        instance_id, key = row["instance_id"], row["lane"]
        if key is None and instance_id is None:
            continue
        lane = _lane(row)
        if is_for_others(claiming.offer, lane):
            claiming.has_others = True
        elif instance_id is None:
            claiming.lanes[lane] = key
        else:
            claiming.versions[instance_id] = row["version"]
            found = Candidate(instance_id, lane, row["since"], row["launch_count"])
            claiming.others.append(found)
    return claiming


def _lane(row: asyncpg.Record) -> Lane:
    return Lane(row["tenant_id"], row["image_id"], row["workflow"], row["queue"], row["priority"])


async def _targets(claiming: _Claiming, lanes: Iterable[Lane]) -> Targets:
    connection = claiming.connection
    image_ids = {lane.image_id for lane in lanes if lane.image_id is not None}
    names = elsewhere(claiming.offer, lanes)
    images: list[Image] = []
    if image_ids:
        rows = await connection.fetch(_SQL["images"], list(image_ids))
        images = [records.image(row) for row in rows]
    served, worked = {}, set()
    if names:
        tenants, workflows = zip(*names, strict=True)
        for row in await connection.fetch(_SQL["served"], tenants, workflows):
            served[row["tenant_id"], row["served"]] = records.image(row)
        worked = {
            (row["tenant_id"], workflow)
            for row in await connection.fetch(_SQL["workers"], claiming.at)
            for workflow in json.loads(row["workflows"])
        }
    return Targets(claiming.offer, {image.image_id: image for image in images}, served, worked)


async def _locked_limits(claiming: _Claiming, tenant_ids: Collection[str]) -> list[Limit]:
    tenants = sorted(tenant_ids)
    if claiming.offer.tenant_limit is not None:
        await claiming.connection.execute(_SQL["give_row"], tenants)
    return [records.limit(row) for row in await claiming.connection.fetch(_SQL["limits"], tenants)]


async def _waiting(
    claiming: _Claiming, targets: Targets, free: Room, limit: int, tried: Collection[str]
) -> list[Candidate]:
    asked: list[Lane] = []
    wanted: list[dict[str, object]] = []
    for lane, key in claiming.lanes.items():
        target = targets.of(lane)
        slots = 0 if target is None else free.free(lane, target)
        if target is not None and slots != 0:
            wanted.append(
                {
                    "place": len(asked),
                    "lane": key,
                    "priority": lane.priority,
                    "slots": limit if slots is None else min(limit, slots),
                    "is_by_name": target.is_by_name,
                }
            )
            asked.append(lane)
    rows: list[asyncpg.Record] = []
    if asked:
        given = (json.dumps(wanted, ensure_ascii=False), claiming.at, list(tried))
        rows = await claiming.connection.fetch(_SQL["waiting"], *given)
    candidates = [each for each in claiming.others if each.instance_id not in tried]
    for row in rows:
        lane = asked[row["place"]]
        found = Candidate(row["instance_id"], lane, row["since"], row["launch_count"])
        claiming.versions[found.instance_id] = row["version"]
        candidates.append(found)
    return once(candidates)


async def _take(
    claiming: _Claiming,
    chosen: Sequence[tuple[Candidate, Target]],
    limits: Sequence[Limit],
    *,
    is_bounded: bool,
) -> list[Assignment]:
    if not chosen:
        return []
    bounded = {(row.scope, row.tenant_id, row.name) for row in limits}
    launches = [(new_launch_id(), *one) for one in chosen]
    wanted = [
        _wanted(claiming, bounded, launch_id, candidate, target)
        for launch_id, candidate, target in launches
    ]
    # Not escaped: a database with the encoding SQL_ASCII refuses escapes of non-ASCII characters.
    rows_wanted = json.dumps(wanted, ensure_ascii=False)
    key = (rows_wanted, claiming.offer.environment_id, claiming.at, is_bounded)
    rows = await claiming.connection.fetch(_SQL["take"], *key)
    taken = {row["launch_id"]: row for row in rows}
    return [
        _assignment(taken[launch_id], target, claiming.at)
        for launch_id, _, target in launches
        if launch_id in taken
    ]


def _wanted(
    claiming: _Claiming,
    bounded: Collection[tuple[object, str, str]],
    launch_id: str,
    candidate: Candidate,
    target: Target,
) -> dict[str, object]:
    image, lane = target.image, candidate.lane
    name = None if image is None else image.name
    timeout = stored.timeout(None, image)
    has_limit = any(key in bounded for key in keys(lane.tenant_id, name, lane.queue))
    return {
        "instance_id": candidate.instance_id,
        "version": claiming.versions[candidate.instance_id],
        "launch_id": launch_id,
        "image_id": None if image is None else image.image_id,
        "is_by_name": target.is_by_name,
        "image_name": name,
        "runner": INLINE if image is None else image.runner_type.value,
        "placement": INLINE if image is None else image.placement,
        "sends_id": image is None or claiming.offer.sends_launch_id(image),
        "timeout_ms": None if timeout is None else timeout // _MILLISECOND,
        "is_bounded": has_limit or claiming.offer.tenant_limit is not None,
    }


def _assignment(row: asyncpg.Record, target: Target, at: datetime) -> Assignment:
    return Assignment(
        launch_id=row["launch_id"],
        number=row["number"],
        instance_id=row["instance_id"],
        tenant_id=row["tenant_id"],
        run=row["run"],
        created_at=at,
        image=target.image,
        workflow=row["workflow"],
        checkpoint_id=row["checkpoint_id"],
        env=stored.env(row["env"]),
        timeout=stored.timeout(row["timeout_ms"], target.image),
        crashes=row["crashes"],
        priority=row["priority"],
        queue=row["queue"],
        last_cause=row["last_cause"],
    )
