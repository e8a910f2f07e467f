"""The schedules that served workflows declare, kept by the core in this process."""

from runtara.core import Plan
from runtara.embedded.core import EmbeddedCore
from runtara_domain.launching.launcher import Launcher
from runtara_domain.model.schedules import Declared
from runtara_domain.use_cases.schedules import ManageSchedules
from runtara_schedules import CronCalendar
from runtara_schedules.declared import schedule
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)


async def declare(embedded: EmbeddedCore, launcher: Launcher, plan: Plan) -> None:
    """Declare the schedules in the code of a worker's workflows; raises DatabaseError."""
    persistence = embedded.persistence
    manage = ManageSchedules(persistence.schedules, persistence.launches, CronCalendar())
    for each in plan.declarations:
        made = None
        if each.schedule is not None:
            made = schedule(each.schedule, plan.tenant_id, each.workflow)
        declared = await manage.declare(
            plan.tenant_id, each.workflow, each.code_version, made, at=launcher.now()
        )
        if declared in (Declared.OLDER, Declared.OPERATORS):
            logger.warning("schedule %r is not as declared here: %s", each.workflow, declared)
    launcher.recheck_schedules()
