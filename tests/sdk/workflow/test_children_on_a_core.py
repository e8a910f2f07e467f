"""Children, failures and reports on the installed server: what one process began others end."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.server_process import ServerProcess

from runtara_persistence import Persistence, SystemClock, connect
from runtara_sdk import (
    Ended,
    Outcome,
    Settings,
    WorkflowFailed,
    child,
    report,
    start_child,
    step,
    timeout,
    workflow,
)
from runtara_sdk.workflow import Workflow, execute
from runtara_sdk.workflow.process.core_store import connected

pytestmark = pytest.mark.usefixtures("unmeasured")


class Lost(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(f"parcel {number} is lost")
        self.number = number


@step
async def carry(number: int) -> str:
    return f"shipped {number}"


@workflow(raises=Lost)
async def ship(number: int) -> str:
    if number == 0:
        raise Lost(number)
    if number < 0:
        raise ValueError(number)
    return await carry(number)


@workflow(suspend_after="0s")
async def send_all() -> list[str]:
    report("sending")
    handle = await start_child(ship.bind(1), id="one")
    outcomes = []
    for number, name in ((0, "none"), (-1, "broken")):
        try:
            outcomes.append(await child(ship.bind(number), id=name))
        except (Lost, WorkflowFailed) as error:
            outcomes.append(f"{type(error).__name__}: {error}")
    outcomes.append(await handle.result())
    try:
        async with timeout("0.2s"):
            await child(ship.bind(2), id="two")
    except TimeoutError:
        outcomes.append("too late")
    return outcomes


class Runs:
    """Runs instances as a launcher does, one run at a time."""

    def __init__(self, server: ServerProcess) -> None:
        self._address = f"127.0.0.1:{server.port}"

    async def once(self, flow: Workflow[..., Any], instance_id: str) -> Ended:
        settings = Settings(
            instance_id=instance_id,
            tenant_id="t-1",
            server_addr=self._address,
            skip_cert_verification=True,
        )
        async with connected(settings) as store:
            return await execute(flow, store)


async def due(core: Persistence, instance_id: str) -> bool:
    found = await core.instances.get(instance_id)
    assert found is not None
    return found.sleep_until is not None and found.sleep_until <= SystemClock().now()


async def test_a_parent_is_due_when_a_child_has_ended_and_hears_how(
    real_server: ServerProcess, tmp_path: Path
) -> None:
    """Endings are results, declared and other failures, and the cancel of a child with its wait."""
    runs = Runs(real_server)
    async with connect(f"sqlite:{tmp_path / 'core.db'}") as core:
        for name in ("none", "broken"):
            parent = await runs.once(send_all, "parent")
            assert parent.outcome is Outcome.SUSPENDED
            assert [(one.kind, one.name) for one in parent.awaits] == [("child", name)]
            assert not await due(core, "parent")
            assert (await runs.once(ship, name)).outcome is Outcome.FAILED
            assert await due(core, "parent")
        assert (await runs.once(send_all, "parent")).outcome is Outcome.SUSPENDED
        assert (await runs.once(ship, "one")).outcome is Outcome.DONE
        while (parent := await runs.once(send_all, "parent")).outcome is Outcome.SUSPENDED:
            pass
        cancelled = await core.instances.get("two")
        seen = await core.launches.view("parent", at=SystemClock().now())

    assert parent.output == (
        b'["Lost: parcel 0 is lost","WorkflowFailed: workflow \'ship\' has failed: ValueError: -1",'
        b'"shipped 1","too late"]'
    )
    assert cancelled is not None
    assert cancelled.status.value == "cancelled"
    assert seen is not None
    assert seen.progress == b'"sending"'
