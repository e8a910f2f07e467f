"""Setting limits in memory."""

from runtara_domain.model.limits import Limit
from runtara_persistence.memory import launching
from runtara_persistence.memory.store import Store


def bound(store: Store, limit: Limit) -> None:
    """Set a limit, and mark the open launches that take its slots, so that their ends are told."""
    key = (limit.scope.value, limit.tenant_id, limit.name)
    store.limits[key] = limit
    for launch in launching.open_rows(store):
        launch.is_bounded = launch.is_bounded or key in launching.limit_keys(launch)
