"""Instances put into each state by the back door, as if they had come there by themselves."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from tests.contract.database import Database, Row
from tests.support.clock import START

from runtara_domain.model import RunState
from runtara_domain.status import State

TENANT = "tenant"
EARLIER = START - timedelta(hours=1)
WAKE = START + timedelta(hours=1)

_CLAIMED: Row = {"sleep_until": WAKE, "wake_claim_until": WAKE, "wake_claim_by": "somebody"}

_COLUMNS: Mapping[State, Row] = MappingProxyType(
    {
        State.PENDING: {"input": b"given"},
        State.RUNNING: {"started_at": EARLIER},
        State.ASLEEP: {"started_at": EARLIER, **_CLAIMED},
        State.PAUSED: {"started_at": EARLIER},
        State.COMPLETED: {"started_at": EARLIER, "finished_at": EARLIER, "output": b"done"},
        State.FAILED: {"started_at": EARLIER, "finished_at": EARLIER, "error": "broken"},
        State.CANCELLED: {"started_at": EARLIER, "finished_at": EARLIER},
    }
)

WHAT_IT_RUNS: Row = {
    "workflow": "orders",
    "code_version": "2",
    "parent_id": "parent",
    "launch_id": "launch",
    "waits": "[]",
}
"""What the columns say of what an instance runs and waits for."""

STIRRED: Row = {
    "status": "running",
    "sleep_until": None,
    "wake_claim_until": None,
    "wake_claim_by": None,
}
"""What an instance has when a sleep of it is over."""


async def put_instance(
    database: Database, state: State, instance_id: str = "i", *, run: int = 2, **columns: object
) -> RunState:
    """Insert an instance of the tenant in this state, in its second run, and tell how it stands."""
    row: Row = {
        "instance_id": instance_id,
        "tenant_id": TENANT,
        "status": state.status.value,
        "created_at": EARLIER,
        "run_epoch": run,
        **_COLUMNS[state],
        **columns,
    }
    await database.put("instances", row)
    return RunState(state, run)


async def put_checkpoint(
    database: Database, checkpoint_id: str = "c", instance_id: str = "i", **columns: object
) -> None:
    """Insert a checkpoint saved an hour ago."""
    row: Row = {
        "instance_id": instance_id,
        "checkpoint_id": checkpoint_id,
        "state": b"first",
        "created_at": EARLIER,
        **columns,
    }
    await database.put("checkpoints", row)
