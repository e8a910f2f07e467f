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
    Targets,
    choose,
    elsewhere,
    keys,
)
from runtara_domain.model.launches import INLINE, Assignment, Claims, new_launch_id
from runtara_persistence import queries, stored
from runtara_persistence.postgres import launch_rows

if TYPE_CHECKING:
    from runtara_domain.launching.room import Target
    from runtara_domain.model.images import Image
    from runtara_domain.model.launches import Offer
    from runtara_domain.model.limits import Limit
    from runtara_persistence.postgres.database import Connection

_SQL = queries.load("runtara_persistence.postgres", "claiming.sql")

_ROUNDS = 4
"""How often a claim chooses again if other steps had just locked the rows that it had chosen."""
_SOON = timedelta(milliseconds=100)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Claiming:
    """One claim under way. versions: the versions of the rows that were read, by instance."""

    connection: Connection
    offer: Offer
    at: datetime
    lanes: dict[Lane, int] = field(default_factory=dict)
    others: list[Candidate] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


async def claim(connection: Connection, offer: Offer, limit: int, at: datetime) -> Claims:
    """Carry out the port's step `launches.claim`."""
    found = await connection.fetch(_SQL["environment"], offer.environment_id, at)
    if not found or not found[0]["is_living"]:
        return Claims(has_lease=False)
    if found[0]["is_draining"]:
        return Claims(is_draining=True)
    claims = await _claim(_Claiming(connection, offer, at), limit)
    if len(claims.assignments) == limit:
        return claims
    [row] = await connection.fetch(_SQL["next"], at, offer.lost_silence, offer.silence)
    return replace(claims, next_at=row["next_launchable_at"])


async def claim_with_start(connection: Connection, offer: Offer, at: datetime) -> Claims:
    """Claim one instance for an environment that has a free slot."""
    found = await connection.fetch(_SQL["environment"], offer.environment_id, at)
    if not found or found[0]["open_count"] >= found[0]["capacity"]:
        return Claims(has_lease=bool(found))
    return await claim(connection, offer, 1, at)


async def room(
    connection: Connection,
    limits: Sequence[Limit],
    tenant_limit: int | None,
    environment_id: str | None,
    at: datetime,
) -> Room:
    """Return the slots that limits and holds leave free."""
    holds = [launch_rows.hold(row) for row in await connection.fetch(_SQL["holds"])]
    usage: list[LimitUsage] = []
    if limits or tenant_limit is not None:
        # It counts every open launch, which takes a while where there are many.
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
    """Count the instances of its queue that are launched before a candidate, up to a limit."""
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


async def _claim(claiming: _Claiming, limit: int) -> Claims:
    await _find(claiming)
    every = {*claiming.lanes, *(each.lane for each in claiming.others)}
    targets = await _targets(claiming, every)
    meant = {lane.tenant_id for lane in every if targets.of(lane) is not None}
    limits = await _locked_limits(claiming, meant)
    claimed: list[Assignment] = []
    tried: set[str] = set()
    again_at: datetime | None = None
    # Rows that other claimers held: they may be free soon, and no event tells of that.
    missed = 0
    for _ in range(_ROUNDS):
        offer = claiming.offer
        free = await room(
            claiming.connection, limits, offer.tenant_limit, offer.environment_id, claiming.at
        )
        wanted = limit - len(claimed)
        candidates = await _waiting(claiming, targets, free, wanted, tried)
        found = choose(candidates, targets, free, limit=wanted, at=claiming.at)
        again_at = found.again_at
        taken = await _take(claiming, found.chosen, limits)
        claimed += taken
        tried |= {candidate.instance_id for candidate, _ in found.chosen}
        missed += len(found.chosen) - len(taken)
        if len(taken) == len(found.chosen):
            break
    return Claims(tuple(claimed), again_at=claiming.at + _SOON if missed else again_at)


async def _find(claiming: _Claiming) -> None:
    connection, offer, at = claiming.connection, claiming.offer, claiming.at
    for row in await connection.fetch(_SQL["lanes"], at):
        claiming.lanes[_lane(row)] = row["lane"]
    for row in await connection.fetch(_SQL["told"], at):
        _add(claiming, row, row["since"])
    silent_since, lost_since = at - offer.silence, at - offer.lost_silence
    for row in await connection.fetch(_SQL["silent"], at, silent_since, lost_since):
        silence = offer.silence_of(row["image_id"], is_lost=row["is_lost"])
        _add(claiming, row, row["heard_at"] + silence)


