"""`runtara show`."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from runtara_cli import codes, words
from runtara_cli.advice import next_of
from runtara_cli.command import command as made
from runtara_cli.history import History, read
from runtara_cli.session import Session
from runtara_cli.timeline import Moment, timeline

if TYPE_CHECKING:
    from runtara_management_sdk import Instance

_LONGEST = 2000
"""Characters of an input, an output or an error."""


@made("show", short_help="Show an instance: its steps, attempts, waits and processes, with times.")
@click.argument("instance_id", metavar="ID")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="The most of each to read, the newest first.",
)
async def command(session: Session, instance_id: str, limit: int) -> int:
    """
    Show an instance's status and its history, as a timeline.

    --limit bounds the numbers of checkpoints, of events and of launches that are read.
    """
    found = await session.client.instances.get(instance_id)
    if found is None:
        session.out.note(
            f"Error: Instance {instance_id!r} not found\nNext: `runtara list` lists the instances"
        )
        return codes.REFUSED
    history = await read(session.client, found, limit)
    session.out.result(history, lambda: _text(session, history))
    return codes.DONE


def _text(session: Session, history: History) -> str:
    one = history.instance
    lines = [*_head(one, session.now), ""]
    lines += _moments(timeline(history), one.created_at)
    if history.is_cut:
        lines.append("  … older than these is not shown: --limit")
    if one.is_blocked or (one.status != "completed" and one.error):
        lines += ["", click.style(f"{'blocked' if one.is_blocked else one.status}:", fg="red")]
        lines.append(_indented(one.error or ""))
    # Of one that has failed it is the error once more, for programs.
    if one.status == "completed" and one.output is not None:
        lines += ["", "output:", _indented(one.output.decode(errors="replace"))]
    return "\n".join(lines)


def _head(one: "Instance", now: datetime) -> list[str]:
    status = click.style(words.status(one), fg=words.colour(one), bold=True)
    begun, ended = one.started_at or one.created_at, one.finished_at
    told = [
        f"tenant {one.tenant_id}",
        f"image {one.image_name} version {one.image_version}" if one.image_name else "",
        f"took {words.span(ended - begun)}" if ended else f"for {words.ago(words.since(one), now)}",
        f"{one.launches} launch{'' if one.launches == 1 else 'es'}",
        f"{one.crashes} crash{'' if one.crashes == 1 else 'es'} in a row" if one.crashes else "",
        f"queue {one.queue}" if one.queue else "",
        f"child of {one.parent_id}" if one.parent_id else "",
        f"peak {words.size(one.memory_peak_bytes)}" if one.memory_peak_bytes else "",
    ]
    lines = [
        f"{click.style(one.instance_id, bold=True)}  {one.workflow or ''}  {status}",
        "  " + " · ".join(each for each in told if each),
    ]
    if one.input is not None:
        lines.append(f"  input {_cut(one.input.decode(errors='replace'), 200)}")
    if one.not_launched:
        lines.append(f"  not launched: {one.not_launched}")
    if upcoming := next_of(one, now):
        lines.append(f"  next: {upcoming}")
    return lines


def _moments(moments: list[Moment], begun: datetime) -> list[str]:
    lines = []
    for one in moments:
        after = max(timedelta(0), one.at - begun)
        what = click.style(one.what, fg=one.colour) if one.colour else one.what
        detail = f"  {_cut(one.detail, 100)}" if one.detail else ""
        lines.append(f"  {words.clock(one.at)}  {words.span(after):>9}  {what}{detail}")
    return lines


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in _cut(text, _LONGEST, "\n").splitlines())


def _cut(text: str, longest: int, kept: str = "") -> str:
    clean = "".join(each if each.isprintable() or each in kept else " " for each in text)
    return clean if len(clean) <= longest else f"{clean[:longest]}…"
