"""`runtara send`."""

import click

from runtara_cli import options
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("send", short_help="Send a value to an instance that waits for it.")
@click.argument("instance_id", metavar="ID")
@click.argument("name")
@click.argument("value", type=options.Json(), default="null", metavar="[JSON]")
async def command(session: Session, instance_id: str, name: str, value: bytes) -> None:
    """
    Send JSON to the promise NAME of an instance; the first value that is sent stands.

    Without JSON the value is null. @FILE and - (standard input) are read.
    """
    sent = await session.client.instances.send(instance_id, name, value)
    session.out.result(sent, lambda: "")
    if not sent.is_first:
        session.out.note(f"an earlier value for {name!r} stands; this one is not used")
    if sent.warning:
        session.out.note(sent.warning)
