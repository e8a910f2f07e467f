"""`runtara retry`."""

from typing import TYPE_CHECKING, Any

import click

from runtara_cli import bulk, options
from runtara_cli.command import command as made
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_management_sdk import Image, Instance
    from runtara_sdk.workflow import RetryPlan

_NEWEST = "newest"


@made("retry", short_help="Let failed or cancelled instances go on from their history.")
@options.many
@click.option(
    "--with-image",
    metavar="IMAGE_ID|newest",
    help="The image with the code that they go on with, instead of the version that they had;"
    " newest: the newest version of its name.",
)
@click.option(
    "--forget",
    multiple=True,
    metavar="CHECKPOINT",
    help="A recorded result to set aside: its step runs again.",
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
    Let failed or cancelled instances go on; their recorded results stay.

    The command sets aside the recorded failures that led to the end, as `handle.retry()` does, and
    the results that --forget names: those calls are made again. An open instance that is named
    loses its back-off, its stop and its count of crashes. With filters instead of IDs, the command
    counts the failed and cancelled instances that they choose, and asks. After a kill or
    Ctrl-C, the same command goes on with the rest within an hour, and retries no instance twice.
    """
    imageless: list[str] = []

    async def retry(one: bulk.Planned) -> None:
        instance_id = one.instance_id
        plan = await _planned(session, instance_id)
        gone = tuple(dict.fromkeys((*forget, *(plan.forget if plan else ()))))
        is_asked = bool(instance_ids) if with_image is None else with_image == _NEWEST
        found = await session.client.instances.get(instance_id) if is_asked else None
        newer = await _newer(session, found)
        newest = None if newer is None else newer.image_id
        image_id = newest if with_image == _NEWEST else with_image
        await session.client.instances.retry(instance_id, image_id=image_id, forget=gone)
        if instance_ids:
            _tell(session, instance_id, plan)
        if with_image == _NEWEST and found is not None and found.image_name is None:
            imageless.append(instance_id)
        if newer is not None and with_image is None:
            session.out.note(
                f"{instance_id}: goes on with the code that it had; version {newer.version} is"
                f" newer: `runtara retry {instance_id} --with-image newest` takes that"
            )

    verb = bulk.Verb("retry", ("failed", "cancelled"), retry)
    try:
        return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)
    finally:
        _tell_imageless(session, imageless, is_named=bool(instance_ids))


async def _planned(session: Session, instance_id: str) -> "RetryPlan | None":
    """Plan as `handle.retry()` does; None for a history that is not of the SDK's workflows."""
    # Only now: it takes long to import.
    from runtara.retrying import plan_for
    from runtara_sdk import StateUnreadable

    try:
        return await plan_for(session.client.instances, instance_id)
    except StateUnreadable:
        return None


async def _newer(session: Session, found: "Instance | None") -> "Image | None":
    """Find the newest version of an instance's image; None if the instance has it, or no image."""
    if found is None or found.image_name is None:
        return None
    images = session.client.images.list(found.tenant_id, name_prefix=found.image_name)
    async for image in images:
        if image.name == found.image_name:
            return None if image.image_id == found.image_id else image
    return None


def _tell(session: Session, instance_id: str, plan: "RetryPlan | None") -> None:
    if plan is None:
        session.out.note(f"{instance_id}: its history is not this SDK's: no failure is set aside")
    elif plan.again:
        session.out.note(f"{instance_id}: made again: {', '.join(plan.again)}")
    if plan is not None and plan.children:
        session.out.note(f"retry its failed children, too: {', '.join(plan.children)}")


def _tell_imageless(session: Session, instance_ids: list[str], *, is_named: bool) -> None:
    """Say that the newest version was not taken: of each named instance, or once with a count."""
    if not instance_ids:
        return
    count = f"without an image: {len(instance_ids):,}"
    for which in [f"{one}: has no image" for one in instance_ids] if is_named else [count]:
        session.out.note(
            f"{which}, so there is no newest version to take, and the code is that of the worker,"
            " or else of the image, that serves the workflow"
        )
