"""`runtara resume`."""

import click

from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("resume", short_help="Let a paused, sleeping or blocked instance go on now.")
@click.argument("instance_ids", metavar="ID...", nargs=-1, required=True)
async def command(session: Session, instance_ids: tuple[str, ...]) -> None:
    """Let a paused, sleeping, blocked or backing-off instance go on now."""
    for instance_id in instance_ids:
        await session.client.instances.resume(instance_id)
