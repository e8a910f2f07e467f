"""Waits for an instance's end, and follows the output of its processes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from runtara_cli import advice, codes, documents, words
from runtara_cli.output import is_terminal
from runtara_cli.session import Session

if TYPE_CHECKING:
    from datetime import timedelta

    from runtara_management_sdk import Instance

_END = 8192
"""Bytes of the end of a process's output that are kept."""
_PAUSE = 0.2
"""Seconds between two looks for a next process of an instance."""


async def logs(session: Session, instance_id: str) -> bytes:
    """
    Copy the output of an instance's processes, one after another, until it has ended.

    Returns the end of the last one's output, a few KiB at most.
    """
    # Only now: --help needs neither.
    import asyncio

    from runtara_management_sdk import NotFound

    shown: set[str] = set()
    last = b""
    while True:
        found = await session.client.instances.get(instance_id)
        launches = [one async for one in session.client.launches.list(instance_id=instance_id)]
        for launch in reversed(launches):
            if launch.launch_id in shown:
                continue
            shown.add(launch.launch_id)
            last = b""
            try:
                async for piece in session.client.launches.log(
                    instance_id, launch_id=launch.launch_id, follow=True
                ):
                    click.echo(piece, nl=False, err=True)
                    last = (last + piece)[-_END:]
            except NotFound as error:
                session.out.note(f"launch {launch.number}: {error}")
        if found is None or (found.status.is_final and len(shown) >= len(launches)):
            return last
        await asyncio.sleep(_PAUSE)


async def end(
    session: Session, instance_id: str, within: "timedelta | None" = None, shown: bytes = b""
) -> int:
    """
    Wait for an instance's end, print how it ended, and give the exit code that says so.

    shown: what the instance's process has printed last. On a terminal that shows it, a result is
    not printed once more.
    """
    with going_on(session, instance_id):
        found = await session.client.instances.wait(instance_id, within)
    is_shown = session.out.is_terminal and is_terminal(sys.stderr)
    return ended(session, found, shown if is_shown else b"")


@contextmanager
def going_on(session: Session, instance_id: str) -> Iterator[None]:
    """Say that the instance goes on if Ctrl-C or a lost connection ends the block."""
    # Only now: --help needs neither.
    import asyncio

    from runtara_sdk.errors import ConnectionFailed

    try:
        yield
    except (ConnectionFailed, asyncio.CancelledError):
        session.out.note(
            f"{instance_id} is not lost: an environment goes on with it, and"
            f" `runtara wait {instance_id}` waits for it again"
        )
        raise


def ended(session: Session, found: "Instance", shown: bytes) -> int:
    """Print how an instance ended and give the exit code that says so."""
    if found.status == "completed":
        output = found.output or b"null"
        is_shown = shown.rstrip(b"\n").splitlines()[-1:] == [output]
        session.out.result(found, lambda: "" if is_shown else _text(output))
        return codes.DONE
    session.out.result(found, lambda: "")
    if not session.out.is_json:
        session.out.note(f"{found.instance_id}: {words.status(found)}")
        if found.error:
            session.out.note(found.error.rstrip())
    if not found.status.is_final:
        return codes.TIMED_OUT
    session.out.note(f"Next: runtara show {found.instance_id}, {advice.again(found)}")
    return codes.UNSUCCESSFUL


def _text(output: bytes) -> str:
    value = documents.content(output)
    return value if isinstance(value, str) and not output.startswith(b'"') else output.decode()
