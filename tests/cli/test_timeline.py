"""The timeline of an instance: its records in the order of time."""

from datetime import UTC, datetime, timedelta

import pytest

from runtara_cli.history import History, Recorded
from runtara_cli.timeline import timeline
from runtara_management_sdk import Event, Instance, Launch, Status

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize("registered", [[2], [2, 7], [5], []])
def test_a_workflow_begins_before_its_first_step(registered: list[int]) -> None:
    """Both are saved at once; it begins when its first process has registered."""
    history = History(
        Instance(instance_id="i", tenant_id="t", status=Status.RUNNING, created_at=at(0)),
        (Launch(launch_id="l", instance_id="i", environment_id="e", number=1, created_at=at(1)),),
        (
            Recorded("pay#1", at(5), 1, {"kind": "result", "value": 2}),
            Recorded("charge#1", at(4), 1, {"kind": "result", "value": 1}),
            Recorded("~workflow", at(4), 1, {"kind": "start", "value": {"input": 4}}),
        ),
        tuple(Event(number, "started", at(number)) for number in reversed(registered)),
        is_cut=False,
    )

    found = [(moment.at, moment.what) for moment in timeline(history)]

    assert found == [
        (at(0), "started"),
        (at(1), "process 1 begins"),
        (at(min([4, *registered])), "workflow begins"),
        (at(4), "charge#1"),
        (at(5), "pay#1"),
    ]
