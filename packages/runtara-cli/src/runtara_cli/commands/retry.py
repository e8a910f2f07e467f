"""`runtara retry`."""

from typing import Any

import click

from runtara_cli import bulk, options
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("retry", short_help="Let failed or cancelled instances go on where they stood.")
@options.many
@click.option("--with-image", metavar="IMAGE_ID", help="The code that they go on with.")
@click.option(
    "--forget", multiple=True, metavar="CHECKPOINT", help="A recorded result to make again."
)
async def command(
    session: Session,
    instance_ids: tuple[str, ...],
    is_agreed: bool,
    with_image: str | None,
    forget: tuple[str, ...],
    **values: Any,
) -> int:
    """
    Let failed or cancelled instances go on: recorded results stay, but those to forget.

    An open one that is named loses its back-off, its stop and its count of crashes. With filters
    instead of IDs, all failed and cancelled ones that they choose: they are counted first, and you
    are asked. The same command goes on with what a kill has broken off, and retries none twice.
    """

    async def retry(instance_id: str) -> None:
        await session.client.instances.retry(instance_id, image_id=with_image, forget=forget)

    verb = bulk.Verb("retry", ("failed", "cancelled"), retry)
    return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)
