"""Shows a line for each instance, kept up to date."""

import asyncio
import shutil
import sys
from datetime import UTC, datetime

import click

from runtara_cli import words
from runtara_cli.advice import next_of
from runtara_cli.development.screen import Screen
from runtara_management_sdk import InstanceSummary, ManagementClient
from runtara_sdk.errors import RuntaraError

_EVERY = 0.5
_PATIENCE = 1.0
"""Seconds that the end waits for the terminal."""
_SHOWN = 12
"""The number of instances with lines: the newest ones."""


class Live:
    """
    Lines at the bottom of a terminal, drawn again when instances change.

    Without a terminal, a line is written for each change instead.
    """

    def __init__(self, client: ManagementClient) -> None:
        self._client = client
        self._screen = Screen(sys.stdout.fileno(), is_terminal=sys.stdout.isatty())
        self._told: dict[str, str] = {}

    def say(self, text: str, colour: str | None = None) -> None:
        """Write a text above the lines; raises OSError if the terminal is gone."""
        is_coloured = colour and self._screen.is_terminal
        self._screen.say(click.style(text, fg=colour) if is_coloured else text)

    def close(self) -> None:
        """Write the waiting text, as far as the terminal accepts it at once."""
        self._screen.close(_PATIENCE)

    async def keep(self) -> None:
        """Update the lines until cancelled; a failed update is tried again."""
        while True:
            try:
                await self._look()
            except RuntaraError as error:
                self.say(f"can't list instances: {error}", "yellow")
            await asyncio.sleep(_EVERY)

    async def _look(self) -> None:
        now = datetime.now(UTC)
        found: list[InstanceSummary] = []
        async for one in self._client.instances.list():
            found.append(one)
            if len(found) == _SHOWN:
                break
        if self._screen.is_terminal:
            self._screen.draw([await self._line(one, now) for one in reversed(found)])
            return
        for one in reversed(found):
            status = words.status(one)
            if self._told.get(one.instance_id) != status:
                self._told[one.instance_id] = status
                self.say(f"{one.instance_id}\t{one.workflow or ''}\t{status}")

    async def _line(self, one: InstanceSummary, now: datetime) -> str:
        status, begun = words.status(one), one.started_at or one.created_at
        if one.status == "running":
            seen = await self._client.instances.get(one.instance_id)
            if seen is not None and seen.checkpoint_id:
                status = f"running, has {seen.checkpoint_id}"
        before = f"{one.instance_id[:36]:<20}  {one.workflow or '':<12.30}  "
        mark = f"{status:<26.60}"
        lasted = words.span((one.finished_at or now) - begun)
        text = f"{before}{mark}  {lasted:>9}  {next_of(one, now)}".rstrip()
        # A line that the terminal breaks could not be drawn again in its place.
        text = text[: shutil.get_terminal_size().columns - 1]
        end = len(before) + len(mark)
        coloured = click.style(text[len(before) : end], fg=words.colour(one))
        return f"{text[: len(before)]}{coloured}{text[end:]}"
