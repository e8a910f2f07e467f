"""Sends the schedules that served workflows declare to an environment."""

from datetime import timedelta

from runtara.core import Declaration, Plan
from runtara_management_sdk import LocalTimeRule, Overlap, Schedule
from runtara_management_sdk.client import ManagementClient
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)


async def declare(management: ManagementClient, plan: Plan) -> None:
    """Declare the schedules in the code of a worker's workflows; raises RuntaraError."""
    for each in plan.declarations:
        declared = await management.schedules.declare(_schedule(plan.tenant_id, each))
        if declared in ("older", "operators"):
            logger.warning("schedule %r is not as declared here: %s", each.workflow, declared)


def _schedule(tenant_id: str, one: Declaration) -> Schedule:
    found = one.schedule
    if found is None:
        return Schedule(
            tenant_id=tenant_id,
            name=one.workflow,
            cron="",
            workflow=one.workflow,
            code_version=one.code_version,
        )
    return Schedule(
        tenant_id=tenant_id,
        name=one.workflow,
        workflow=one.workflow,
        cron=str(found["cron"]),
        time_zone=str(found["time_zone"]),
        overlap=Overlap(str(found["overlap"])),
        missing=LocalTimeRule(str(found["missing"])),
        duplicate=LocalTimeRule(str(found["duplicate"])),
        catch_up=timedelta(seconds=float(str(found["catch_up_s"]))),
        jitter=timedelta(seconds=float(str(found["jitter_s"]))),
        code_version=one.code_version,
    )
