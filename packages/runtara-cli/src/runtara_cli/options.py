"""Options and arguments that several commands share, and how their values are parsed."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runtara_management_sdk import InstanceFilter

F = TypeVar("F", bound=Callable[..., Any])

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
TEXTS = "runtara_cli.texts"
"""The key of a command's context under which it keeps the texts of moments, by option."""
FINAL = ("completed", "failed", "cancelled")
STATUSES = ("pending", "running", "suspended", *FINAL)


class Span(click.ParamType[timedelta]):
    """A duration: `90s`, `2h`, `1d12h`, or a number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        if isinstance(value, timedelta):
            return value
        text = value.replace(" ", "")
        found = _SPAN.findall(text)
        if found and "".join(number + unit for number, unit in found) == text:
            return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in found))
        try:
            return timedelta(seconds=float(text))
        except (ValueError, OverflowError):
            self.fail(f"takes a duration as 90s, 10m, 2h, 1d12h, got {value!r}", param, ctx)


class Moment(click.ParamType[datetime]):
    """A moment: an ISO 8601 time (local unless it says its zone), or how long ago."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        if ctx is not None and param is not None:
            ctx.meta.setdefault(TEXTS, {})[param.name] = value
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            pass
        try:
            return datetime.now(UTC) - Span().convert(value, param, ctx)
        except (click.BadParameter, OverflowError):
            self.fail(
                f"takes a time as 2026-03-01T12:00, or how long ago as 2h, got {value!r}",
                param, ctx,
            )  # fmt: skip


class Text(click.ParamType[str]):
    """A text that isn't empty, as an unset variable of a shell is: it would choose too much."""

    name = "text"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if not value:
            self.fail("is empty: give a value, or leave the option out", param, ctx)
        return str(value)


class Json(click.ParamType[bytes]):
    """JSON, `@FILE` for the content of a file, or `-` for standard input."""

    name = "json"

    def convert(self, value: Any, param: Any, ctx: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        text: str = value
        source = ""
        if value == "-" or value.startswith("@"):
            source = "standard input: " if value == "-" else f"{value[1:]}: "
            try:
                text = sys.stdin.read() if value == "-" else _read(value[1:])
            except OSError as error:
                self.fail(f"{source}{error.strerror}", param, ctx)
            except UnicodeDecodeError as error:
                self.fail(f"{source}{error}", param, ctx)
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            is_bare = not source and text[:1] not in ("", "{", "[", '"') and "'" not in text
            said = f"; a text takes double quotes: '\"{text}\"'" if is_bare else ""
            self.fail(f"{source}takes JSON: {error}{said}", param, ctx)
        return text.encode()


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def tenant(function: F) -> F:
    """Add the option `--tenant`."""
    text = "The tenant, instead of RUNTARA_TENANT_ID or that of `runtara dev`."
    return click.option("--tenant", metavar="NAME", help=text)(function)


def many(function: F) -> F:
    """Add options by which a command chooses instances to change: ids, or filters and `--yes`."""
    text = "Don't ask before changing the instances that the filters choose."
    agreed = click.option("--yes", "is_agreed", is_flag=True, help=text)
    ids = click.argument("instance_ids", metavar="[ID]...", nargs=-1)
    return ids(filters(agreed(function)))


def filters(function: F) -> F:
    """Add options that choose instances."""
    blocked = "Only blocked instances: their code can't go on with their history."
    return _filters(STATUSES)(click.option("--blocked", is_flag=True, help=blocked)(function))


def filters_of_finished(function: F) -> F:
    """Add options that choose finished instances."""
    return _filters(FINAL)(function)


def _filters(statuses: Sequence[str]) -> Callable[[F], F]:
    def taken(function: F) -> F:
        for option in reversed(given):
            function = option(function)
        return function

    given = (
        click.option(
            "--workflow", type=Text(), metavar="NAME", help="Only instances of this workflow."
        ),
        click.option(
            "--image",
            type=Text(),
            metavar="NAME",
            help="Only instances of images whose name begins with NAME.",
        ),
        click.option(
            "--status", type=click.Choice(statuses), help="Only instances with this status."
        ),
        click.option(
            "--tenant",
            type=Text(),
            metavar="NAME",
            help="Only instances of this tenant, instead of all tenants.",
        ),
        click.option("--queue", type=Text(), metavar="NAME", help="Only instances in this queue."),
        click.option(
            "--since",
            type=Moment(),
            help="Only instances created since this time, or within this duration.",
        ),
        click.option(
            "--error",
            type=Text(),
            metavar="TEXT",
            help="Only instances with this text in their error.",
        ),
    )
    return taken


def chosen(values: dict[str, Any]) -> "InstanceFilter":
    """
    Return the filter that the options of `filters` or `filters_of_finished` make.

    It removes these options from the command's values, and also `before` of `prune`.
    """
    from runtara_management_sdk import InstanceFilter, Status

    status = values.pop("status")
    return InstanceFilter(
        workflow=values.pop("workflow"),
        image_name_prefix=values.pop("image"),
        status=None if status is None else Status(status),
        tenant_id=values.pop("tenant"),
        queue=values.pop("queue"),
        created_after=values.pop("since"),
        error_contains=values.pop("error"),
        is_blocked=values.pop("blocked", None) or None,
        finished_before=values.pop("before", None),
    )
