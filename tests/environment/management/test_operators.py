"""What operators look at and turn, over the management port."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract import launching
from tests.contract.launching import KILLED, claim, close, hold_lease, put_image
from tests.environment.management.conftest import HERE, Port
from tests.environment.management.test_instances import BROKEN, DONE, image, launched, start

from runtara_domain.model import Caller, CheckpointWrite, Event, EventType
from runtara_domain.model.launches import Claims, Offer, OpenLaunch
from runtara_domain.status import OPEN
from runtara_environment.spawner.output import OutputLog
from runtara_management_sdk import Conflict, Granularity, NotFound, Queue, Scope
from runtara_management_sdk.transport import Transport
from runtara_protocol.pb import environment_pb2 as pb
from runtara_sdk.errors import RequestNotKnown, ServerError, ValidationFailed


async def test_health_says_what_runs_here(port: Port) -> None:
    """Version, uptime and open launches."""
    await start(port, "i")
    await launched(port, "i")

    health = await port.client.health()

    assert (health.is_healthy, health.version, health.open_launches) == (True, "1.2.3", 1)
    assert timedelta(0) <= health.uptime < timedelta(minutes=5)


async def test_launches_are_listed_with_how_they_ended(port: Port) -> None:
    """The newest first; open ones alone if asked for."""
    await start(port, "i")
    await launched(port, "i")
    await port.end("i", BROKEN)
    await port.client.instances.wait("i")
    await port.client.instances.retry("i")
    await launched(port, "i")

    launches = [one async for one in port.client.launches.list(instance_id="i")]
    still_open = [
        one async for one in port.client.launches.list(environment_id=HERE, open_only=True)
    ]

    assert [(one.number, one.cause, one.exit_code) for one in launches] == [
        (2, None, None),
        (1, "exited", 1),
    ]
    assert still_open == launches[:1]


async def test_a_log_is_read_and_followed(port: Port) -> None:
    """Pieces come as they are written, the rotated part first, until the process has ended."""
    await start(port, "i")
    await launched(port, "i")
    folder = port.run_folder("i")
    (folder / "stderr.log.1").write_bytes(b"older\n")
    (folder / "stderr.log").write_bytes(b"one\n")
    read: list[bytes] = []

    async def follow() -> None:
        read.extend([piece async for piece in port.client.launches.log("i", follow=True)])

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.2)
    with (folder / "stderr.log").open("ab") as file:
        file.write(b"two\n")
    await asyncio.sleep(0.2)
    await port.end("i", DONE)
    await asyncio.wait_for(following, 20)

    assert b"".join(read) == b"older\none\ntwo\n"
    once = [piece async for piece in port.client.launches.log("i")]
    assert b"".join(once) == b"older\none\ntwo\n"
    with pytest.raises(NotFound, match="not found"):
        [piece async for piece in port.client.launches.log("unknown")]


async def test_of_a_far_log_its_stored_end_is_shown(port: Port) -> None:
    """After the launch's end any environment shows it. Before, its own environment is asked."""
    image = await put_image(port.persistence, placement="ray")
    await hold_lease(port.persistence, "e")
    await launching.start(port.persistence, "i", image_id=image.image_id)
    [far] = await claim(port.persistence)
    with pytest.raises(NotFound, match="ran in environment e; ask that environment"):
        [piece async for piece in port.client.launches.log("i")]

    await close(port.persistence, far.launch_id, replace(KILLED, stderr="one\ntwo\n"))
    request = pb.GetLogRequest(instance_id="i", offset=4, limit=2)
    transport = Transport(port.settings())
    part = await transport.ask(pb.RpcRequest(get_log=request))
    await transport.aclose()

    assert b"".join([piece async for piece in port.client.launches.log("i")]) == b"one\ntwo\n"
    assert (part.data, part.next_offset, part.is_complete) == (b"tw", 6, False)


