"""All mutants."""

from tests.mutants.domain import DOMAIN
from tests.mutants.engine import WORKFLOW
from tests.mutants.launching import LAUNCHING
from tests.mutants.own_process import OWN_PROCESS
from tests.mutants.persistence import PERSISTENCE
from tests.mutants.placements import PLACEMENTS
from tests.mutants.postgres import POSTGRES
from tests.mutants.telling import TELLING
from tests.mutants.wire import WIRE
from tests.mutants.worker import WORKER

MUTANTS = (
    *DOMAIN,
    *LAUNCHING,
    *OWN_PROCESS,
    *PERSISTENCE,
    *PLACEMENTS,
    *POSTGRES,
    *TELLING,
    *WIRE,
    *WORKER,
    *WORKFLOW,
)
