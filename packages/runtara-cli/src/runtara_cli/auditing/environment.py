"""The same question, asked of an environment: which instances will nothing move?"""

from collections import defaultdict
from datetime import datetime, timedelta

from runtara_cli.auditing.database import Finding
from runtara_cli.explaining import Surroundings, explain, image_for
from runtara_management_sdk import InstanceFilter, InstanceSummary, ManagementClient, Status

_EXAMPLES = 20
_GRACE = timedelta(minutes=5)
_OPEN = (Status.PENDING, Status.RUNNING, Status.SUSPENDED)


async def audit(client: ManagementClient, now: datetime) -> list[Finding]:
    """Explain every open instance that has no known next moment; gives those that are stuck."""
    environments = await client.environments.list()
    stuck: dict[tuple[str, str], list[str]] = defaultdict(list)
    for status in _OPEN:
        async for summary in client.instances.list(InstanceFilter(status=status)):
            if _is_suspect(summary, now):
                one = await client.instances.get(summary.instance_id)
                launches = client.launches.list(instance_id=summary.instance_id, open_only=True)
                launch = next(iter([each async for each in launches]), None)
                if one is not None:
                    image = await image_for(client, one)
                    told = explain(one, Surroundings(launch, environments, image, now))
                    if told.is_stuck and not one.is_blocked:
                        stuck[told.sentence, told.command].append(one.instance_id)
    return [
        Finding("nothing_moves_it", len(ids), tuple(ids[:_EXAMPLES]), sentence, command)
        for (sentence, command), ids in stuck.items()
    ]


def _is_suspect(one: InstanceSummary, now: datetime) -> bool:
    """Return whether an instance has not moved for a while, and no known event will move it."""
    if one.created_at > now - _GRACE:
        return False
    return one.next_at is None or one.next_at < now - _GRACE
