"""A loop that is blocked, and a server that goes away: processes against the installed server."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.sdk.fake_server import DEFAULTS, Act, FakeServer, hang_up, refuse, reply, reset
from tests.sdk.workflow.launches import Launcher, ended, launching
from tests.sdk.workflow.probe import probe
from tests.support.server_process import ServerProcess, running

from runtara_persistence import InstanceStatus
from runtara_protocol.pb.instance_pb2 import (
    ListCheckpointsResponse,
    RegisterInstanceResponse,
    RpcResponse,
)
from runtara_sdk import Client, CoreUnavailable, Ended, Outcome, Settings, step, workflow
from runtara_sdk.client.retry import Retry
from runtara_sdk.workflow import execute
from runtara_sdk.workflow.process.core_store import connected

pytestmark = pytest.mark.slow

INFRASTRUCTURE = 4


async def test_a_blocked_loop_goes_on_showing_life(tmp_path: Path) -> None:
    """A thread with a connection of its own sends heartbeats for seconds."""
    async with launching(tmp_path) as launcher:
        process = await launcher.start("blocked_for", 6, RUNTARA_HEARTBEAT_INTERVAL_MS="300")
        await launcher.noted(1)
        # What it did before it was blocked is written within a second.
        first = await launcher.shown_life(datetime.now(UTC) + timedelta(seconds=1))
        second = await launcher.shown_life(first)
        notes = await launcher.noted(1)
        code, output, said = await ended(process)

    assert notes == ["blocked"], "it was free again before it showed life"
    assert second > first
    assert (code, output) == (0, "10\n"), said


async def test_a_server_away_for_longer_than_the_budget_is_no_failure(tmp_path: Path) -> None:
    """The process ends with 4 and says what to do; run again, the instance goes on."""
    async with running(tmp_path) as server:
        launcher = Launcher(tmp_path, server)
        short = {"RUNTARA_REQUEST_TIMEOUT_MS": "1000"}
        process = await launcher.start("impatient", 3, PACE="1", **short)
        await launcher.noted(2)
        await server.kill()
        code, output, said = await ended(process)
        left = await launcher.instance()
        await server.start()
        again = await launcher.run("impatient")

    assert (code, output) == (INFRASTRUCTURE, "")
    assert "CoreUnavailable: the core could not be reached for 0:00:01" in said
    assert "run the instance again when it is back" in said
    assert left.status is InstanceStatus.RUNNING
    assert again[:2] == (0, "[0,10,20]\n"), again
    # The second was at work when the server went: its result could not be saved.
    assert await launcher.noted(4) == ["ten 0", "ten 1", "ten 1", "ten 2"]


async def test_a_server_that_never_was_there_is_a_matter_of_infrastructure(tmp_path: Path) -> None:
    """The process ends with 4, and names all addresses that were tried."""
    async with running(tmp_path) as server:
        launcher = Launcher(tmp_path, server)
        code, _, said = await launcher.run(
            "impatient",
            1,
            RUNTARA_SERVER_ADDR="127.0.0.1:1,[::1]:1",
            RUNTARA_REQUEST_TIMEOUT_MS="500",
        )

    assert code == INFRASTRUCTURE
    assert "the core can't serve this run now: can't reach the core: 127.0.0.1 port 1" in said
    assert "RUNTARA_SERVER_ADDR is 127.0.0.1:1, [::1]:1" in said


async def test_a_certificate_that_is_not_trusted_ends_the_run_at_once(tmp_path: Path) -> None:
    """It ends with 4 and says what to set, since repeating the call would change nothing."""
    async with running(tmp_path) as server:
        launcher = Launcher(tmp_path, server)
        code, _, said = await launcher.run("counting", 1, RUNTARA_SKIP_CERT_VERIFICATION="false")

    assert code == INFRASTRUCTURE
    (line,) = said.splitlines()
    assert line.startswith("ServerNotTrusted: the core is not trusted: 127.0.0.1 port ")
    assert "set RUNTARA_TLS_CA to the PEM file" in line


async def test_trusting_any_server_is_warned_of_once(tmp_path: Path) -> None:
    """There is one warning although heartbeats have a connection of their own."""
    async with running(tmp_path) as server:
        launcher = Launcher(tmp_path, server)
        code, _, said = await launcher.run("counting", 1, PACE="0.5")

    assert code == 0
    assert said.count("RUNTARA_SKIP_CERT_VERIFICATION is on") == 1


@step
async def note(text: str) -> str:
    probe.seen.append(text)
    return text


@workflow
async def saving() -> str:
    try:
        return await note("one")
    finally:
        probe.seen.append("finally")


FAILURES = {
    "refused": refuse("INTERNAL_ERROR"),
    "overloaded": refuse("OVERLOADED"),
    "full": refuse("TOO_MANY_INSTANCES"),
    "no database": refuse("DATABASE_ERROR"),
    "lost": hang_up,
    "given up": reset,
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_result_waits_for_the_core(
    server: FakeServer, settings: Callable[..., Settings], failure: Act
) -> None:
    """A step whose result could not be saved twice is not made again for it."""
    saved = reply(DEFAULTS["checkpoint"])
    server.script("checkpoint", saved, failure, failure, saved)

    async with connected(settings()) as journal:
        ended = await execute(saving, journal)

    assert ended == Ended(Outcome.DONE, b'"one"')
    assert probe.seen == ["one", "finally"]
    assert server.kinds().count("checkpoint") == 4


async def test_a_run_begins_with_one_request(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """Its registration brings what was saved; an older core is asked for it."""
    told = ListCheckpointsResponse()
    answer = RegisterInstanceResponse(success=True, run=1, checkpoints=told)
    server.script("register_instance", reply(RpcResponse(register_instance=answer)))

    for expected in ([], ["list_checkpoints"]):
        server.requests.clear()
        async with connected(settings()) as journal:
            await execute(saving, journal)

        # On a busy machine the run may poll meanwhile.
        assert [kind for kind in server.kinds() if kind != "poll_signals"] == [
            *("register_instance", *expected, "checkpoint", "checkpoint", "instance_event")
        ]


@pytest.mark.parametrize("is_launched", [True, False])
async def test_a_launched_run_saves_its_start_with_its_first_record(
    server: FakeServer, settings: Callable[..., Settings], is_launched: bool
) -> None:
    """One that is started by hand saves it first, because the core does not keep its input."""
    answer = RegisterInstanceResponse(
        success=True, run=1, checkpoints=ListCheckpointsResponse(), knows_preceding=True
    )
    server.script("register_instance", reply(RpcResponse(register_instance=answer)))

    async with connected(settings(launch_id="l-1" if is_launched else None)) as journal:
        await execute(saving, journal)

    saved = ["checkpoint_after"] if is_launched else ["checkpoint", "checkpoint"]
    assert server.kinds() == ["register_instance", *saved, "instance_event"]
    if is_launched:
        asked = server.requests[1].checkpoint_after
        assert (asked.preceding.checkpoint_id, asked.checkpoint_id) == ("~workflow", "note#1")


async def test_a_server_that_is_older_than_the_one_before_gets_the_start_alone(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """It refuses to save both, and then saves one after the other."""
    answer = RegisterInstanceResponse(
        success=True, run=1, checkpoints=ListCheckpointsResponse(), knows_preceding=True
    )
    server.script("register_instance", reply(RpcResponse(register_instance=answer)))
    server.script("checkpoint_after", refuse("EMPTY_REQUEST"))

    async with connected(settings(launch_id="l-1")) as journal:
        ended = await execute(saving, journal)

    assert ended == Ended(Outcome.DONE, b'"one"')
    assert server.kinds()[1:4] == ["checkpoint_after", "checkpoint", "checkpoint"]
    alone = [request.checkpoint.checkpoint_id for request in server.requests[2:4]]
    assert alone == ["~workflow", "note#1"]


async def test_a_core_out_of_reach_for_long_is_no_failure_of_the_workflow(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """The run ends, no user code is unwound, and the instance stays as it is."""
    server.script("checkpoint", reply(DEFAULTS["checkpoint"]))
    server.always("checkpoint", refuse("DATABASE_ERROR", "no route to the disk"))

    async with connected(settings(), timedelta(seconds=1)) as journal:
        with pytest.raises(CoreUnavailable, match="no route to the disk; run the instance again"):
            await execute(saving, journal)

    assert probe.seen == ["one"]
    assert "instance_event" not in server.kinds()


@pytest.fixture
def dead() -> Iterator[str]:
    """An address whose packets get no answer, as behind a firewall."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


