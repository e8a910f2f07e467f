"""`runtara cancel`."""

from typing import Any

from runtara_cli import bulk, options
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("cancel", short_help="Ask instances to clean up and end.")
@options.many
async def command(
    session: Session, instance_ids: tuple[str, ...], is_agreed: bool, **values: Any
) -> int:
    """
    Ask instances to clean up and end as cancelled. `runtara stop` ends a process as well.

    With filters instead of IDs, the command counts the instances that they choose, and asks. After
    a kill or Ctrl-C, the same command goes on with the rest within an hour.
    """

    async def cancel(one: bulk.Planned) -> None:
        await session.client.instances.cancel(one.instance_id)

    verb = bulk.Verb("cancel", ("pending", "running", "suspended"), cancel)
    return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)
