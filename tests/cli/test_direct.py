"""Commands on a database without servers."""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import cast

import asyncpg
import pytest
from click.testing import CliRunner, Result
from tests.support.postgres import cloned_database

from runtara_cli import codes, following
from runtara_cli.access import Access
from runtara_cli.cli import runtara
from runtara_cli.output import Output
from runtara_cli.session import Session
from runtara_domain.model import NewInstance
from runtara_domain.system_clock import SystemClock
from runtara_management_sdk import ManagementClient
from runtara_persistence.connect import connect


async def filled(url: str) -> None:
    """Make two instances in a database."""
    async with connect(url, migrates=True) as persistence:
        for name in ("a", "b"):
            new = NewInstance(name, "acme", input=b'"order"')
            await persistence.instances.create(new, at=SystemClock().now())


def run(*arguments: str) -> Result:
    """Give a command, without variables of an environment."""
    names: dict[str, str | None] = {name: None for name in os.environ if name[:8] == "RUNTARA_"}
    return CliRunner().invoke(runtara, list(arguments), env=names)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path_factory.mktemp('db')}/core.db"
        return
    with cloned_database() as one:
        yield one


def test_a_database_is_read_and_changed_without_servers(url: str) -> None:
    """The commands do what an environment would."""
    asyncio.run(filled(url))
    listed = run("list", "--json", "--database-url", url)
    paused = run("pause", "a", "--database-url", url)
    shown = run("show", "a", "--json", "--database-url", url)
    unknown = run("show", "c", "--database-url", url)
    retried = run("retry", "b", "--with-image", "newest", "--database-url", url)

    assert sorted(json.loads(line)["instance_id"] for line in listed.stdout.splitlines()) == [
        "a",
        "b",
    ]
    assert (paused.exit_code, json.loads(shown.stdout)["instance"]["input"]) == (0, "order")
    assert unknown.exit_code == codes.REFUSED
    assert (retried.exit_code, "b: has no image" in retried.stderr) == (0, True)


async def test_a_role_that_may_only_read_suffices_for_reading() -> None:
    """Changing is refused by the database, and said to be so."""
    with cloned_database() as url:
        await filled(url)
        connection = await asyncpg.connect(url)
        name = f"reader_{os.getpid()}"
        try:
            await connection.execute(
                f"CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA public TO {name};"
                f" GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}"
            )
            reader = url.replace("//postgres@", f"//{name}@")
            listed = await asyncio.to_thread(run, "list", "--database-url", reader)
            shown = await asyncio.to_thread(run, "show", "a", "--database-url", reader)
            paused = await asyncio.to_thread(run, "pause", "a", "--database-url", reader)
        finally:
            await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
            await connection.close()

    assert reader != url
    assert (listed.exit_code, len(listed.stdout.splitlines())) == (0, 2), listed.output
    assert shown.exit_code == 0, shown.output
    assert (paused.exit_code, "Traceback" in paused.output) == (codes.REFUSED, False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("list", "--database-url", "mysql://x"), codes.USAGE, "--database-url"),
        (("list", "--database-url", "postgres://127.0.0.1:1/x"), codes.UNREACHABLE, "database"),
        (("list", "--database-url", "sqlite:x", "--address", "h:1"), codes.USAGE, "not both"),
        (("list", "--database-url", "sqlite:/no/x.db"), codes.USAGE, "there is no file /no/x.db"),
    ],
)
def test_a_database_that_can_not_be_had_is_said_to_be_so(
    arguments: tuple[str, ...], code: int, said: str
) -> None:
    """The error says what can be done."""
    result = run(*arguments)

    assert (result.exit_code, said in result.stderr) == (code, True), result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--address", "127.0.0.1:1", "list"), "A command's options stand after its name."),
        (("schedules", "--tenant", "t", "list"), "A command's options stand after its name."),
        (("--overlap=skip", "schedules", "add"), "A command's options stand after its name."),
        (("--hepl",), "No such option '--hepl'. Did you mean"),
        (("--verison",), "No such option '--verison'.\n"),
        (("list", "--address", "127.0.0.1"), "'--address': takes host:port"),
        (("start", "hello", "@missing.json"), "missing.json: No such file or directory"),
    ],
)
def test_a_wrong_use_is_named_as_the_user_wrote_it(arguments: tuple[str, ...], said: str) -> None:
    """Nothing is asked."""
    result = run(*arguments)

    assert (result.exit_code, said in result.stderr) == (codes.USAGE, True), result.stderr


def test_an_interrupted_wait_says_that_the_instance_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And how to wait for it again: Ctrl-C ends only the command."""
    session = Session(cast("ManagementClient", None), Access(), Output(False, False))
    with pytest.raises(asyncio.CancelledError), following.going_on(session, "order-1"):
        raise asyncio.CancelledError

    assert "`runtara wait order-1` waits for it again" in capsys.readouterr().err
