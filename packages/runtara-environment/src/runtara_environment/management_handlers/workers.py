"""Workers: environments whose runner is their own process, and which have no database."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.timed_event import TimedEvent
from runtara_domain.launching.verdicts import judge
from runtara_domain.model.environments import Lease, NewEnvironment
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, Closed, Closing, Offer, OpenLaunch
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.model.verdicts import LaunchedInstance, Verdict
from runtara_environment.errors import Conflict, LeaseLost
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.management_handlers import translation
from runtara_environment.served_worker import ServedWorker
from runtara_protocol.pb import environment_pb2 as pb

TTL = timedelta(seconds=10)
RENEW_EVERY = timedelta(seconds=3)
_LONGEST_WAIT = timedelta(minutes=1)
_MAX_CLAIMED = 1000
"""Launches that are claimed, or reported, by a message."""
_EVER = timedelta(days=36_500)


async def open_worker(
    core: Management, request: ManagementRequest, message: pb.OpenWorkerRequest
) -> pb.RpcResponse:
    """Take or renew a worker's lease; the answer has its open launches."""
    names = frozenset(served.name for served in message.workflows)
    tenant_id = translation.required(message, "tenant_id")
    new = NewEnvironment(
        environment_id=message.environment_id,
        machine=message.machine,
        version=message.version,
        # One that says none bounds itself by its claims; 0 is what an environment has that leaves.
        capacity=max(message.capacity, 1),
        kind=EnvironmentKind.WORKER,
        tenant_id=tenant_id,
        workflows=names,
    )
    lease = await core.persistence.environments.open(new, ttl=TTL)
    core.workers[new.environment_id] = ServedWorker(
        offer=Offer(environment_id=new.environment_id, workflows=names, tenant_id=tenant_id),
        launches=core.persistence.launches,
        launcher=core.launcher,
    )
    open_launches = await core.persistence.launches.open_launches(new.environment_id, at=lease.now)
    return pb.RpcResponse(
        open_worker=pb.OpenWorkerResponse(
            now_ms=translation.milliseconds(lease.now),
            lease_until_ms=translation.milliseconds(lease.until),
            renew_every_ms=RENEW_EVERY // timedelta(milliseconds=1),
            open_launches=map(_taken_up, open_launches),
            has_core=core.has_core,
        )
    )


async def claim_launches(
    core: Management, request: ManagementRequest, message: pb.ClaimLaunchesRequest
) -> pb.RpcResponse:
    """Claim instances of the workflows that a worker serves, and wait for one."""
    worker = core.workers.get(message.environment_id)
    if worker is None:
        raise LeaseLost("the worker's lease is unknown here; open it first")
    values.check_range("limit", message.limit, 1, _MAX_CLAIMED)
    until = core.clock.uptime() + min(timedelta(milliseconds=message.wait_ms), _LONGEST_WAIT)
    wake_up, over, abandoned = TimedEvent(core.clock), asyncio.Event(), asyncio.Event()

    def end() -> None:
        over.set()
        wake_up.set()

    def abandon() -> None:
        abandoned.set()
        end()

    assignments: Sequence[Assignment] = ()
    with (
        request.on_abandoned(abandon),
        core.ending.calling(end),
        core.launcher.launchable.calling(wake_up.set),
    ):
        # A claim for a client that is gone would not be launched.
        while not over.is_set():
            wake_up.clear()
            assignments = await worker.claim(message.limit)
            left = until - core.clock.uptime()
            if assignments or left <= timedelta(0):
                break
            await wake_up.wait(worker.until_next(left))
    if abandoned.is_set() and assignments:
        await _give_back(core, [one.launch_id for one in assignments], "the worker is gone")
        core.launcher.recheck()
        assignments = ()
    return pb.RpcResponse(
        claim_launches=pb.ClaimLaunchesResponse(assignments=map(_assigned, assignments))
    )


async def renew_worker(
    core: Management, request: ManagementRequest, message: pb.RenewWorkerRequest
) -> pb.RpcResponse:
    """Renew a lease; the answer names the launches that are lost, and those to stop."""
    values.check_id("environment_id", message.environment_id)
    lease = await core.persistence.environments.renew(message.environment_id, ttl=TTL)
    if lease is None:
        raise LeaseLost("the worker has no lease: it never had one, or it has ended; open it again")
    return await _renewed(core, message, lease)


async def _renewed(
    core: Management, message: pb.RenewWorkerRequest, lease: Lease
) -> pb.RpcResponse:
    found = await core.persistence.launches.open_launches(message.environment_id, at=lease.now)
    still_open = {launch.launch_id for launch in found}
    stops = [
        pb.Stop(
            launch_id=launch.launch_id,
            stop_at_ms=translation.milliseconds(launch.stop_at),
            reason=launch.stop_reason or "",
        )
        for launch in found
        if launch.stop_at is not None
    ]
    return pb.RpcResponse(
        renew_worker=pb.RenewWorkerResponse(
            now_ms=translation.milliseconds(lease.now),
            lease_until_ms=translation.milliseconds(lease.until),
            closed=[one for one in message.launch_ids if one not in still_open],
            stops=stops,
            drain=lease.is_draining,
        )
    )


