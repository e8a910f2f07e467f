"""`runtara pause`."""

import click

from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("pause", short_help="Suspend an instance until it is resumed.")
@click.argument("instance_ids", metavar="ID...", nargs=-1, required=True)
async def command(session: Session, instance_ids: tuple[str, ...]) -> None:
    """Ask an instance to suspend at its next durable call, until `runtara resume`."""
    for instance_id in instance_ids:
        await session.client.instances.pause(instance_id)
