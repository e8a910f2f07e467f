"""Which checkpoints a retry of an instance sets aside."""

from collections.abc import Sequence
from typing import Protocol

from runtara_management_sdk import Instance, Status
from runtara_sdk.errors import InstanceNotFound
from runtara_sdk.workflow import RetryPlan, plan_retry

_NOTHING = RetryPlan((), (), (), ())


class Histories(Protocol):
    """Reads instances and their checkpoints."""

    async def get(self, instance_id: str) -> Instance | None:
        """Read an instance; None if it is unknown."""
        ...

    async def history(self, instance_id: str) -> Sequence[tuple[str, bytes | None]]:
        """Read its checkpoints in the order of saving; None: a state of more than 64 KiB."""
        ...


async def plan_for(histories: Histories, instance_id: str) -> RetryPlan:
    """
    Plan the retry of an instance: it sets aside the recorded failures that led to the end.

    Nothing is set aside for an open instance. Raises InstanceNotFound, and StateUnreadable for a
    history that no workflow of this SDK has written, or a newer SDK.
    """
    found = await histories.get(instance_id)
    if found is None:
        raise InstanceNotFound(f"Instance {instance_id!r} not found")
    if not found.status.is_final:
        return _NOTHING
    error = None if found.status is Status.CANCELLED else found.error or ""
    return plan_retry(await histories.history(instance_id), error)
