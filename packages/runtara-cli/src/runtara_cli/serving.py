"""What runs a name: an image, or a worker that serves a workflow of this name."""

from difflib import get_close_matches
from typing import TYPE_CHECKING

from runtara_cli.session import Session
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_management_sdk import Image


@record
class Serving:
    """
    What runs a name of a tenant.

    image: the newest image of this name, or the one with this id. has_worker: whether a worker
    serves a workflow of this name; not asked if there is an image. advice: a sentence for a name
    that nothing runs, else empty.
    """

    image: "Image | None" = None
    has_worker: bool = False
    advice: str = ""


async def found(session: Session, tenant_id: str, name: str) -> Serving:
    """Look for what runs a name."""
    names = []
    async for image in session.client.images.list(tenant_id):
        if name in (image.name, image.image_id):
            return Serving(image)
        names.append(image.name)
    if (older := await session.client.images.get(name, tenant_id)) is not None:
        return Serving(older)
    for worker in await session.client.environments.list():
        if name in worker.workflows and worker.tenant_id in (None, tenant_id):
            return Serving(has_worker=True)
        names += worker.workflows
    near = get_close_matches(name, names, 1)
    return Serving(
        advice=f"Did you mean {near[0]}?" if near else "`runtara deploy FILE` makes an image."
    )
