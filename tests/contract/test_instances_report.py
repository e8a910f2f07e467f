"""Reports: what a running instance says of itself is kept, and nothing else changes."""

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Report
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, OPEN, State

ME = Caller("i", 2)
WAITS = '[{"kind": "child", "name": "c", "since": null, "until": null}]'


async def test_the_last_report_of_each_kind_stays(
    persistence: Persistence, database: Database
) -> None:
    """What a report leaves out stays as it was."""
    await put_instance(database, State.RUNNING, "i", last_activity_at=EARLIER)
    reports = (Report("[]", b"one"), Report(WAITS), Report(progress=b"\xff two"))
    run_states = [
        await persistence.instances.report(ME, each, when=OPEN, at=START) for each in reports
    ]
    seen = await persistence.launches.view("i", at=START)

    assert {None if one is None else one.state for one in run_states} == {State.RUNNING}
    assert seen is not None
    assert (seen.instance.waits, seen.progress) == (WAITS, b"\xff two")
    assert seen.instance.last_activity_at == START


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_keeps_what_it_said(
    persistence: Persistence, database: Database, state: State
) -> None:
    await put_instance(database, state, "i")
    before = await persistence.instances.report(ME, Report("[]", b"x"), when=OPEN, at=START)
    seen = await persistence.launches.view("i", at=START)

    assert before is not None
    assert before.state is state
    assert seen is not None
    assert (seen.instance.waits, seen.progress) == (None, None)


async def test_a_superseded_run_reports_nothing(
    persistence: Persistence, database: Database
) -> None:
    await put_instance(database, State.RUNNING, "i", run=3)
    before = await persistence.instances.report(ME, Report(progress=b"x"), when=OPEN, at=START)
    seen = await persistence.launches.view("i", at=START)

    assert before is not None
    assert before.supersedes(ME)
    assert seen is not None
    assert seen.progress is None
    unknown = Caller("nobody", 1)
    assert await persistence.instances.report(unknown, Report("[]"), when=OPEN, at=START) is None
