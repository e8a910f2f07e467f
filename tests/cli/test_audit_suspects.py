"""What an audit says of a worker's launches whose timeouts are over, also of suspects."""

import pytest
from tests.cli.test_audit import BASE, LONG_AGO, RUNNING, Doctored, Row, launch, tables
from tests.cli.test_audit import database as database

from runtara_cli import codes

BEGUN: Row = {"run_epoch": 2, "ended_run": 1}
WAITS: Row = {"run_epoch": 1, "ended_run": 1}
CRASHED: Row = {"crashes": 1}
DELAYED: Row = {"backoff_ms": 1000}


@pytest.mark.parametrize(
    ("instance", "last_cause", "placement", "is_overdue"),
    [
        ({**WAITS, **CRASHED}, "killed", "inline", False),
        ({**WAITS, **DELAYED}, "runner_failed", "inline", False),
        ({**WAITS, **DELAYED}, "environment_lost", "inline", False),
        ({**BEGUN, **CRASHED}, "killed", "inline", True),
        ({**WAITS, **DELAYED}, "exited", "inline", True),
        ({**WAITS}, "runner_failed", "inline", True),
        ({**WAITS, **CRASHED}, "killed", "local", True),
    ],
    ids=["crashed", "of many", "lost", "begun", "no suspect", "no retry", "an image"],
)
def test_a_suspect_that_waits_for_its_turn_is_not_overdue(
    database: Doctored, instance: Row, last_cause: str, placement: str, is_overdue: bool
) -> None:
    """Its timeout counts from its turn to begin."""
    rows = tables({})
    rows["instances"] = [{**BASE, **RUNNING, **instance, "instance_id": "i", "launch_id": "new"}]
    rows["launches"] = [
        launch("old", "i", "here", closed_at=LONG_AGO, cause=last_cause, placement=placement),
        {**launch("new", "i", "here", timeout_at=LONG_AGO, placement=placement), "number": 2},
    ]
    database.put(rows)

    found = (codes.UNSUCCESSFUL, {"launch_overdue": ["new"]}) if is_overdue else (codes.DONE, {})
    assert database.audit() == found
