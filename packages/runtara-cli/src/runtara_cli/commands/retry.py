"""`runtara retry`."""

import click

from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("retry", short_help="Let a failed or cancelled instance go on where it stood.")
@click.argument("instance_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--image", metavar="IMAGE_ID", help="The code that it goes on with.")
@click.option(
    "--forget", multiple=True, metavar="CHECKPOINT", help="A recorded result to make again."
)
async def command(
    session: Session, instance_ids: tuple[str, ...], image: str | None, forget: tuple[str, ...]
) -> None:
    """
    Let failed or cancelled instances go on: recorded results stay, but those to forget.

    An open one loses its back-off, its stop and its count of crashes.
    """
    for instance_id in instance_ids:
        await session.client.instances.retry(instance_id, image_id=image, forget=forget)
