"""`runtara schedules`: its verbs are commands of their own."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import click

from runtara_cli import options, words
from runtara_cli.command import command as made
from runtara_cli.lazy import SETTINGS, Commands
from runtara_cli.output import Cell
from runtara_cli.serving import found
from runtara_cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtara_management_sdk import Schedule, Tick

_NAME = click.argument("name")
_OVERLAPS = ("skip", "buffer_one", "allow", "cancel_other")


@click.group(
    "schedules",
    cls=Commands,
    context_settings=SETTINGS,
    short_help="Start workflows by the clock.",
)
def command() -> None:
    """Start workflows at the ticks of a cron expression, each tick once over all environments."""


@made("list", short_help="List schedules.")
@options.tenant
async def _list(session: Session, tenant: str | None) -> None:
    """List schedules with their next tick, and why it starts nothing if so."""

    def cells(record: object) -> list[Cell]:
        one = cast("Schedule", record)
        started = one.workflow or one.image_id or ""
        return [one.name, one.tenant_id, started, one.cron, one.time_zone, _run_state(one)]

    headings = ("NAME", "TENANT", "STARTS", "CRON", "TIME ZONE", "NEXT")
    schedules = await session.client.schedules.list(tenant)
    session.out.table(headings, schedules, cells, empty="There are no schedules.")


@made("add", short_help="Make a schedule, or replace it.")
@_NAME
@click.argument("cron")
@options.tenant
@click.option(
    "--workflow",
    metavar="NAME",
    help="The workflow that it starts; by default the schedule's name.",
)
@click.option("--image", metavar="ID", help="The image that it starts, instead of a workflow.")
@click.option("--tz", default="UTC", show_default=True, help="The time zone, as Europe/Paris.")
@click.option(
    "--overlap",
    type=click.Choice(_OVERLAPS),
    default="skip",
    show_default=True,
    help="What a tick does while the instance of an earlier one is open.",
)
@click.option(
    "--missing",
    type=click.Choice(("cron", "skip", "first")),
    default="cron",
    show_default=True,
    help="The tick's behaviour when a change of the clocks skips its time.",
)
@click.option(
    "--duplicate",
    type=click.Choice(("cron", "first", "both")),
    default="cron",
    show_default=True,
    help="The tick's behaviour when a change of the clocks repeats its time.",
)
@click.option(
    "--catch-up",
    type=options.Span(),
    default="1d",
    show_default=True,
    help="How late a tick may be started.",
)
@click.option(
    "--jitter",
    type=options.Span(),
    default="0s",
    help="Launch each instance up to this much later.",
)
@click.option(
    "--input", "given", metavar="JSON", help="The input of the instances, instead of the tick."
)
@click.option("--queue", metavar="NAME", help="The queue of its instances.")
@click.option(
    "--priority",
    type=int,
    default=0,
    help="The priority of its instances; higher ones are launched first.",
)
async def _add(session: Session, name: str, cron: str, **given: Any) -> None:
    """
    Make a schedule NAME that ticks as CRON says: five fields in quotes, or a word as @daily.

    A pause stands, and so does the next tick where the times stay the same.
    """
    from runtara_management_sdk import LocalTimeRule, Overlap, Schedule

    if given["workflow"] and given["image"]:
        raise click.UsageError("takes --workflow or --image, not both")
    tenant_id = session.tenant(given["tenant"])
    schedule = Schedule(
        tenant_id=tenant_id,
        name=name,
        cron=cron,
        workflow=None if given["image"] else given["workflow"] or name,
        image_id=given["image"],
        time_zone=given["tz"],
        overlap=Overlap(given["overlap"]),
        missing=LocalTimeRule(given["missing"]),
        duplicate=LocalTimeRule(given["duplicate"]),
        catch_up=given["catch_up"],
        jitter=given["jitter"],
        input=None if given["given"] is None else given["given"].encode(),
        queue=given["queue"],
        priority=given["priority"],
    )
    await session.client.schedules.put(schedule)
    await _show_ticks(session, tenant_id, name, 3)
    if schedule.workflow is not None:
        await _tell_unserved(session, tenant_id, schedule.workflow)


@made("next", short_help="Show the ticks to come.")
@_NAME
@options.tenant
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
async def _next(session: Session, name: str, tenant: str | None, limit: int) -> None:
    """Show the coming ticks of a schedule, also of one that is paused."""
    await _show_ticks(session, session.tenant(tenant), name, limit)


@made("pause", short_help="Let a schedule start nothing.")
@_NAME
@options.tenant
@click.option("--reason", default="", help="The reason, shown in lists.")
async def _pause(session: Session, name: str, tenant: str | None, reason: str) -> None:
    """Pause a schedule; ticks of that time are not caught up."""
    await session.client.schedules.pause(session.tenant(tenant), name, reason=reason)
    session.out.note(f"Paused. Go on with: runtara schedules resume {name}")


@made("resume", short_help="Let a paused schedule go on.")
@_NAME
@options.tenant
async def _resume(session: Session, name: str, tenant: str | None) -> None:
    """Let a paused schedule go on, with ticks from now on."""
    tenant_id = session.tenant(tenant)
    await session.client.schedules.resume(tenant_id, name)
    await _show_ticks(session, tenant_id, name, 1)


@made("trigger", short_help="Start one instance now.")
@_NAME
@options.tenant
async def _trigger(session: Session, name: str, tenant: str | None) -> None:
    """Start one instance now, beside the ticks, and print its id."""
    instance_id = await session.client.schedules.trigger(session.tenant(tenant), name)
    session.out.result({"instance_id": instance_id}, lambda: instance_id)


@made("backfill", short_help="Start the ticks of a period that is over.")
@_NAME
@options.tenant
@click.option(
    "--from", "since", type=options.Moment(), required=True, help="The start of the period."
)
@click.option(
    "--until", type=options.Moment(), help="The end of the period, not included; by default now."
)
@click.option("--dry-run", is_flag=True, help="Show the ticks, and start nothing.")
async def _backfill(
    session: Session,
    name: str,
    tenant: str | None,
    since: datetime,
    until: datetime | None,
    dry_run: bool,
) -> None:
    """Start the ticks of a period that is over; those that were started are not started again."""
    ticks = await session.client.schedules.backfill(
        session.tenant(tenant),
        name,
        since=since,
        # The environment's clock may be a little behind this one.
        until=until or datetime.now(UTC) - timedelta(seconds=10),
        dry_run=dry_run,
    )
    _print_ticks(session, ticks)


@made("rm", short_help="Remove a schedule.")
@_NAME
@options.tenant
async def _rm(session: Session, name: str, tenant: str | None) -> None:
    """Remove a schedule; the instances that it started stay."""
    await session.client.schedules.delete(session.tenant(tenant), name)


for _verb in (_list, _add, _next, _pause, _resume, _trigger, _backfill, _rm):
    command.add_command(_verb)


async def _tell_unserved(session: Session, tenant_id: str, workflow: str) -> None:
    from runtara_sdk.errors import RuntaraError

    try:
        serving = await found(session, tenant_id, workflow)
    except RuntaraError:
        # The schedule is stored: an environment that can't tell what it runs must not deny that.
        return
    # The tick of a workflow finds images by their names.
    is_image = serving.image is not None and serving.image.name == workflow
    if not is_image and not serving.has_worker:
        session.out.note(
            f"tenant {tenant_id!r} has no image or worker for {workflow!r} yet: an instance that a"
            f" tick starts waits for one. {serving.advice}".rstrip()
        )


async def _show_ticks(session: Session, tenant_id: str, name: str, limit: int) -> None:
    _print_ticks(session, await session.client.schedules.next_ticks(tenant_id, name, limit=limit))


def _print_ticks(session: Session, ticks: "Sequence[Tick]") -> None:
    def cells(record: object) -> list[Cell]:
        tick = cast("Tick", record)
        return [tick.local_time, f"{tick.at:%Y-%m-%dT%H:%MZ}", tick.instance_id]

    session.out.table(("LOCAL TIME", "UTC", "INSTANCE"), ticks, cells, empty="No tick comes.")


def _run_state(one: "Schedule") -> Cell:
    if one.is_paused:
        return (f"paused: {one.pause_reason}" if one.pause_reason else "paused"), "yellow"
    coming = "none" if one.next_tick_at is None else f"in {words.span(_from_now(one.next_tick_at))}"
    if one.buffered_tick_at is not None:
        coming += f"; that of {one.buffered_tick_at:%H:%MZ} waits for {one.last_instance_id}"
    if one.problem is not None:
        return f"{coming}; {one.problem}", "red"
    return coming


def _from_now(moment: datetime) -> timedelta:
    return max(moment - datetime.now(UTC), timedelta(0))
