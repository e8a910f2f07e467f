"""`runtara import`."""

from typing import BinaryIO

import click

from runtara_cli.command import command as made
from runtara_cli.session import Session

_MOST = 60 << 20


@made("import", short_help="Import an instance that `runtara export` has written.")
@click.argument("file", type=click.File("rb"))
@click.option("--image", metavar="IMAGE_ID", help="The image that it runs.")
async def command(session: Session, file: BinaryIO, image: str | None) -> None:
    """
    Import the instance of FILE and print its id. An open one is paused: use `runtara resume ID`.

    The instance runs --image; else the image that it had; else the newest image of that name; else
    an image or worker that serves its workflow. A damaged FILE, one of a newer format, and a used
    id are refused. A second import of the same FILE changes nothing.
    """
    data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise click.UsageError("FILE: takes what `runtara export` has written, 60 MiB at most")
    imported = await session.client.instances.import_(data, image_id=image)
    session.out.result(imported, lambda: imported.instance_id)
    found = await session.client.instances.get(imported.instance_id)
    if not imported.created:
        session.out.note(f"{imported.instance_id} had been imported from this file before")
    elif found is not None and not found.status.is_final:
        session.out.note(f"Next: runtara resume {imported.instance_id}")