async def test_the_budget_bounds_a_call_to_an_address_that_is_dead(
    settings: Callable[..., Settings], dead: str
) -> None:
    """A budget shorter than a connect or a request timeout is not stretched to either."""
    given = settings(server_addr=dead, connect_timeout_ms=100_000, request_timeout_ms=100_000)
    async with connected(given, timedelta(seconds=2)) as journal:
        async with asyncio.timeout(60):
            with pytest.raises(
                CoreUnavailable, match="could not be reached for 0:00:02: no answer"
            ):
                await execute(saving, journal)

    assert probe.seen == []


async def test_the_budget_bounds_a_call_to_a_server_that_is_frozen(
    real_server: ServerProcess,
) -> None:
    """A server process that is stopped in the middle of a run takes no more than the budget."""
    settings = Settings(
        instance_id="i-1",
        tenant_id="t-1",
        server_addr=f"127.0.0.1:{real_server.port}",
        skip_cert_verification=True,
        heartbeat_interval_ms=0,
    )

    @workflow
    async def freezing() -> str:
        real_server.process.send_signal(signal.SIGSTOP)
        return await note("one")

    async with connected(settings, timedelta(seconds=2)) as journal:
        try:
            async with asyncio.timeout(15):
                with pytest.raises(
                    CoreUnavailable, match="could not be reached for 0:00:02: no an"
                ):
                    await execute(freezing, journal)
        finally:
            real_server.process.send_signal(signal.SIGCONT)

    assert probe.seen == ["one"]


async def test_calls_that_wait_for_the_end_of_an_outage_log_it_once(
    server: FakeServer, settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    """The warning says why, and how long the calls go on."""
    server.script("get_checkpoint", *[refuse("OVERLOADED", "no room")] * 6)

    async with connected(settings()) as journal:
        await asyncio.gather(*(journal.read("key") for _ in range(3)))

    (line,) = [each for each in caplog.messages if "can't serve" in each]
    assert line.startswith("the core can't serve this run now: no room; trying again for 0:0")
    assert line.endswith(
        " more (core_timeout= of @workflow), then the run ends and can be run again"
    )
    assert "0:05:00" in line


async def test_an_outage_that_goes_on_is_logged_again(
    server: FakeServer, settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged every half minute, unless the client is to log it more often."""
    server.script("get_checkpoint", *[refuse("OVERLOADED")] * 3)

    async with Client(settings(), retry=Retry(30, log_every=0)) as client:
        await client.get_checkpoint("key")

    assert len([each for each in caplog.messages if "can't serve this client" in each]) == 3
    assert Retry(30).log_every == 30