async def test_a_log_that_was_rotated_is_read_on_where_it_was(port: Port) -> None:
    """Offsets count from the first byte that was written, whether or not it is still there."""
    await start(port, "i")
    await launched(port, "i")
    folder = port.run_folder("i")
    log = OutputLog(folder, 20)

    async def read(offset: int) -> tuple[bytes, int]:
        request = pb.RpcRequest(get_log=pb.GetLogRequest(instance_id="i", offset=offset))
        answer = await transport.ask(request)
        return answer.data, answer.next_offset

    transport, writer = Transport(port.settings()), log.open_writer()
    found: list[tuple[bytes, int]] = []
    for text in (b"0123456789abcde", b"fghij", b"klmnopqrst!"):
        os.write(writer, text)
        log.pump()
        found.append(await read(found[-1][1] if found else 0))
    whole = await read(0)
    await transport.aclose()
    os.close(writer)
    log.close()

    assert found == [(b"0123456789abcde", 15), (b"fghij", 20), (b"klmnopqrst!", 31)]
    assert whole == (b"klmnopqrst!", 31)


async def test_history_is_listed(port: Port) -> None:
    """
    Checkpoints come newest first with their sizes, events in order, and both by filters.

    States of checkpoints come along in the same request, if they are small.
    """
    await start(port, "i")
    await launched(port, "i")
    me = Caller("i", await port.run("i"))
    now = port.launcher.now()
    for number in range(3):
        write = CheckpointWrite(f"step#{number}", bytes(number))
        await port.persistence.checkpoints.save(me, write, when=OPEN, at=now)
    event = Event(EventType.CUSTOM, b"half done", now, subtype="progress")
    await port.persistence.events.append(me, event, when=OPEN, at=now)
    instances = port.client.instances

    checkpoints = [one async for one in instances.checkpoints("i")]
    small = [one async for one in instances.checkpoints("i", largest_state=1)]
    events = [one async for one in instances.events("i", subtype="progress")]

    assert [(one.checkpoint_id, one.size_bytes) for one in checkpoints] == [
        ("step#2", 2),
        ("step#1", 1),
        ("step#0", 0),
    ]
    assert [one.state for one in checkpoints] == [None, None, None]
    assert [one.state for one in small] == [None, b"\0", b""]
    assert await instances.history("i") == [
        ("step#0", b""),
        ("step#1", b"\0"),
        ("step#2", b"\0\0"),
    ]
    with pytest.raises(ValidationFailed, match="largest_data_bytes: "):
        [one async for one in instances.checkpoints("i", largest_state=65_537)]
    assert await instances.checkpoint("i", "step#2") == bytes(2)
    assert await instances.checkpoint("i", "none") is None
    assert [(one.type, one.payload) for one in events] == [("custom", b"half done")]
    with pytest.raises(ValidationFailed, match="event_type: takes one of"):
        [one async for one in instances.events("i", event_type="x")]


@pytest.mark.parametrize(
    ("limit", "offset", "listed"),
    [(2, 0, 2), (3, 0, 3), (4, 0, 3), (2, 2, 1), (3, 3, 0), (2, 9, 0), (0, 0, 3)],
)
async def test_a_page_of_a_history_has_the_number_of_all(
    port: Port, limit: int, offset: int, listed: int
) -> None:
    """Also a page that is just full, the last one, and one after the last."""
    await start(port, "i")
    await launched(port, "i")
    me = Caller("i", await port.run("i"))
    now = port.launcher.now()
    for number in range(3):
        write = CheckpointWrite(f"step#{number}", b"")
        await port.persistence.checkpoints.save(me, write, when=OPEN, at=now)
        event = Event(EventType.CUSTOM, b"", now, subtype="progress")
        await port.persistence.events.append(me, event, when=OPEN, at=now)
    transport = Transport(port.settings())
    checkpoints = await transport.ask(
        pb.RpcRequest(
            list_checkpoints=pb.ListCheckpointsRequest(instance_id="i", limit=limit, offset=offset)
        )
    )
    events = await transport.ask(
        pb.RpcRequest(
            list_events=pb.ListEventsRequest(
                instance_id="i", limit=limit, offset=offset, subtype="progress"
            )
        )
    )
    await transport.aclose()

    assert (len(checkpoints.checkpoints), checkpoints.total_count) == (listed, 3)
    assert (len(events.events), events.total_count) == (listed, 3)