def _add(claiming: _Claiming, row: asyncpg.Record, since: datetime) -> None:
    instance_id = row["instance_id"]
    claiming.versions[instance_id] = row["version"]
    claiming.others.append(Candidate(instance_id, _lane(row), since, row["launch_count"]))


def _lane(row: asyncpg.Record) -> Lane:
    return Lane(row["tenant_id"], row["image_id"], row["workflow"], row["queue"], row["priority"])


async def _targets(claiming: _Claiming, lanes: Iterable[Lane]) -> Targets:
    connection = claiming.connection
    image_ids = {lane.image_id for lane in lanes if lane.image_id is not None}
    names = elsewhere(claiming.offer, lanes)
    images: list[Image] = []
    if image_ids:
        rows = await connection.fetch(_SQL["images"], list(image_ids))
        images = [launch_rows.image(row) for row in rows]
    served, worked = {}, set()
    if names:
        tenants, workflows = zip(*names, strict=True)
        for row in await connection.fetch(_SQL["served"], tenants, workflows):
            served[row["tenant_id"], row["served"]] = launch_rows.image(row)
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
    return [
        launch_rows.limit(row) for row in await claiming.connection.fetch(_SQL["limits"], tenants)
    ]


async def _waiting(
    claiming: _Claiming, targets: Targets, free: Room, limit: int, tried: Collection[str]
) -> list[Candidate]:
    asked: list[tuple[Lane, int, int, bool]] = []
    for lane, key in claiming.lanes.items():
        target = targets.of(lane)
        slots = 0 if target is None else free.free(lane, target)
        if target is not None and slots != 0:
            most = limit if slots is None else min(limit, slots)
            asked.append((lane, key, most, target.is_by_name))
    rows = await claiming.connection.fetch(
        _SQL["waiting"],
        [key for _, key, *_ in asked],
        [lane.priority for lane, *_ in asked],
        [most for *_, most, _ in asked],
        [is_by_name for *_, is_by_name in asked],
        claiming.at,
        list(tried),
    )
    first = {each.instance_id: each for each in claiming.others if each.instance_id not in tried}
    for row in rows:
        lane = asked[row["place"] - 1][0]
        found = Candidate(row["instance_id"], lane, row["since"], row["launch_count"])
        claiming.versions[found.instance_id] = row["version"]
        known = first.get(found.instance_id)
        if known is None or found.since < known.since:
            first[found.instance_id] = found
    return list(first.values())


async def _take(
    claiming: _Claiming, chosen: Sequence[tuple[Candidate, Target]], limits: Sequence[Limit]
) -> list[Assignment]:
    chosen = await _with_kept_images(claiming.connection, chosen)
    if not chosen:
        return []
    bounded = {(row.scope, row.tenant_id, row.name) for row in limits}
    launches = [(new_launch_id(), *one) for one in chosen]
    wanted = [
        _wanted(claiming, bounded, launch_id, candidate, target)
        for launch_id, candidate, target in launches
    ]
    columns = zip(*wanted, strict=True)
    rows = await claiming.connection.fetch(
        _SQL["take"], *map(list, columns), claiming.offer.environment_id, claiming.at
    )
    taken = {row["launch_id"]: row for row in rows}
    return [
        _assignment(taken[launch_id], target, claiming.at)
        for launch_id, _, target in launches
        if launch_id in taken
    ]


async def _with_kept_images(
    connection: Connection, chosen: Sequence[tuple[Candidate, Target]]
) -> Sequence[tuple[Candidate, Target]]:
    by_name = [target.image.image_id for _, target in chosen if target.is_by_name and target.image]
    if not by_name:
        return chosen
    kept = {row["image_id"] for row in await connection.fetch(_SQL["keep_images"], by_name)}
    return [
        (candidate, target)
        for candidate, target in chosen
        if not target.is_by_name or (target.image is not None and target.image.image_id in kept)
    ]


def _wanted(
    claiming: _Claiming,
    bounded: Collection[tuple[object, str, str]],
    launch_id: str,
    candidate: Candidate,
    target: Target,
) -> tuple[object, ...]:
    image, lane = target.image, candidate.lane
    name = None if image is None else image.name
    timeout = stored.timeout(None, image)
    has_limit = any(key in bounded for key in keys(lane.tenant_id, name, lane.queue))
    return (
        candidate.instance_id,
        claiming.versions[candidate.instance_id],
        launch_id,
        None if image is None else image.image_id,
        name,
        INLINE if image is None else image.runner_type.value,
        INLINE if image is None else image.placement,
        image is None or claiming.offer.sends_launch_id(image),
        None if timeout is None else timeout // _MILLISECOND,
        has_limit or claiming.offer.tenant_limit is not None,
    )


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
