"""`runtara stop`."""

from datetime import timedelta

import click

from runtara_cli import options
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("stop", short_help="End an instance's process, after a grace.")
@click.argument("instance_id", metavar="ID")
@click.option(
    "--grace",
    type=options.Span(),
    default="5s",
    show_default=True,
    help="The time for its clean-up.",
)
@click.option("--reason", default="", help="The reason, kept with the instance.")
async def command(session: Session, instance_id: str, grace: timedelta, reason: str) -> None:
    """Cancel an instance, give it --grace to clean up, and end its process."""
    await session.client.instances.stop(instance_id, grace=grace, reason=reason)
    session.out.note(f"{instance_id} has ended")
