"""Launches in memory: finds launchable instances, claims them, and closes launches."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from runtara_domain.launching.room import (
    Candidate,
    Lane,
    LimitUsage,
    Room,
    Target,
    Targets,
    choose,
    is_for_others,
    keys,
)
from runtara_domain.model.launches import (
    INLINE,
    Assignment,
    Claims,
    Offer,
    new_launch_id,
)
from runtara_domain.model.stored_images import Image
from runtara_domain.status import SignalType, State
from runtara_persistence import records, stored
from runtara_persistence.memory.rows import AssociationRow, InstanceRow, LaunchRow, SignalRow
from runtara_persistence.memory.store import Store

_MILLISECOND = timedelta(milliseconds=1)


def image_of(store: Store, row: InstanceRow) -> str | None:
    """Return the id of an instance's image, also of an image set by a Rust environment."""
    association = store.instance_images.get(row.instance_id)
    return row.image_id or (None if association is None else association.image_id)


def open_rows(store: Store) -> Iterator[LaunchRow]:
    """Go through the open launches."""
    return (row for row in store.launches.values() if row.closed_at is None)


def open_count(store: Store, environment_id: str) -> int:
    """Count the open launches of an environment."""
    return sum(row.environment_id == environment_id for row in open_rows(store))


def limit_keys(launch: LaunchRow) -> list[tuple[str, str, str]]:
    """Return the keys of the limits that a launch takes a slot of."""
    found = keys(launch.tenant_id, launch.image_name, launch.queue)
    return [(scope.value, tenant_id, name) for scope, tenant_id, name in found]


def is_living(store: Store, environment_id: str, at: datetime) -> bool:
    """Return whether an environment's lease has not expired."""
    row = store.environments.get(environment_id)
    return row is not None and row.closed_at is None and row.lease_until > at


def heard_at(row: InstanceRow) -> datetime:
    """Return when an instance last showed life."""
    return row.last_activity_at or row.started_at or row.created_at


def waits_since(row: InstanceRow) -> datetime | None:
    """Return when an instance became or becomes launchable without a signal; None if never."""
    moments: list[datetime | None] = [row.launch_after]
    if row.launch_id is not None or (row.image_id is None and row.workflow is None):
        return None
    if row.state is State.ASLEEP:
        moments.append(row.sleep_until)
        moments.append(None if row.wake_claim_by is None else row.wake_claim_until)
    elif row.state is State.PENDING or (
        row.state is State.RUNNING and row.ended_run == row.run_epoch
    ):
        moments.append(row.created_at)
    else:
        return None
    return max(moment for moment in moments if moment is not None)


def told_since(store: Store, row: InstanceRow) -> datetime | None:
    """Return when a signal makes a suspended instance launchable; None if none does."""
    is_idle = row.launch_id is None and not (row.image_id is None and row.workflow is None)
    sent = store.unacknowledged(row.instance_id)
    suspended = row.state in (State.ASLEEP, State.PAUSED)
    if sent is None or not is_idle or not suspended:
        return None
    if not store.is_sent_for(row):
        return None
    claimed_until = None if row.wake_claim_by is None else row.wake_claim_until
    moments = (sent.created_at, row.launch_after, claimed_until)
    return max(moment for moment in moments if moment is not None)


def silent_from(row: InstanceRow, silence: timedelta, lost_silence: timedelta) -> datetime | None:
    """Return when a RUNNING instance without an open launch is launchable; None if never."""
    if row.launch_id is not None or row.state is not State.RUNNING:
        return None
    is_nameless = row.image_id is None and row.workflow is None
    if row.lost_run == row.run_epoch and not is_nameless:
        # A worker's run is fenced by its launch, so it need not be silent first.
        quiet = heard_at(row) + (timedelta(0) if row.image_id is None else lost_silence)
        return max(quiet, row.launch_after or quiet)
    # An instance whose run is over waits for its back-off instead.
    is_over = row.ended_run == row.run_epoch
    return None if row.image_id is None or is_over else heard_at(row) + silence


def moments(store: Store, silence: timedelta, lost_silence: timedelta) -> Iterator[datetime]:
    """Return the moments at which instances became or become launchable."""
    for row in store.instances.values():
        quiet = silent_from(row, silence, lost_silence)
        for moment in (waits_since(row), told_since(store, row), quiet):
            if moment is not None:
                yield moment


def room(store: Store, tenant_limit: int | None, environment_id: str | None, at: datetime) -> Room:
    """Return the slots that limits and holds leave free."""
    limits = list(store.limits.values())
    periods = {(row.tenant_id, row.name): row.rate_period for row in limits if row.rate_period}
    usage = []
    for row in store.launches.values():
        period = None if row.queue is None else periods.get((row.tenant_id, row.queue))
        begun = period is not None and row.created_at > at - period
        usage.append(
            LimitUsage(
                row.tenant_id,
                row.image_name,
                row.queue,
                row.environment_id == environment_id,
                int(row.closed_at is None),
                int(begun),
                row.created_at if begun else None,
            )
        )
    return Room(limits, usage, list(store.holds.values()), tenant_limit)


def claim(store: Store, offer: Offer, limit: int, at: datetime) -> Claims:
    """Carry out the port's step `launches.claim`."""
    environment = store.environments.get(offer.environment_id)
    if environment is None or not is_living(store, offer.environment_id, at):
        return Claims(has_lease=False)
    if environment.is_draining or not environment.capacity:
        return Claims(is_draining=True)
    free = room(store, offer.tenant_limit, offer.environment_id, at)
    candidates, targets = list(_candidates(store, offer, at)), _targets(store, offer, at)
    found = choose(candidates, targets, free, limit=limit, at=at)
    claimed = [_launch(store, offer, *one, at) for one in found.chosen]
    later = [each for each in moments(store, offer.silence, offer.lost_silence) if each > at]
    next_at = None if len(claimed) == limit else min(later, default=None)
    claims = Claims(tuple(claimed), again_at=found.again_at, next_at=next_at)
    others = any(is_for_others(offer, each.lane) for each in candidates)
    return replace(claims, is_held_back=found.is_held_back, has_others=others)


