"""Workers over the management port: claims while they are drained, and reports of ends."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from tests.environment.management.conftest import Port

from runtara_domain.error import CoreError
from runtara_domain.launching.endings import Endings
from runtara_domain.model.launches import Closed, Closing
from runtara_management_sdk.transport import Transport
from runtara_protocol.pb import environment_pb2 as pb
from runtara_sdk.errors import ServerError, ValidationFailed


async def open_worker(transport: Transport) -> None:
    """Open a worker that serves one workflow."""
    opening = pb.OpenWorkerRequest(
        environment_id="w",
        tenant_id="acme",
        workflows=[pb.ServedWorkflow(name="flow")],
        capacity=2,
        machine="m",
    )
    await transport.ask(pb.RpcRequest(open_worker=opening))


def report(*launch_ids: str) -> pb.RpcRequest:
    """Report that launches have exited."""
    ends = [pb.LaunchEnd(launch_id=one, cause="exited", exit_code=1) for one in launch_ids]
    return pb.RpcRequest(report_launches=pb.ReportLaunchesRequest(environment_id="w", ends=ends))


async def test_a_report_closes_and_names_what_can_be_closed(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first error is answered then; the same report again closes the rest."""
    transport = Transport(port.settings())
    await open_worker(transport)
    for name in ("i", "j"):
        await port.client.instances.start("acme", workflow="flow", instance_id=name)
    claim = pb.ClaimLaunchesRequest(environment_id="w", limit=5)
    claimed = await transport.ask(pb.RpcRequest(claim_launches=claim))
    ids = {one.instance_id: one.launch_id for one in claimed.assignments}
    told = set[str]()
    close = port.persistence.launches.close
    j_is_closed = asyncio.Event()

    def note(endings: Endings, instance_ids: Collection[str]) -> None:
        told.update(instance_ids)

    async def fail(closing: Closing, *arguments: Any, **options: Any) -> Closed:
        if closing.launch_id == ids["i"]:
            await j_is_closed.wait()
            raise CoreError("the disk is full")
        closed = await close(closing, *arguments, **options)
        j_is_closed.set()
        return closed

    monkeypatch.setattr(Endings, "ended", note)
    with monkeypatch.context() as failing:
        failing.setattr(port.persistence.launches, "close", fail)
        with pytest.raises(ServerError, match="the disk is full"):
            await transport.ask(report(ids["i"], ids["j"]))
    told_first = set(told)
    again = await transport.ask(report(ids["i"], ids["j"]))
    await transport.aclose()

    assert told_first == {"j"}
    assert list(again.already_closed) == [ids["j"]]
    assert told >= {"i", "j"}


async def test_a_report_of_too_many_ends_is_refused(port: Port) -> None:
    transport = Transport(port.settings())
    with pytest.raises(ValidationFailed, match="ends: takes 0 to 1000, got 1001"):
        await transport.ask(report(*map(str, range(1001))))
    await transport.aclose()


async def test_a_worker_that_states_no_capacity_is_bounded_by_its_claims(port: Port) -> None:
    transport = Transport(port.settings())
    opening = pb.OpenWorkerRequest(environment_id="w", tenant_id="acme")
    opening.workflows.add(name="flow")
    await transport.ask(pb.RpcRequest(open_worker=opening))
    for name in ("i", "j"):
        await port.client.instances.start("acme", workflow="flow", instance_id=name)
    claim = pb.ClaimLaunchesRequest(environment_id="w", limit=5)
    claimed = await transport.ask(pb.RpcRequest(claim_launches=claim))
    await transport.aclose()

    assert {one.instance_id for one in claimed.assignments} == {"i", "j"}


async def test_a_worker_claims_nothing_while_it_is_drained_and_goes_on_at_once(port: Port) -> None:
    """A claim that waits gives no error then, at which a worker would take its lease again."""
    transport = Transport(port.settings())
    await open_worker(transport)
    claim = pb.ClaimLaunchesRequest(environment_id="w", limit=5, wait_ms=60_000)
    claiming = asyncio.create_task(transport.ask(pb.RpcRequest(claim_launches=claim)))
    await port.client.environments.drain("w")
    await port.client.instances.start("acme", workflow="flow", instance_id="i")
    renewing = pb.RpcRequest(renew_worker=pb.RenewWorkerRequest(environment_id="w"))
    renewed = await transport.ask(renewing)
    is_done = claiming.done()
    await port.client.environments.drain("w", drain=False)
    claimed = await claiming
    await transport.aclose()

    assert (renewed.drain, is_done) == (True, False)
    assert [one.instance_id for one in claimed.assignments] == ["i"]