async def test_metrics_have_empty_buckets_too(port: Port) -> None:
    """A day by the hour; ends are counted by how they came."""
    for name, ending in (("a", DONE), ("b", BROKEN)):
        await start(port, name)
        await launched(port, name)
        await port.end(name, ending)
        await port.client.instances.wait(name)

    buckets = await port.client.metrics("acme", granularity=Granularity.HOURLY)

    assert len(buckets) in (24, 25)
    last = buckets[-1]
    assert (last.invocations, last.successes, last.failures) == (2, 1, 1)
    assert (last.success_rate_percent, buckets[0].invocations) == (50.0, 0)


async def test_a_hold_keeps_instances_from_being_launched(port: Port) -> None:
    """The status says why; once it is released they are launched."""
    environments = port.client.environments
    await environments.hold(Scope.TENANT, "acme", reason="migration")
    await start(port, "i")
    await asyncio.sleep(0.1)
    held = await port.client.instances.get("i")

    assert held is not None
    assert held.not_launched == "held: tenant acme (migration)"
    assert [(one.scope, one.tenant_id) for one in await environments.holds()] == [
        (Scope.TENANT, "acme")
    ]
    await environments.release(Scope.TENANT, "acme")
    await launched(port, "i")
    with pytest.raises(NotFound):
        await environments.release(Scope.TENANT, "acme")


async def test_a_drained_environment_claims_nothing(port: Port) -> None:
    """It is listed as draining, and launches again when the drain is taken back."""
    environments = port.client.environments
    await environments.drain(HERE)
    [listed] = await environments.list()
    assert (listed.environment_id, listed.kind, listed.is_draining) == (HERE, "environment", True)
    await environments.drain(HERE, drain=False)
    await start(port, "i")
    await launched(port, "i")
    with pytest.raises(NotFound):
        await environments.drain("unknown")


async def test_queues_and_limits_bound_what_runs(port: Port) -> None:
    """A queue of one runs one; a limit of an image name is shown with its use."""
    queues = port.client.queues
    mail = Queue(tenant_id="acme", name="mail", concurrency=1)
    assert await queues.put(mail) is True
    assert await queues.put(mail) is False
    for name in ("a", "b"):
        await start(port, name, queue="mail")
    async with asyncio.timeout(60):
        while not (shown := (await queues.list("acme"))[0]).running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert (shown.concurrency, shown.running, shown.waiting) == (1, 1, 1)
    with pytest.raises(Conflict, match="2 open instances"):
        await queues.delete("acme", "mail")
    [first] = port.placement.living()
    await port.end(first, DONE)
    [second] = {"a", "b"} - {first}
    await launched(port, second)
    await queues.limit(Scope.IMAGE_NAME, "acme", "orders", max_concurrent=5)
    [limit] = await queues.limits("acme")
    assert (limit.scope, limit.max_concurrent, limit.running) == (Scope.IMAGE_NAME, 5, 1)
    await queues.limit(Scope.IMAGE_NAME, "acme", "orders", max_concurrent=None)
    assert await queues.limits("acme") == []
    await port.end(second, DONE)
    await port.client.instances.wait(second)
    await queues.delete("acme", "mail")
    with pytest.raises(NotFound):
        await queues.delete("acme", "mail")