async def report_launches(
    core: Management, request: ManagementRequest, message: pb.ReportLaunchesRequest
) -> pb.RpcResponse:
    """
    Close launches with their verdicts.

    If closing one fails, the others are closed first; then its error is raised. A repeated report
    closes those that are left.
    """
    values.check_range("ends", len(message.ends), 0, _MAX_CLAIMED)
    closings = [Closing(one.launch_id, _end(one), random.random()) for one in message.ends]
    judge, at = partial(_verdict, core.crashes), core.launcher.now()
    # At once, so that they share commits.
    outcomes = await asyncio.gather(
        *(core.persistence.launches.close(closing, judge, at=at) for closing in closings),
        return_exceptions=True,
    )
    all_closed = [one for one in outcomes if not isinstance(one, BaseException)]
    _tell_of_ends(core, all_closed)
    if any(closed.after is None or not closed.after.is_final for closed in all_closed):
        core.launcher.recheck()
    core.launcher.freed()
    for one in outcomes:
        if isinstance(one, BaseException):
            raise one
    pairs = zip(closings, all_closed, strict=True)
    already_closed = [closing.launch_id for closing, closed in pairs if not closed.is_closed]
    return pb.RpcResponse(report_launches=pb.ReportLaunchesResponse(already_closed=already_closed))


def _tell_of_ends(core: Management, all_closed: Iterable[Closed]) -> None:
    """Have clients answered that wait for these instances; one that goes on is no news."""
    for closed in all_closed:
        if closed.instance_id is None:
            continue
        if closed.after is None:
            core.operations.endings.tell([closed.instance_id])
        elif closed.after.is_final:
            core.operations.endings.ended([closed.instance_id])


def _verdict(crashes: CrashPolicy, end: LaunchEnd, instance: LaunchedInstance) -> Verdict:
    verdict = judge(end, instance, crashes)
    if end.cause is Cause.STOPPED and verdict.delay is not None:
        # The worker leaves: its instances go on elsewhere at once.
        return replace(verdict, delay=timedelta(0))
    return verdict


async def close_worker(
    core: Management, request: ManagementRequest, message: pb.CloseWorkerRequest
) -> pb.RpcResponse:
    """End a worker's lease; instances of unreported launches go on elsewhere at once."""
    environment_id, environments = message.environment_id, core.persistence.environments
    values.check_id("environment_id", environment_id)
    await _check_is_worker(core, environment_id)
    core.workers.pop(environment_id, None)
    # After the drain the worker claims nothing more, and no claim is under way. If its lease ended
    # before, another environment could close its launches as lost, and they would back off.
    if await environments.drain(environment_id, draining=True):
        # A claim that was cut off may have been executed.
        left = await core.persistence.launches.open_launches(environment_id, at=core.launcher.now())
        await _give_back(core, [row.launch_id for row in left], "the worker has ended")
        await environments.close(environment_id)
    core.launcher.recheck()
    return pb.RpcResponse(close_worker=pb.CloseWorkerResponse())


async def _check_is_worker(core: Management, environment_id: str) -> None:
    """Refuse an environment or a node: processes of its launches may be alive."""
    for one in await core.persistence.environments.page(gone_for=_EVER):
        if one.environment_id == environment_id and one.kind is not EnvironmentKind.WORKER:
            raise Conflict(
                f"environment_id: takes the id of a worker, and {environment_id!r} is of the kind"
                f" {one.kind.value}: drain it, and end its process"
            )


async def _give_back(core: Management, launch_ids: Iterable[str], reason: str) -> None:
    """Close launches that nothing has begun, or goes on with."""
    end = LaunchEnd(cause=Cause.STOPPED, reports=False, reason=reason)
    judge, at = partial(_verdict, core.crashes), core.launcher.now()
    for launch_id in launch_ids:
        closing = Closing(launch_id, end, random.random())
        await core.persistence.launches.close(closing, judge, at=at)


def _end(ended: pb.LaunchEnd) -> LaunchEnd:
    if ended.cause not in set(Cause):
        raise InvalidValue(f"cause: takes one of {', '.join(Cause)}, got {ended.cause!r}")
    return LaunchEnd(
        cause=Cause(ended.cause),
        reports=True,
        exit_code=ended.exit_code if ended.HasField("exit_code") else None,
        signal=ended.exit_signal if ended.HasField("exit_signal") else None,
        reason=ended.error,
        cpu_usage_usec=ended.cpu_usage_usec if ended.HasField("cpu_usage_usec") else None,
    )


def _assigned(given: Assignment) -> pb.Assignment:
    seconds = None if given.timeout is None else int(given.timeout.total_seconds())
    return pb.Assignment(
        launch_id=given.launch_id,
        instance_id=given.instance_id,
        workflow=given.workflow or "",
        tenant_id=given.tenant_id,
        checkpoint_id=given.checkpoint_id,
        queue=given.queue,
        crashes=given.crashes,
        timeout_seconds=seconds,
        is_suspect=given.is_suspect,
    )


def _taken_up(launch: OpenLaunch) -> pb.Assignment:
    return pb.Assignment(
        launch_id=launch.launch_id,
        instance_id=launch.instance_id,
        workflow=launch.workflow or "",
        tenant_id=launch.tenant_id,
        queue=launch.queue,
    )
