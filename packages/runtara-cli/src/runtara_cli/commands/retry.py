"""`runtara retry`."""

from typing import TYPE_CHECKING, Any

import click

from runtara_cli import bulk, options
from runtara_cli.command import command as made
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_sdk.workflow import RetryPlan


@made("retry", short_help="Let failed or cancelled instances go on from their history.")
@options.many
@click.option(
    "--with-image", metavar="IMAGE_ID", help="The image with the code that they go on with."
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

    async def retry(one: bulk.Planned) -> None:
        instance_id = one.instance_id
        plan = await _planned(session, instance_id)
        gone = tuple(dict.fromkeys((*forget, *(plan.forget if plan else ()))))
        await session.client.instances.retry(instance_id, image_id=with_image, forget=gone)
        if instance_ids:
            _tell(session, instance_id, plan)

    verb = bulk.Verb("retry", ("failed", "cancelled"), retry)
    return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)


async def _planned(session: Session, instance_id: str) -> "RetryPlan | None":
    """Plan as `handle.retry()` does; None for a history that is not of the SDK's workflows."""
    # Only now: it takes long to import.
    from runtara.retrying import plan_for
    from runtara_sdk import StateUnreadable

    try:
        return await plan_for(session.client.instances, instance_id)
    except StateUnreadable:
        return None


def _tell(session: Session, instance_id: str, plan: "RetryPlan | None") -> None:
    if plan is None:
        session.out.note(f"{instance_id}: its history is not this SDK's: no failure is set aside")
    elif plan.again:
        session.out.note(f"{instance_id}: made again: {', '.join(plan.again)}")
    if plan is not None and plan.children:
        session.out.note(f"retry its failed children, too: {', '.join(plan.children)}")