async def test_what_this_server_does_not_have_is_empty(port: Port) -> None:
    """Agents and capabilities are none; an operation it does not know is an empty request."""
    transport = Transport(port.settings())
    agents = await transport.ask(pb.RpcRequest(list_agents=pb.ListAgentsRequest()))
    capability = await transport.ask(
        pb.RpcRequest(get_capability=pb.GetCapabilityRequest(agent_id="a", capability_id="c"))
    )

    assert agents.agents_json == b"[]"
    assert not capability.found
    with pytest.raises(ServerError) as refused:
        await transport.ask(pb.RpcRequest(test_capability=pb.TestCapabilityRequest()))
    assert refused.value.code == "UNSUPPORTED"
    with pytest.raises(RequestNotKnown):
        await transport.ask(pb.RpcRequest())
    await transport.aclose()


async def test_a_worker_claims_reports_and_leaves(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves workflows by name: what it claims is its own until it reports how it ended."""
    transport = Transport(port.settings())
    served = [pb.ServedWorkflow(name="flow")]
    opening = pb.OpenWorkerRequest(
        environment_id="w", tenant_id="acme", workflows=served, capacity=2, machine="m"
    )
    claim = pb.ClaimLaunchesRequest(environment_id="w", limit=5, wait_ms=5000)
    with pytest.raises(ServerError) as refused:
        await transport.ask(pb.RpcRequest(claim_launches=claim))
    assert refused.value.code == "LEASE_LOST"
    opened = await transport.ask(pb.RpcRequest(open_worker=opening))
    assert (opened.renew_every_ms, len(opened.open_launches)) == (3_000, 0)
    claiming = asyncio.create_task(transport.ask(pb.RpcRequest(claim_launches=claim), hold=5))
    await asyncio.sleep(0.1)
    await port.client.instances.start("acme", workflow="flow", instance_id="i")

    [given] = (await claiming).assignments
    assert (given.instance_id, given.workflow) == ("i", "flow")
    renewing = pb.RenewWorkerRequest(environment_id="w", launch_ids=[given.launch_id, "gone"])
    renewed = await transport.ask(pb.RpcRequest(renew_worker=renewing))
    assert (list(renewed.closed), list(renewed.stops), renewed.drain) == (["gone"], [], False)
    end = pb.LaunchEnd(launch_id=given.launch_id, cause="exited", exit_code=1, error="broken")
    report = pb.RpcRequest(report_launches=pb.ReportLaunchesRequest(environment_id="w", ends=[end]))
    reported = await transport.ask(report)
    assert list(reported.already_closed) == []
    assert list((await transport.ask(report)).already_closed) == [given.launch_id]
    found = await port.client.instances.get("i")
    assert found is not None
    assert (found.status, found.error) == ("failed", "broken")

    # What it has claimed and not reported is closed with it, and launchable at once.
    await port.client.instances.start("acme", workflow="flow", instance_id="j")
    await transport.ask(pb.RpcRequest(claim_launches=claim))
    late = await claim_late(port, "w", monkeypatch)
    await transport.ask(pb.RpcRequest(close_worker=pb.CloseWorkerRequest(environment_id="w")))
    assert [claims.is_draining for claims in late] == [True]
    [launch] = [one async for one in port.client.launches.list(instance_id="j")]
    left = await port.client.instances.get("j")
    assert left is not None
    assert (launch.cause, left.status, left.crashes) == ("stopped", "pending", 0)
    assert left.next_launch_at is not None
    assert left.next_launch_at <= datetime.now(UTC)
    with pytest.raises(ServerError) as refused:
        await transport.ask(pb.RpcRequest(close_worker=pb.CloseWorkerRequest(environment_id=HERE)))
    assert refused.value.code == "CONFLICT"
    opening = pb.OpenWorkerRequest(environment_id=HERE, tenant_id="acme", workflows=served)
    with pytest.raises(ServerError, match="takes the id of a worker") as refused:
        await transport.ask(pb.RpcRequest(open_worker=opening))
    assert refused.value.code == "VALIDATION_ERROR"
    await transport.aclose()


async def test_what_an_abandoned_claim_takes_is_given_back(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client gives it up while it is carried out: it would be launched by nothing."""
    claim_at_once = port.persistence.launches.claim
    has_claimed, may_go_on = asyncio.Event(), asyncio.Event()

    async def claim_slowly(offer: Offer, *, limit: int, at: datetime) -> Claims:
        claims = await claim_at_once(offer, limit=limit, at=at)
        if offer.environment_id == "w" and claims.assignments:
            has_claimed.set()
            await may_go_on.wait()
        return claims

    monkeypatch.setattr(port.persistence.launches, "claim", claim_slowly)
    transport = Transport(port.settings())
    served = [pb.ServedWorkflow(name="flow")]
    opening = pb.OpenWorkerRequest(
        environment_id="w", tenant_id="acme", workflows=served, capacity=1
    )
    await transport.ask(pb.RpcRequest(open_worker=opening))
    await port.client.instances.start("acme", workflow="flow", instance_id="i")
    asked = pb.ClaimLaunchesRequest(environment_id="w", limit=1, wait_ms=5000)
    claiming = asyncio.create_task(transport.ask(pb.RpcRequest(claim_launches=asked)))
    await has_claimed.wait()
    claiming.cancel()
    # Once this is answered, the server has received it.
    await transport.ask(pb.RpcRequest(health_check=pb.HealthCheckRequest()))
    may_go_on.set()
    async with asyncio.timeout(60):
        while not (  # noqa: ASYNC110
            (left := await port.client.instances.get("i")) and left.next_launch_at
        ):
            await asyncio.sleep(0.01)

    [launch] = [one async for one in port.client.launches.list(instance_id="i")]
    assert (launch.cause, left.status, left.crashes) == ("stopped", "pending", 0)
    assert left.next_launch_at <= datetime.now(UTC)
    await transport.aclose()


async def claim_late(port: Port, worker_id: str, monkeypatch: pytest.MonkeyPatch) -> list[Claims]:
    """Have a worker claim right after its open launches are read; gives what that gave."""
    launches = port.persistence.launches
    read = launches.open_launches
    late: list[Claims] = []
    offer = Offer(environment_id=worker_id, workflows=frozenset({"flow"}), tenant_id="acme")
    await port.client.instances.start("acme", workflow="flow", instance_id="k")

    async def read_then_claim(environment_id: str, *, at: datetime) -> list[OpenLaunch]:
        rows = await read(environment_id, at=at)
        if environment_id == worker_id:
            late.append(await launches.claim(offer, limit=1, at=at))
        return list(rows)

    monkeypatch.setattr(launches, "open_launches", read_then_claim)
    return late


async def test_an_image_that_waits_is_named(port: Port) -> None:
    """An image whose code can't be loaded shows its problem, and so does its instance."""
    image_id = await image(port)
    await start(port, "i", image_id=image_id, delay=timedelta(hours=1))
    await port.persistence.images.set_problem(image_id, "no module named orders")

    found = await port.client.images.get(image_id, "acme")
    instance = await port.client.instances.get("i")

    assert found is not None
    assert instance is not None
    assert found.problem == "no module named orders"
    assert instance.is_blocked or "no module named orders" in (instance.not_launched or "")


async def test_finished_instances_are_pruned(port: Port) -> None:
    """Open ones stay; the time is required."""
    await start(port, "i")
    await launched(port, "i")
    await port.end("i", BROKEN)
    await port.client.instances.wait("i")
    await start(port, "open")

    deleted = await port.client.instances.prune(datetime.now(UTC) + timedelta(minutes=1))
    again = await port.client.instances.prune(datetime.now(UTC) + timedelta(minutes=1))
    left = [one.instance_id async for one in port.client.instances.list()]

    assert (deleted, again, left) == (1, 0, ["open"])
    with pytest.raises(ValidationFailed, match="finished_before_ms is required"):
        await Transport(port.settings()).ask(
            pb.RpcRequest(prune_instances=pb.PruneInstancesRequest())
        )
