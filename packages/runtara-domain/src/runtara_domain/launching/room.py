"""The choice of launchable instances for an environment: holds, limits, and the order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from runtara_domain.model.limits import Limit, Scope
from runtara_domain.model.waits import Awaited
from runtara_domain.record import record
from runtara_domain.status import State

if TYPE_CHECKING:
    from runtara_domain.model.launches import Offer
    from runtara_domain.model.limits import Hold
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.stored_instances import Instance

LimitKey: TypeAlias = tuple[Scope, str, str]
"""Scope, tenant and name of a limit."""


@record
class Lane:
    """A class of launchable instances to which the same images, holds and limits apply."""

    tenant_id: str
    image_id: str | None
    workflow: str | None
    queue: str | None
    priority: int = 0


@record
class LimitUsage:
    """
    The number of open launches that count for the same limits.

    is_here: they belong to the claiming environment. begun: how many launches, open or not, began
    within the period of their queue's rate. begun_at: when the first of these began.
    """

    tenant_id: str
    image_name: str | None
    queue: str | None
    is_here: bool
    open: int
    begun: int = 0
    begun_at: datetime | None = None


@record
class Target:
    """
    The image, or the worker, that runs the instances of a lane.

    image: None for a worker. is_by_name: the image was found by the workflow's name; only instances
    without an earlier launch get it, and only after the grace for workers.
    """

    image: Image | None
    is_by_name: bool = False


@record
class Candidate:
    """A launchable instance. since: when it became launchable."""

    instance_id: str
    lane: Lane
    since: datetime
    launch_count: int = 0

    @property
    def rank(self) -> tuple[int, datetime, str]:
        """Sort key: highest priority first, then the longest wait, then the id."""
        return -self.lane.priority, self.since, self.instance_id


def queued(instance: Instance, queue: str | None, priority: int, wait: Awaited) -> Candidate:
    """Return the candidate of an instance that waits in its queue."""
    lane = Lane(instance.tenant_id, None, instance.workflow, queue, priority)
    assert wait.since is not None, "a place in a line is waited for since a moment"
    return Candidate(instance.instance_id, lane, wait.since)


@record
class Candidates:
    """
    The chosen candidates.

    again_at: when more may be chosen: an instance's wait for a worker is over, or a rate allows
    another start. is_held_back: whether more may be chosen when a launch ends.
    """

    chosen: list[tuple[Candidate, Target]]
    again_at: datetime | None = None
    is_held_back: bool = False


class Room:
    """
    The free slots under all limits, and the holds; `take` fills the slots of a launch.

    again_at: when a rate allows another start of a lane for which `free` gave 0. is_full: whether a
    limit made `free` give 0.
    """

    def __init__(
        self,
        limits: Iterable[Limit],
        usage: Iterable[LimitUsage],
        holds: Collection[Hold],
        tenant_limit: int | None,
    ) -> None:
        self._limits: Mapping[LimitKey, Limit] = {
            (limit.scope, limit.tenant_id, limit.name): limit for limit in limits
        }
        self._holds = holds
        self._tenant_limit = tenant_limit
        self._open: Counter[LimitKey] = Counter()
        self._here: Counter[LimitKey] = Counter()
        self._begun: Counter[LimitKey] = Counter()
        self._begun_at: dict[LimitKey, datetime] = {}
        self.again_at: datetime | None = None
        self.is_full = False
        for each in usage:
            for key in keys(each.tenant_id, each.image_name, each.queue):
                self._open[key] += each.open
                self._begun[key] += each.begun
                self._here[key] += each.open if each.is_here else 0
                if each.begun_at is not None:
                    self._note_begun(key, each.begun_at)

    def free(self, lane: Lane, target: Target) -> int | None:
        """Return how many launches of a lane may begin; None: any number."""
        image = target.image
        image_name = None if image is None else image.name
        workflow = image.workflow if lane.workflow is None and image is not None else lane.workflow
        if any(hold.covers(lane.tenant_id, image_name, workflow) for hold in self._holds):
            return 0
        found = keys(lane.tenant_id, image_name, lane.queue)
        bounds = [bound for key in found for bound in self._bounds(key)]
        if bounds and min(bounds) <= 0:
            self.is_full = True
            self._note_rates(found)
        return max(0, min(bounds)) if bounds else None

    def full(self, tenant_id: str, image_name: str | None, queue: str | None) -> Limit | None:
        """Return a limit without a free slot; None if there is none."""
        for key in keys(tenant_id, image_name, queue):
            if any(bound <= 0 for bound in self._bounds(key)):
                scope, tenant_id, name = key
                return self._limits.get(key, Limit(scope, tenant_id, name, self._tenant_limit))
        return None

    def queue_wait(
        self, instance: Instance, queue: str | None, launch_after: datetime | None, at: datetime
    ) -> Awaited | None:
        """
        Return the wait in its queue of an instance without a launch; None: it doesn't wait.

        Bounds of single environments are not considered: another environment may have a slot.
        """
        since = _due_since(instance, launch_after)
        limit = self._limits.get((Scope.QUEUE, instance.tenant_id, queue or ""))
        if limit is None or since is None or since > at:
            return None
        key = Scope.QUEUE, limit.tenant_id, limit.name
        if limit.max_concurrent is not None and self._open[key] >= limit.max_concurrent:
            reason = f"{self._open[key]} of {limit.max_concurrent} slots are taken"
            return Awaited("queue", limit.name, since, reason=reason)
        if limit.rate is None or limit.rate_period is None or self._begun[key] < limit.rate:
            return None
        begun_at = self._begun_at.get(key)
        frees_at = None if begun_at is None else begun_at + limit.rate_period
        seconds = limit.rate_period.total_seconds()
        reason = f"{self._begun[key]} of {limit.rate} starts within {seconds:g} s"
        return Awaited("queue", limit.name, since, frees_at, reason)

    def take(self, lane: Lane, target: Target, at: datetime) -> None:
        """Count a launch that begins in the claiming environment at this time."""
        image_name = None if target.image is None else target.image.name
        for key in keys(lane.tenant_id, image_name, lane.queue):
            for counter in (self._open, self._here, self._begun):
                counter[key] += 1
            self._note_begun(key, at)

    def _note_begun(self, key: LimitKey, at: datetime) -> None:
        self._begun_at[key] = min(at, self._begun_at.get(key, at))

    def _note_rates(self, found: Iterable[LimitKey]) -> None:
        for key in found:
            limit, begun_at = self._limits.get(key), self._begun_at.get(key)
            if limit is None or limit.rate is None or limit.rate_period is None:
                continue
            if begun_at is not None and self._begun[key] >= limit.rate:
                frees_at = begun_at + limit.rate_period
                self.again_at = min(frees_at, self.again_at or frees_at)

    def _bounds(self, key: LimitKey) -> Iterable[int]:
        limit = self._limits.get(key)
        maximum = None if limit is None else limit.max_concurrent
        if maximum is None and key[0] is Scope.TENANT:
            maximum = self._tenant_limit
        if maximum is not None:
            yield maximum - self._open[key]
        if limit is not None and limit.per_environment is not None:
            yield limit.per_environment - self._here[key]
        if limit is not None and limit.rate is not None:
            yield limit.rate - self._begun[key]


def elsewhere(offer: Offer, lanes: Iterable[Lane]) -> set[tuple[str, str]]:
    """Return the tenants and names of workflows that others than this offer's worker may run."""
    return {
        (lane.tenant_id, lane.workflow)
        for lane in lanes
        if lane.image_id is None
        and lane.workflow is not None
        and not offer.serves(lane.tenant_id, lane.workflow)
    }


