"""`runtara cancel`."""

import click

from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("cancel", short_help="Ask an instance to clean up and end.")
@click.argument("instance_ids", metavar="ID...", nargs=-1, required=True)
async def command(session: Session, instance_ids: tuple[str, ...]) -> None:
    """Ask an instance to clean up and end as cancelled. `runtara stop` ends its process as well."""
    for instance_id in instance_ids:
        await session.client.instances.cancel(instance_id)
