"""The protocol of workers, which run instances in their own process and have no database."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from runtara_management_sdk.answers import Asks
from runtara_management_sdk.worker_records import Assignment, Ended, Lease, Renewed, Stop
from runtara_protocol.pb import environment_pb2 as pb

_MILLISECOND = timedelta(milliseconds=1)


class Workers:
    """A worker's requests; each call except `open` raises LeaseLost without a valid lease."""

    def __init__(self, transport: Asks) -> None:
        self._transport = transport

    async def open(
        self,
        worker_id: str,
        tenant_id: str,
        workflows: Collection[str],
        *,
        capacity: int,
        machine: str = "",
        version: str = "",
    ) -> Lease:
        """
        Take a lease for this worker id, or renew its lease.

        A drain of a lease that is still valid is kept. capacity: the most launches at once.
        """
        request = pb.OpenWorkerRequest(
            environment_id=worker_id,
            tenant_id=tenant_id,
            workflows=[pb.ServedWorkflow(name=name) for name in sorted(workflows)],
            capacity=capacity,
            machine=machine,
            version=version,
        )
        answer = await self._transport.ask(pb.RpcRequest(open_worker=request))
        good_for = (answer.lease_until_ms - answer.now_ms) * _MILLISECOND
        open_launches = {one.launch_id: one.instance_id for one in answer.open_launches}
        renew_every = answer.renew_every_ms * _MILLISECOND
        return Lease(good_for, renew_every, open_launches, answer.has_core)

    async def claim(self, worker_id: str, limit: int, *, wait: timedelta) -> Sequence[Assignment]:
        """
        Claim up to `limit` due instances of the served workflows; waits until there is one.

        Returns an empty sequence after `wait`. A request whose answer is lost is not repeated.
        """
        request = pb.ClaimLaunchesRequest(
            environment_id=worker_id, limit=limit, wait_ms=wait // _MILLISECOND
        )
        answer = await self._transport.ask(
            pb.RpcRequest(claim_launches=request), is_repeatable=False, hold=wait.total_seconds()
        )
        return [_assignment(one) for one in answer.assignments]

    async def renew(self, worker_id: str, launch_ids: Collection[str]) -> Renewed:
        """Renew the lease; the result names the launches that are lost, and those to stop."""
        request = pb.RenewWorkerRequest(environment_id=worker_id, launch_ids=launch_ids)
        answer = await self._transport.ask(pb.RpcRequest(renew_worker=request))
        stops = [
            Stop(one.launch_id, (one.stop_at_ms - answer.now_ms) * _MILLISECOND, one.reason)
            for one in answer.stops
        ]
        return Renewed(
            (answer.lease_until_ms - answer.now_ms) * _MILLISECOND,
            frozenset(answer.closed),
            tuple(stops),
            answer.drain,
        )

    async def report(self, worker_id: str, ends: Collection[Ended]) -> None:
        """Report the ends of launches; a launch that is closed already keeps its verdict."""
        request = pb.ReportLaunchesRequest(
            environment_id=worker_id,
            ends=[
                pb.LaunchEnd(
                    launch_id=one.launch_id,
                    cause=one.cause,
                    exit_code=one.exit_code,
                    exit_signal=one.exit_signal,
                    error=one.error or None,
                )
                for one in ends
            ],
        )
        await self._transport.ask(pb.RpcRequest(report_launches=request))

    async def close(self, worker_id: str) -> None:
        """End the lease; instances of open launches are launchable elsewhere at once."""
        request = pb.CloseWorkerRequest(environment_id=worker_id)
        await self._transport.ask(pb.RpcRequest(close_worker=request))


def _assignment(message: pb.Assignment) -> Assignment:
    seconds = message.timeout_seconds if message.HasField("timeout_seconds") else None
    return Assignment(
        launch_id=message.launch_id,
        instance_id=message.instance_id,
        tenant_id=message.tenant_id,
        workflow=message.workflow,
        crashes=message.crashes,
        timeout=None if seconds is None else timedelta(seconds=seconds),
        is_suspect=message.is_suspect or message.crashes > 0,
    )