def is_for_others(offer: Offer, lane: Lane) -> bool:
    """Return whether the offer is a worker's, which does not serve this lane."""
    is_served = lane.image_id is None and offer.serves(lane.tenant_id, lane.workflow)
    return bool(offer.workflows) and not is_served


@record
class Targets:
    """
    Finds the image, or the worker, with which an offer launches a lane.

    images: by id; deleted ones and those with a problem run nowhere. served: the newest image that
    serves a workflow, by tenant and workflow. worked: tenants and workflows that live workers
    serve.
    """

    offer: Offer
    images: Mapping[str, Image] = field(default_factory=dict)
    served: Mapping[tuple[str, str], Image] = field(default_factory=dict)
    worked: Collection[tuple[str, str]] = frozenset()

    def of(self, lane: Lane) -> Target | None:
        """Return the target of a lane; None if the offer can't run it, or not yet."""
        if lane.image_id is not None:
            image = self.images.get(lane.image_id)
            return Target(image) if image is not None and self._runs(image) else None
        if lane.workflow is None:
            return None
        name = lane.tenant_id, lane.workflow
        if self.offer.serves(*name):
            return Target(None)
        image = self.served.get(name)
        if name in self.worked or image is None or not self._runs(image):
            return None
        return Target(image, is_by_name=True)

    def _runs(self, image: Image) -> bool:
        return image.deleted_at is None and image.problem is None and self.offer.can_run(image)


def _due_since(instance: Instance, launch_after: datetime | None) -> datetime | None:
    """Return since when an instance without a launch is due; None if it isn't."""
    match instance.state:
        case State.PENDING | State.RUNNING:
            since = instance.created_at
        case State.ASLEEP if instance.sleep_until is not None:
            since = instance.sleep_until
        case _:
            return None
    return since if launch_after is None else max(since, launch_after)


def keys(tenant_id: str, image_name: str | None, queue: str | None) -> list[LimitKey]:
    """Return the keys of the limits that may apply to a launch."""
    found: list[LimitKey] = [(Scope.TENANT, tenant_id, "")]
    if image_name is not None:
        found.append((Scope.IMAGE, tenant_id, image_name))
    if queue is not None:
        found.append((Scope.QUEUE, tenant_id, queue))
    return found


def once(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return one candidate for each instance: of two, the one that waits longer."""
    first: dict[str, Candidate] = {}
    for each in candidates:
        known = first.get(each.instance_id)
        if known is None or each.since < known.since:
            first[each.instance_id] = each
    return list(first.values())


def choose(
    candidates: Iterable[Candidate], targets: Targets, room: Room, *, limit: int, at: datetime
) -> Candidates:
    """
    Choose the first candidates for which there is room.

    A candidate that waits for a worker is skipped until its grace is over.
    """
    room.is_full = False
    chosen: list[tuple[Candidate, Target]] = []
    again_at: datetime | None = None
    for candidate in sorted(candidates, key=lambda each: each.rank):
        if len(chosen) == limit:
            break
        target = targets.of(candidate.lane)
        if target is None or room.free(candidate.lane, target) == 0:
            continue
        if target.is_by_name:
            if candidate.launch_count:
                continue
            ready_at = candidate.since + targets.offer.worker_grace
            if ready_at > at:
                again_at = ready_at if again_at is None else min(again_at, ready_at)
                continue
        room.take(candidate.lane, target, at)
        chosen.append((candidate, target))
    for candidate, target in chosen:
        # Only as many of a lane are read as there is room for: the others may wait for a rate.
        room.free(candidate.lane, target)
    moments = [each for each in (again_at, room.again_at) if each is not None]
    # At the limit, not every candidate was looked at: the next claim says it.
    is_held_back = room.is_full and len(chosen) < limit
    return Candidates(chosen, min(moments, default=None), is_held_back)
