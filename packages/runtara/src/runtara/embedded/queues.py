"""Queues of user code, kept by the core in this process."""

from runtara.embedded.core import EmbeddedCore
from runtara.embedded.errors import as_client_errors
from runtara_domain.model.limits import Limit, Scope
from runtara_sdk.workflow import Queue


async def put_queue(embedded: EmbeddedCore, tenant_id: str, queue: Queue) -> None:
    """Create a queue or replace its bounds."""
    rate, period = queue.rate_limit or (None, None)
    with as_client_errors():
        limit = Limit(
            Scope.QUEUE,
            tenant_id,
            queue.name,
            queue.concurrency,
            queue.per_worker,
            rate,
            period,
        )
        await embedded.persistence.limits.put(limit)