def _candidates(store: Store, offer: Offer, at: datetime) -> Iterator[Candidate]:
    for row in store.instances.values():
        quiet = silent_from(row, offer.silence, offer.lost_silence)
        moments = (waits_since(row), told_since(store, row), quiet)
        since = min((moment for moment in moments if moment is not None), default=None)
        if since is not None and since <= at:
            lane = Lane(row.tenant_id, row.image_id, row.workflow, row.queue, row.priority)
            yield Candidate(row.instance_id, lane, since, row.launch_count)


def _targets(store: Store, offer: Offer, at: datetime) -> Targets:
    images = {row.image_id: records.image(row) for row in store.images.values()}
    served: dict[tuple[str, str], Image] = {}
    for image in sorted(images.values(), key=lambda image: (image.created_at, image.image_id)):
        if image.is_current and image.deleted_at is None:
            served[image.tenant_id, image.workflow] = image
    worked = {
        (row.tenant_id, workflow)
        for row in store.environments.values()
        if row.tenant_id is not None and is_living(store, row.environment_id, at)
        for workflow in row.workflows
    }
    return Targets(offer, images, served, worked)


def _launch(
    store: Store, offer: Offer, candidate: Candidate, target: Target, at: datetime
) -> Assignment:
    row = store.instances[candidate.instance_id]
    image = target.image
    timeout = stored.timeout(row.timeout_ms, image)
    row.launch_id, row.launch_count = new_launch_id(), row.launch_count + 1
    row.image_id = None if image is None else image.image_id
    row.launch_sends_id = image is None or offer.sends_launch_id(image)
    row.ended_run, row.lost_run, row.launch_after = row.run_epoch, None, None
    launch = LaunchRow(
        launch_id=row.launch_id,
        instance_id=row.instance_id,
        number=row.launch_count,
        environment_id=offer.environment_id,
        tenant_id=row.tenant_id,
        created_at=at,
        image_id=row.image_id,
        image_name=None if image is None else image.name,
        workflow=row.workflow,
        queue=row.queue,
        runner=INLINE if image is None else image.runner_type,
        placement=INLINE if image is None else image.placement,
        timeout_at=None if timeout is None else at + timeout,
    )
    has_limit = any(key in store.limits for key in limit_keys(launch))
    launch.is_bounded = has_limit or offer.tenant_limit is not None
    store.launches[launch.launch_id] = launch
    return Assignment(
        launch_id=launch.launch_id,
        number=launch.number,
        instance_id=row.instance_id,
        tenant_id=row.tenant_id,
        run=row.run_epoch,
        created_at=at,
        image=image,
        workflow=row.workflow,
        checkpoint_id=row.checkpoint_id,
        env=env_of(store, row),
        timeout=timeout,
        crashes=row.crashes,
        priority=row.priority,
        queue=row.queue,
        last_cause=store.last_cause(row),
    )


def env_of(store: Store, row: InstanceRow) -> dict[str, str]:
    """Return the variables that an instance was started with."""
    return stored.env(env_text(store, row))


def env_text(store: Store, row: InstanceRow) -> str | None:
    """Return the variables as JSON; None if there are none."""
    association = store.instance_images.get(row.instance_id)
    return row.env or (None if association is None else association.env)


def image(store: Store, image_id: str, tenant_id: str) -> Image | None:
    """Find an image of a tenant that is not deleted."""
    row = store.images.get(image_id)
    if row is None or row.tenant_id != tenant_id or row.deleted_at is not None:
        return None
    return records.image(row)


def associate(store: Store, row: InstanceRow, at: datetime) -> None:
    """Note which image an instance was started with, as a Rust environment does."""
    if row.image_id is not None:
        store.instance_images[row.instance_id] = AssociationRow(
            instance_id=row.instance_id,
            image_id=row.image_id,
            tenant_id=row.tenant_id,
            created_at=at,
            env=row.env,
        )


def close_open_launch(store: Store, row: InstanceRow, at: datetime) -> str | None:
    """Close an instance's open launch because another run supersedes it; return the launch's id."""
    launch_id, row.launch_id = row.launch_id, None
    launch = None if launch_id is None else store.launches.get(launch_id)
    if launch is not None and launch.closed_at is None:
        launch.closed_at, launch.cause = at, "superseded"
        launch.run = run_of_launch(row)
        if launch.is_bounded:
            store.watchers.tell_launchable()
    return launch_id


def run_of_launch(row: InstanceRow) -> int | None:
    """Return the run of an instance's open launch; None if its process has not registered."""
    return row.run_epoch if row.run_epoch > (row.ended_run or 0) else None


def unblock(store: Store, row: InstanceRow, at: datetime) -> None:
    """Make a suspended instance due by a signal, whatever signals were sent before."""
    row.blocked_signal_at = None
    row.launch_after = None
    sent = store.unacknowledged(row.instance_id)
    if sent is None or sent.signal_type is SignalType.PAUSE:
        store.put_signal(
            SignalRow(
                instance_id=row.instance_id,
                signal_type=SignalType.RESUME,
                payload=b"",
                created_at=at,
            )
        )
    else:
        store.watchers.tell_launchable()
