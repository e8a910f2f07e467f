"""`runtara logs`."""

import click

from runtara_cli import following
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("logs", short_help="Show what an instance's processes have written.")
@click.argument("instance_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Show more output until the instance has ended.")
@click.option(
    "--launch", metavar="LAUNCH_ID", help="The output of this launch, instead of the newest one."
)
async def command(session: Session, instance_id: str, follow: bool, launch: str | None) -> None:
    """
    Show what an instance's processes have written to standard output and standard error.

    `runtara show ID` lists its launches. With --follow the output goes to standard error.
    """
    if follow and launch is None:
        await following.logs(session, instance_id)
        return
    from runtara_management_sdk import NotFound
    from runtara_sdk.errors import InstanceNotFound

    pieces = session.client.launches.log(instance_id, launch_id=launch, follow=follow)
    try:
        async for piece in pieces:
            click.echo(piece, nl=False)
    except NotFound:
        if await session.client.instances.get(instance_id) is None:
            raise InstanceNotFound(f"Instance {instance_id!r} not found") from None
        raise
