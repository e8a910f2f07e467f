"""`runtara wait`."""

from datetime import timedelta

import click

from runtara_cli import following, options
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("wait", short_help="Wait for an instance's end and print its result.")
@click.argument("instance_id", metavar="ID")
@click.option(
    "--timeout",
    "limit",
    type=options.Span(),
    help="The longest time to wait; after it the exit code is 5.",
)
async def command(session: Session, instance_id: str, limit: timedelta | None) -> int:
    """Wait until the instance has ended, and print its result."""
    return await following.end(session, instance_id, limit)
