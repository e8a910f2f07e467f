"""How a command is made of a function: its options, its connection, its errors and exit code."""

import gc
import sys
from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import Any, TypeAlias

import click

from runtara_cli import access, codes
from runtara_cli.ending import Ended
from runtara_cli.lazy import SETTINGS
from runtara_cli.output import Output, is_terminal
from runtara_cli.session import Session

Function: TypeAlias = Callable[..., Awaitable[int | None]]
"""Takes a Session and the command's own arguments, by their names."""

_GARBAGE = 50_000
"""New objects after which garbage is looked for."""


def _checked(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an address that can't be used here: the client's own error names its variable."""
    if value is None:
        return None
    from runtara_sdk.client.address import Address

    try:
        Address.parse_all(value)
    except ValueError as error:
        takes = "takes host:port, an IPv6 host in brackets, or several with commas between"
        raise click.BadParameter(f"{takes}: {error}", ctx, param) from error
    return value


_ADDRESS = click.option(
    "--address",
    callback=_checked,
    metavar="HOST:PORT",
    help="The environment, instead of RUNTARA_ENVIRONMENT_ADDR or a `runtara dev` of this folder.",
)
_DATABASE = click.option(
    "--database-url",
    metavar="URL",
    help="Work on this database without servers; to read, a role with the right to read is enough.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print each result as a line of JSON.")


def command(name: str, **settings: Any) -> Callable[[Function], click.Command]:
    """
    Make an async function of a Session a command, with the options that all have.

    The function returns the exit code; None stands for DONE. An error of the client is printed to
    standard error with its remedy, and has its own exit code.
    """

    def decorated(function: Function) -> click.Command:
        def run(
            address: str | None, database_url: str | None, as_json: bool, **arguments: Any
        ) -> None:
            if address and database_url:
                raise click.UsageError("takes --address or --database-url, not both")
            out = Output(as_json, is_terminal(sys.stdout))
            way = access.find(address, database_url)
            code = _carried_out(way, out, lambda session: function(session, **arguments))
            raise Ended(code)

        # With the options that it has been given already.
        update_wrapper(run, function)
        made = click.command(name, click.Command, context_settings=SETTINGS, **settings)
        return made(_ADDRESS(_DATABASE(_JSON(run))))

    return decorated


def _carried_out(
    way: access.Access, out: Output, work: Callable[[Session], Awaitable[int | None]]
) -> int:
    # What is imported stays: to look through it for garbage takes a tenth of a command's time.
    gc.set_threshold(_GARBAGE)
    # Only now: --help needs none of it.
    import asyncio

    from runtara_sdk.errors import RuntaraError

    async def connected() -> int | None:
        async with way.client() as client:
            return await work(Session(client, way, out))

    access.silence_connections()
    try:
        return asyncio.run(connected()) or codes.DONE
    except RuntaraError as error:
        from runtara_cli import errors

        text, code = errors.described(error, way)
        click.echo(text, err=True)
        return code
    except KeyboardInterrupt:
        return 130
